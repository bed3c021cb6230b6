"""Which annotated objects a network is to know, and which pixels it learns nothing from."""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from bottomup.options import Ascending, Positive
from bottomup.types import Batch

Sizes = Annotated[tuple[Positive, Positive], Ascending(), "input px"]  # of the longer side of an object's box


def learned(batch: Batch, sizes: tuple[float, float] | None) -> Tensor:
    """(B, N) bool: the objects with a mask whose size lies in a range, input px; None: of any size."""
    there = batch.present & batch.has_mask
    if sizes is None:
        return there
    longer = (batch.boxes[..., 2:] - batch.boxes[..., :2]).amax(-1)
    return there & (longer >= sizes[0]) & (longer <= sizes[1])


def of_objects(instances: Tensor, chosen: Tensor) -> Tensor:
    """(B, H, W) bool: the pixels inside the mask of a ``chosen`` (B, N) object alone, of an instance map (B, H, W)."""
    among = F.pad(chosen, (1, 0))  # index n + 1; 0 is nobody
    return among.gather(1, instances.long().clamp(min=0).flatten(1)).view_as(instances)


def left_out(instances: Tensor, batch: Batch, sizes: tuple[float, float] | None, border: int) -> Tensor:
    """(B, H, W) bool: the pixels of objects that are not ``learned``, and those at most ``border`` px from an outline."""
    others = torch.zeros_like(instances, dtype=torch.bool)
    if sizes is not None:
        others = of_objects(instances, batch.present & ~learned(batch, sizes))
    return others | outlines(instances, border) if border else others


def outlines(instances: Tensor, reach: int) -> Tensor:
    """(B, H, W) bool: the pixels with one of another owner at most ``reach`` px away, along x and y, in a map (B, H, W)."""
    owner = instances[:, None].float()
    highest, lowest = (F.max_pool2d(signed, 2 * reach + 1, stride=1, padding=reach) for signed in (owner, -owner))
    differ: Tensor = highest != -lowest
    return differ[:, 0]


def in_boxes(batch: Batch, category: int) -> Tensor:
    """(B, H, W) bool: the pixels whose centres lie in the box of an object of ``category`` that has a mask."""
    chosen = (batch.present & batch.has_mask & (batch.labels == category))[..., None]
    x1, y1, x2, y2 = batch.boxes[..., None].unbind(2)  # (B, N, 1) each
    across, down = (torch.arange(side, device=batch.boxes.device) + 0.5 for side in (batch.size[1], batch.size[0]))
    columns, rows = (across >= x1) & (across <= x2), (down >= y1) & (down <= y2) & chosen
    return rows.transpose(1, 2).float() @ columns.float() > 0
