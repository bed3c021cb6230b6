"""From where on what is predicted is worth showing to people; measures of accuracy want everything."""

from __future__ import annotations

from dataclasses import dataclass

from bottomup.options import Options


@dataclass(frozen=True)
class Thresholds:
    """Which of a decoder's instances and keypoints are worth showing (``ops.shown``); as they are here everything is."""

    score: float = 0.0  # of instances, in [0, 1): those that have as much; with 0 nobody is left out
    keypoint: float = 0.0  # of presence, in [0, 1): keypoints that have more
    alike: float = 1.0  # in (0, 1]: an instance of a higher OKS to a better one is the same person once more

    def __post_init__(self) -> None:
        options = Options("predictor")
        options.check("score_threshold", self.score, 0 <= self.score < 1, "in [0, 1)")
        options.check("keypoint_threshold", self.keypoint, 0 <= self.keypoint < 1, "in [0, 1)")
