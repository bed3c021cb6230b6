"""From where on what is predicted is worth showing to people; measures of accuracy want everything."""

from __future__ import annotations

from dataclasses import dataclass

from bottomup.options import BelowOne, Share, checked


@checked("thresholds")
@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """Which of a decoder's instances and keypoints are worth showing (``ops.shown``); as they are here everything is.

    Instances are shown that score ``score`` or more, with 0 all; keypoints whose presence is above ``keypoint``. An instance
    of a higher OKS than ``alike`` to a better one is the same person once more.
    """

    score: BelowOne = 0.0
    keypoint: BelowOne = 0.0
    alike: Share = 1.0
