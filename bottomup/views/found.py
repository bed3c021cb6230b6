"""What one view finds, and what of an image it shows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bottomup.crops import Window
from bottomup.geometry import chain
from bottomup.types import Instances, Prediction

_MARGIN = 0.05  # of a person's longer side: who comes so near to where a crop cuts the image may go on beyond it
_COVERED = 0.5  # share of the box of somebody who is cut, from which on somebody whole in it is who that is


class Found(NamedTuple):
    """What one view finds in an image, or in a window of it, in whose px all is."""

    prediction: Prediction
    to_view: NDArray[np.float64]  # (2, 3) affine, from there to the view's px
    window: Window | None = None  # image px; None: the whole image
    vote: float = 1.0  # how far the network is trusted whose view it is

    @property
    def instances(self) -> Instances:
        """The instances in image px."""
        moved = self.prediction.instances
        return moved if self.window is None else moved.transform(_shift(self.window.x1, self.window.y1))

    @property
    def of_image(self) -> NDArray[np.float64]:
        """(2, 3) affine, image px -> the view's px."""
        return self.to_view if self.window is None else chain(_shift(-self.window.x1, -self.window.y1), self.to_view)

    def region(self, size: tuple[int, int]) -> list[float]:
        """The part xyxy of an image of ``size`` that is shown; where it ends with the image nobody is cut, and it has no end."""
        if self.window is None:
            return [-math.inf, -math.inf, math.inf, math.inf]
        x1, y1, x2, y2 = self.window
        low = [float(value) if value > 0 else -math.inf for value in (x1, y1)]
        return low + [float(value) if value < end else math.inf for value, end in zip((x2, y2), size[::-1], strict=True)]


def _shift(x: float, y: float) -> NDArray[np.float64]:
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y]])


def seen_whole(boxes: Tensor, regions: Tensor) -> Tensor:
    """(...,) bool: whether boxes (..., 4) lie in regions (..., 4) of an image, with a margin of their size; all in image px."""
    margin = (boxes[..., 2:] - boxes[..., :2]).amax(-1, keepdim=True) * _MARGIN
    after, before = boxes[..., :2] - margin >= regions[..., :2], boxes[..., 2:] + margin <= regions[..., 2:]
    return (after & before).all(-1)


def without_cut(views: Sequence[Instances], regions: Tensor) -> list[Instances]:
    """The instances of each view of an image but those that the border of its region (V, 4) cuts, where somebody whole is there.

    Somebody whole is there who covers half of the box; whom no view shows whole stays.
    """
    whole = [seen_whole(view.boxes, region) for view, region in zip(views, regions, strict=True)]
    boxes = torch.cat([view.boxes[own] for view, own in zip(views, whole, strict=True)])
    return [view[own | ~_covered(view.boxes, boxes)] for view, own in zip(views, whole, strict=True)]


def _covered(boxes: Tensor, others: Tensor) -> Tensor:
    """(P,) bool: whether half of a box (P, 4) lies in one of others (Q, 4)."""
    if not len(others):
        return torch.zeros(len(boxes), dtype=torch.bool)
    low, high = torch.maximum(boxes[:, None, :2], others[:, :2]), torch.minimum(boxes[:, None, 2:], others[:, 2:])
    own = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    return (high - low).clamp(min=0).prod(-1).amax(1) >= _COVERED * own
