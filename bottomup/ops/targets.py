"""Maps made from annotated keypoints: distances of cells to keypoints, and who is nearest.

A keypoint just out of the picture counts on the picture's own cells: what is near it looks like what is near any other. On padding,
where nothing can be seen, it does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from bottomup.devices import constant
from bottomup.geometry import Grid, any_at_cells
from bottomup.skeletons import Skeleton
from bottomup.types import OUTSIDE, Batch

FAR = 1e12  # px², the distance of a cell to a keypoint that nobody has
_AT_ONCE = {"cpu": 1 << 19, "gpu": 1 << 26}  # distances: what a core's cache holds, and a quarter of a gigabyte


class Nearest(NamedTuple):
    """Of each cell, the closest placed keypoint of each kind."""

    distance: Tensor  # (B, K, h, w) float32 squared distance, px²; FAR where no one has the keypoint
    person: Tensor  # (B, K, h, w) int64 index of that person, of several the first; 0 where no one has the keypoint


def keypoint_distance(batch: Batch, grid: Grid) -> Tensor:
    """(B, K, h, w) squared distance, px², of every cell to the closest keypoint of each kind; FAR where no one has it.

    On the batch's device.
    """
    distance = _map(batch, grid, torch.float32)
    for rows, apart in _distances(batch, grid):
        torch.amin(apart, 1, out=distance[:, :, rows])
    return distance


def nearest_keypoints(batch: Batch, grid: Grid) -> Nearest:
    """As ``keypoint_distance``, and whose keypoint it is."""
    nearest = Nearest(_map(batch, grid, torch.float32), _map(batch, grid, torch.int64))
    for rows, apart in _distances(batch, grid):
        torch.min(apart, 1, out=tuple(maps[:, :, rows] for maps in nearest))
    return nearest


def _map(batch: Batch, grid: Grid, dtype: torch.dtype) -> Tensor:
    """(B, K, h, w) on the batch's device, to be filled."""
    return torch.empty((len(batch), batch.keypoints.shape[2], *grid.shape(batch.size)), dtype=dtype, device=batch.keypoints.device)


def _distances(batch: Batch, grid: Grid) -> Iterator[tuple[slice, Tensor]]:
    """Squared distances (B, N, K, rows, w) to everybody's keypoints, band by band of a map, with the rows of each.

    FAR where somebody has no such keypoint, and on padding where it lies out of the picture. All people are looked at in one
    pass, and no more rows than ``_AT_ONCE`` allows.
    """
    keypoints, placed = batch.keypoints[:, : batch.most], batch.placed[:, : batch.most, :, None]
    h, w = grid.shape(batch.size)
    dx = torch.where(placed, (keypoints[..., :1] - grid.centres(w, keypoints)).square(), FAR)  # (B, N, K, w)
    dy = torch.where(placed, (keypoints[..., 1:] - grid.centres(h, keypoints)).square(), 0.0)  # (B, N, K, h)
    rows = max(1, _AT_ONCE["cpu" if dx.device.type == "cpu" else "gpu"] // max(1, dx.numel()))
    padding = any_at_cells(batch.ignore["padding"], grid) if batch.outside and "padding" in batch.ignore else None
    beyond = (batch.visibility[:, : batch.most] == OUTSIDE)[..., None, None]
    for first in range(0, h, rows):
        apart = dx[..., None, :] + dy[..., first : first + rows, None]
        if padding is not None:
            apart.masked_fill_(beyond & padding[:, None, None, first : first + rows], FAR)
        yield slice(first, first + rows), apart


def carried_keypoints(batch: Batch, skeleton: Skeleton) -> tuple[Tensor, Tensor]:
    """Keypoints (B, N, K, 2) in which one that has no place stands where its nearest one in the tree that has one stands.

    Among equally near ones the first of the skeleton counts. Also returns which keypoints (B, N, K) so stand anywhere: all
    of a person's, or none.
    """
    steps = constant(skeleton.steps, batch.visibility, torch.int64)  # (K, K)
    placed = batch.placed
    apart = torch.where(placed[:, :, None, :], steps, len(skeleton))  # (B, N, K, K)
    source = apart.argmin(-1)  # the first of the least
    keypoints = batch.keypoints.gather(2, source[..., None].expand(-1, -1, -1, 2))
    return keypoints, placed.any(-1, keepdim=True).expand_as(placed)


def counted_mean(error: Tensor, counted: Tensor) -> Tensor:
    """(B,) the mean of an error (B, C, h, w) over the ``counted`` cells (B, h, w), a connected 0 where there is none."""
    cells = counted.sum((1, 2)).clamp(min=1) * error.shape[1]
    return (error * counted[:, None]).sum((1, 2, 3)) / cells
