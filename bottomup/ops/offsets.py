"""Offset fields: what they should be, their refinement through each other, and their error. PersonLab §3."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from bottomup.geometry import Grid, sides


def cell_centres(grid: Grid, h: int, w: int, like: Tensor) -> Tensor:
    """The centres (2, h, w) of a map's cells, x before y, input px."""
    y, x = torch.meshgrid(grid.centres(h, like), grid.centres(w, like), indexing="ij")
    return torch.stack((x, y))


def offsets_to(keypoints: Tensor, person: Tensor, grid: Grid) -> Tensor:
    """The offsets (B, C, 2, h, w), input px, from every cell to one person's keypoint.

    ``keypoints`` is (B, N, C, 2) input px; ``person`` (B, C, h, w) int64 says whose.
    """
    h, w = person.shape[-2:]
    index = person.flatten(2)[:, :, None].expand(-1, -1, 2, -1)  # (B, C, 2, h w)
    ends: Tensor = keypoints.permute(0, 2, 3, 1).gather(3, index).unflatten(3, (h, w))
    return ends - cell_centres(grid, h, w, keypoints)


def refine_offsets(offsets: Tensor, by: Tensor, grid: Grid, steps: int) -> Tensor:
    """Go on from where offsets end by the offset that ``by`` has there, ``steps`` times: eqs 2 and 5.

    Both are (B, C, 2, h, w), input px, on ``grid``; ``by`` is read between cells, its border beyond the map. Gradients reach
    both. Returns (B, C, 2, h, w).
    """
    fields, layers = offsets.flatten(0, 1), by.flatten(0, 1)  # (B C, 2, h, w)
    h, w = fields.shape[-2:]
    side = sides(h, w, fields).view(2, 1, 1)  # cells, which grid_sample counts from -1 to 1 between the outer edges
    here, per_px = 2 * cell_centres(Grid.centred(1), h, w, fields) / side - 1, 2 / (grid.stride * side)
    for _ in range(steps):
        ends = torch.addcmul(here, fields, per_px).permute(0, 2, 3, 1)  # (B C, h, w, 2)
        fields = fields + F.grid_sample(layers, ends, mode="bilinear", padding_mode="border", align_corners=False)
    return fields.view_as(offsets)


def offset_error(offsets: Tensor, target: Tensor, counted: Tensor, radius: float) -> Tensor:
    """(B,) the mean L1 length of offsets' errors over the ``counted`` (B, C, h, w) cells, divided by ``radius``; §3.1.

    A connected 0 for an image in which nothing counts. ``offsets`` and ``target`` are (B, C, 2, h, w), input px.
    """
    length = (offsets - target).abs().sum(2) * counted
    return length.sum((1, 2, 3)) / counted.sum((1, 2, 3)).clamp(min=1) / radius
