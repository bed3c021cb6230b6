"""Maps made from annotated keypoints: distances of cells to keypoints, and who is nearest.

A keypoint just out of the picture counts on the picture's own cells: what is near it looks like what is near any other. On padding,
where nothing can be seen, it does not.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from bottomup.geometry import Grid, any_at_cells
from bottomup.skeletons import Skeleton
from bottomup.types import OUTSIDE, Batch

FAR = 1e12  # px², the distance of a cell to a keypoint that nobody has


class Nearest(NamedTuple):
    """Of each cell, the closest placed keypoint of each kind."""

    distance: Tensor  # (B, K, h, w) float32 squared distance, px²; FAR where no one has the keypoint
    person: Tensor  # (B, K, h, w) int64 index of that person; 0 where no one has the keypoint


def keypoint_distance(batch: Batch, grid: Grid) -> Tensor:
    """(B, K, h, w) squared distance, px², of every cell to the closest keypoint of each kind; FAR where no one has it.

    On the batch's device. A loop over people keeps memory at one map: all people at once would need N times as much.
    """
    distance, padding = torch.full(_shape(batch, grid), FAR, device=batch.keypoints.device), _padding(batch, grid)
    for n in range(batch.most):
        distance = torch.minimum(distance, _distance(batch, grid, n, padding))
    return distance


def nearest_keypoints(batch: Batch, grid: Grid) -> Nearest:
    """As ``keypoint_distance``, and whose keypoint it is."""
    distance, padding = torch.full(_shape(batch, grid), FAR, device=batch.keypoints.device), _padding(batch, grid)
    person = torch.zeros(distance.shape, dtype=torch.int64, device=distance.device)
    for n in range(batch.most):
        apart = _distance(batch, grid, n, padding)
        person = torch.where(apart < distance, n, person)
        distance = torch.minimum(distance, apart)
    return Nearest(distance, person)


def _shape(batch: Batch, grid: Grid) -> tuple[int, int, int, int]:
    return (len(batch), batch.keypoints.shape[2], *grid.shape(batch.size))


def _padding(batch: Batch, grid: Grid) -> Tensor | None:
    """The cells (B, h, w) of padding; None where the batch does not say them, or no keypoint lies out of the picture."""
    if "padding" not in batch.ignore or not bool((batch.visibility == OUTSIDE).any()):
        return None
    return any_at_cells(batch.ignore["padding"], grid)


def _distance(batch: Batch, grid: Grid, person: int, padding: Tensor | None) -> Tensor:
    """(B, K, h, w) squared distance to one person's keypoints; FAR where it has none, on ``padding`` where it lies out of sight."""
    h, w = grid.shape(batch.size)
    keypoints, placed = batch.keypoints[:, person], batch.placed[:, person, :, None]
    dx = (keypoints[..., :1] - grid.centres(w, keypoints)).square()  # (B, K, w)
    dy = (keypoints[..., 1:] - grid.centres(h, keypoints)).square()  # (B, K, h)
    distance = torch.where(placed, dx, FAR)[:, :, None, :] + torch.where(placed, dy, 0.0)[:, :, :, None]
    if padding is None:
        return distance
    unseen = (batch.visibility[:, person] == OUTSIDE)[..., None, None] & padding[:, None]
    return torch.where(unseen, FAR, distance)


def carried_keypoints(batch: Batch, skeleton: Skeleton) -> tuple[Tensor, Tensor]:
    """Keypoints (B, N, K, 2) in which one that has no place stands where its nearest one in the tree that has one stands.

    Among equally near ones the first of the skeleton counts. Also returns which keypoints (B, N, K) so stand anywhere: all
    of a person's, or none.
    """
    steps = torch.tensor(skeleton.steps, device=batch.keypoints.device)  # (K, K)
    placed = batch.placed
    apart = torch.where(placed[:, :, None, :], steps, len(skeleton))  # (B, N, K, K)
    source = apart.argmin(-1)  # the first of the least
    keypoints = batch.keypoints.gather(2, source[..., None].expand(-1, -1, -1, 2))
    return keypoints, placed.any(-1, keepdim=True).expand_as(placed)


def counted_mean(error: Tensor, counted: Tensor) -> Tensor:
    """(B,) the mean of an error (B, C, h, w) over the ``counted`` cells (B, h, w), a connected 0 where there is none."""
    cells = counted.sum((1, 2)).clamp(min=1) * error.shape[1]
    return (error * counted[:, None]).sum((1, 2, 3)) / cells
