"""What of the people found is worth showing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bottomup.grouping.found import Floats, Found, boxes_around
from bottomup.grouping.suppression import oks_nms
from bottomup.thresholds import Thresholds


def shown(found: Found, size: tuple[int, int], thresholds: Thresholds, sigmas: Sequence[float]) -> Found:
    """The people worth showing, each with all its keypoints, in boxes around what is to be seen of them, in a frame of ``size``.

    Those of too low a score are left out, and those that show a better one's person once more, by the OKS of their usable
    keypoints; ``sigmas`` are the skeleton's. A box that the method finds itself stays. Others are drawn around the mask's pixels
    where there are any, else around the usable keypoints, else around whatever was found. Of people without keypoints the score
    alone decides.
    """
    left = found[found.scores >= thresholds.score]
    if not left.keypoints.shape[1]:
        return left
    left = replace(left, boxes=_boxes(left, thresholds.keypoint, size))
    return left[~repeated(left, thresholds, sigmas)] if thresholds.score > 0 else left


def repeated(found: Found, thresholds: Thresholds, sigmas: Sequence[float]) -> NDArray[np.bool_]:
    """(P,): which of people, best first and in the boxes of ``shown``, show the person of a better one once more."""
    return ~oks_nms(replace(found, keypoints=_seen(found, thresholds.keypoint)), sigmas, thresholds.alike)


def _seen(found: Found, threshold: float) -> Floats:
    """The usable keypoints (P, K, 2) px; NaN where one is not."""
    return np.where(found.usable(threshold)[..., None], found.keypoints, np.float32(np.nan))


def _boxes(found: Found, threshold: float, size: tuple[int, int]) -> Floats:
    """The boxes (P, 4) around what is to be seen of people in a frame of ``size``."""
    if found.box_scores is not None:
        return found.boxes
    seen = _seen(found, threshold)
    boxes = _instead(boxes_around(seen), np.asarray(np.isfinite(seen).any((1, 2))), found.boxes)
    if found.masks is None:
        return boxes
    around = found.masks.boxes(size)
    return _instead(around, np.asarray((around[:, 2:] > around[:, :2]).all(1)), boxes)


def _instead(boxes: Floats, there: NDArray[np.bool_], others: Floats) -> Floats:
    """Boxes (P, 4) where they are ``there`` (P,), else the others."""
    return np.where(there[:, None], boxes, others)
