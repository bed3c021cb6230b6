"""The size of a head, by which MPII and PoseTrack judge."""

from __future__ import annotations

import math
from collections.abc import Sequence

_OF_DIAGONAL = 0.6  # MPII's share of the head box's diagonal
_APART = 0.8  # of the diagonal lie between head_top and upper_neck, which MPII's release drew from the box


def head_size(box: Sequence[float]) -> float:
    """The px of a head whose box is xywh."""
    return _OF_DIAGONAL * math.hypot(box[2], box[3])


def head_size_between(top: Sequence[float], neck: Sequence[float]) -> float:
    """The px of a head of which MPII's two keypoints are known: the same number as of its box."""
    return _OF_DIAGONAL / _APART * math.dist(top[:2], neck[:2])
