"""Offset fields: what they should be, their refinement through each other, and their error. PersonLab §3."""

from __future__ import annotations

import torch
from torch import Tensor

from bottomup.geometry import Grid
from bottomup.ops.sampling import sample_bilinear


def cell_centres(grid: Grid, h: int, w: int, like: Tensor) -> Tensor:
    """The centres (2, h, w) of a map's cells, x before y, input px."""
    y, x = torch.meshgrid(grid.centres(h, like), grid.centres(w, like), indexing="ij")
    return torch.stack((x, y))


def offsets_to(keypoints: Tensor, person: Tensor, grid: Grid) -> Tensor:
    """The offsets (B, C, 2, h, w), input px, from every cell to one person's keypoint.

    ``keypoints`` is (B, N, C, 2) input px; ``person`` (B, C, h, w) int64 says whose.
    """
    h, w = person.shape[-2:]
    index = person.flatten(2)[..., None].expand(-1, -1, -1, 2)  # (B, C, h w, 2)
    ends: Tensor = keypoints.transpose(1, 2).gather(2, index).transpose(2, 3).unflatten(3, (h, w))
    return ends - cell_centres(grid, h, w, keypoints)


def refine_offsets(offsets: Tensor, by: Tensor, grid: Grid, steps: int) -> Tensor:
    """Go on from where offsets end by the offset that ``by`` has there, ``steps`` times: eqs 2 and 5.

    Both are (B, C, 2, h, w), input px, on ``grid``; ``by`` is read between cells, its border beyond the map. Gradients reach
    both. Returns (B, C, 2, h, w).
    """
    h, w = offsets.shape[-2:]
    centres = cell_centres(grid, h, w, offsets)
    for _ in range(steps):
        ends = grid.to_cells(centres + offsets).permute(0, 1, 3, 4, 2)  # (B, C, h, w, 2), cells
        offsets = offsets + sample_bilinear(by, ends).permute(0, 1, 4, 2, 3)
    return offsets


def offset_error(offsets: Tensor, target: Tensor, counted: Tensor, radius: float) -> Tensor:
    """(B,) the mean L1 length of offsets' errors over the ``counted`` (B, C, h, w) cells, divided by ``radius``; §3.1.

    A connected 0 for an image in which nothing counts. ``offsets`` and ``target`` are (B, C, 2, h, w), input px.
    """
    length = (offsets - target).abs().sum(2) * counted
    return length.sum((1, 2, 3)) / counted.sum((1, 2, 3)).clamp(min=1) / radius
