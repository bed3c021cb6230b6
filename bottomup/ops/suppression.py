"""Object keypoint similarity between predicted instances, and suppression by it; and by what their masks share."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from bottomup.types import Instances

_SMALLEST_AREA = 1e-6  # px²; an instance of one keypoint has none, and is like another only where they coincide


def oks(points: Tensor, others: Tensor, areas: Tensor, other_areas: Tensor, sigmas: Sequence[float]) -> Tensor:
    """The object keypoint similarity (P, Q) in [0, 1] of instances (P, K, 2) with others (Q, K, 2), px, NaN = not found.

    Only keypoints that both have count; without any the similarity is 0. The scale s² is the mean of the two areas (P,) and
    (Q,) in px², as neither instance is the truth; ``sigmas`` are COCO's, k = 2 sigma.
    """
    squared = (points[:, None] - others[None]).square().sum(-1)  # (P, Q, K)
    both = squared.isfinite()
    scale = ((areas[:, None] + other_areas[None]) / 2).clamp(min=_SMALLEST_AREA)
    k = 2 * squared.new_tensor(sigmas)
    similarity = torch.exp(-squared / (2 * scale[..., None] * k.square()))
    return torch.where(both, similarity, 0.0).sum(-1) / both.sum(-1).clamp(min=1)


def oks_nms(instances: Instances, sigmas: Sequence[float], threshold: float) -> Tensor:
    """Which instances (P,) bool, given best first, to keep: those not more like a better one that is kept than ``threshold``.

    The scale is the area of the instances' boxes. All similarities are found at once.
    """
    return _left(oks(instances.keypoints, instances.keypoints, instances.areas, instances.areas, sigmas) > threshold)


def mask_nms(instances: Instances, threshold: float) -> Tensor:
    """Which instances (P,) bool, given best first, to keep: those of no higher mask IoU with a better kept one of their label."""
    if instances.masks is None:
        raise ValueError("mask_nms needs instances with masks")
    return _left((instances.masks.overlaps() > threshold) & (instances.labels[:, None] == instances.labels))


def _left(alike: Tensor) -> Tensor:
    """(P,) bool: who is ``alike`` (P, P) to no better one that is left; best first. The loop is greedy suppression itself."""
    keep = torch.ones(len(alike), dtype=torch.bool)
    for index in range(len(alike)):
        keep[index] = not bool((alike[index, :index] & keep[:index]).any())
    return keep


def claimed(points: Tensor, radius: float) -> Tensor:
    """Which keypoints (P, K) bool of instances (P, K, 2), given best first, lie within ``radius`` px of a better one's; eq. 4.

    PersonLab §3.1, soft suppression. Keypoints that are NaN claim nothing.
    """
    near = (points[:, None] - points[None]).square().sum(-1) <= radius**2  # (P, P, K)
    better = torch.ones(len(points), len(points), dtype=torch.bool, device=points.device).tril(-1)
    return (near & better[..., None]).any(1)
