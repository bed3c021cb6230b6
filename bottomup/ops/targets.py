"""Maps made from annotated keypoints: distances of cells to keypoints, and who is nearest."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from bottomup.geometry import Grid
from bottomup.types import Batch

FAR = 1e12  # px², the distance of a cell to a keypoint that nobody has


class Nearest(NamedTuple):
    """Of each cell, the closest annotated keypoint of each kind."""

    distance: Tensor  # (B, K, h, w) float32 squared distance, px²; FAR where no one has the keypoint
    person: Tensor  # (B, K, h, w) int64 index of that person; 0 where no one has the keypoint


def nearest_keypoints(batch: Batch, grid: Grid) -> Nearest:
    """The closest person's keypoint of each kind for every cell, on the batch's device.

    A loop over people keeps memory at one map: all people at once would need N times as much.
    """
    h, w = grid.shape(batch.size)
    x, y = grid.centres(w, batch.keypoints), grid.centres(h, batch.keypoints)
    shape = (len(batch), batch.keypoints.shape[2], h, w)
    distance = torch.full(shape, FAR, device=x.device)
    person = torch.zeros(shape, dtype=torch.int64, device=x.device)
    for n in range(batch.most):
        dx = (batch.keypoints[:, n, :, :1] - x).square()  # (B, K, w)
        dy = (batch.keypoints[:, n, :, 1:] - y).square()  # (B, K, h)
        apart = dx[:, :, None, :] + dy[:, :, :, None]
        closer = (apart < distance) & batch.labelled[:, n, :, None, None]
        distance = torch.where(closer, apart, distance)
        person = torch.where(closer, n, person)
    return Nearest(distance, person)
