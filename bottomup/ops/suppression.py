"""Object keypoint similarity between predicted instances, and suppression by it, of tensors on the host; ``grouping`` does it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from bottomup.grouping import suppression
from bottomup.types import Instances


def oks(points: Tensor, others: Tensor, areas: Tensor, other_areas: Tensor, sigmas: Sequence[float]) -> Tensor:
    """The object keypoint similarity (P, Q) in [0, 1], ``grouping.suppression.oks``."""
    return torch.from_numpy(suppression.oks(points.numpy(), others.numpy(), areas.numpy(), other_areas.numpy(), sigmas))


def oks_nms(instances: Instances, sigmas: Sequence[float], threshold: float) -> Tensor:
    """Which instances (P,) bool, given best first, to keep, ``grouping.suppression.oks_nms``."""
    return torch.from_numpy(suppression.oks_nms(instances.found(), sigmas, threshold))
