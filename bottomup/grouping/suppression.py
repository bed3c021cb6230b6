"""Object keypoint similarity between predicted people, and suppression by it; and by what their masks share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bottomup.grouping.found import Floats, Found

_SMALLEST_AREA = 1e-6  # px²; an instance of one keypoint has none, and is like another only where they coincide


def oks(points: Floats, others: Floats, areas: Floats, other_areas: Floats, sigmas: Sequence[float]) -> Floats:
    """The object keypoint similarity (P, Q) in [0, 1] of instances (P, K, 2) with others (Q, K, 2), px, NaN = not found.

    Only keypoints that both have count; without any the similarity is 0. The scale s² is the mean of the two areas (P,) and
    (Q,) in px², as neither instance is the truth; ``sigmas`` are COCO's, k = 2 sigma.
    """
    squared = np.square(points[:, None] - others[None]).sum(-1)  # (P, Q, K)
    both = np.isfinite(squared)
    scale = ((areas[:, None] + other_areas[None]) / 2).clip(min=_SMALLEST_AREA)
    k = 2 * np.asarray(sigmas, squared.dtype)
    similarity = np.exp(-np.where(both, squared, 0) / (2 * scale[..., None] * np.square(k)))
    return np.asarray((similarity * both).sum(-1) / both.sum(-1).clip(min=1), squared.dtype)


def oks_nms(found: Found, sigmas: Sequence[float], threshold: float) -> NDArray[np.bool_]:
    """Which instances (P,), given best first, to keep: those not more like a better one that is kept than ``threshold``.

    The scale is the area of the instances' boxes. All similarities are found at once.
    """
    return _left(oks(found.keypoints, found.keypoints, found.areas, found.areas, sigmas) > threshold)


def mask_nms(found: Found, threshold: float) -> NDArray[np.bool_]:
    """Which instances (P,), given best first, to keep: those of no higher mask IoU with a better kept one of their label."""
    if found.masks is None:
        raise ValueError("mask_nms needs instances with masks")
    return _left((found.masks.overlaps() > threshold) & (found.labels[:, None] == found.labels))


def _left(alike: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(P,) who is ``alike`` (P, P) to no better one that is left; best first. The loop is greedy suppression itself."""
    keep = np.ones(len(alike), bool)
    for index in range(len(alike)):
        keep[index] = not (alike[index, :index] & keep[:index]).any()
    return keep


def claimed(points: Floats, radius: float) -> NDArray[np.bool_]:
    """Which keypoints (P, K) of instances (P, K, 2), given best first, lie within ``radius`` px of a better one's; eq. 4.

    PersonLab §3.1, soft suppression. Keypoints that are NaN claim nothing.
    """
    near = np.square(points[:, None] - points[None]).sum(-1) <= radius**2  # (P, P, K)
    better = np.tri(len(points), k=-1, dtype=bool)
    return np.asarray((near & better[..., None]).any(1))
