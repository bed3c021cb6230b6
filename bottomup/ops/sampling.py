"""Reading maps at cells and between them."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from bottomup.geometry import sides


def gather_maps(maps: Tensor, cells: Tensor) -> Tensor:
    """Read every map at cells of its own.

    ``maps`` is (B, K, h, w) or (B, K, D, h, w), ``cells`` (B, K, ..., 2) whole x, y cell indices, float or int; outside
    the map its border is read. Returns (B, K, ...) or (B, K, ..., D).
    """
    h, w = maps.shape[-2:]
    x = cells[..., 0].long().clamp(0, w - 1)
    y = cells[..., 1].long().clamp(0, h - 1)
    index = (y * w + x).flatten(2)  # (B, K, P)
    if maps.dim() == 4:
        return maps.flatten(-2).gather(-1, index).view(cells.shape[:-1])
    size = maps.shape[2]
    read = maps.flatten(-2).gather(-1, index[:, :, None].expand(-1, -1, size, -1))  # (B, K, D, P)
    return read.transpose(2, 3).reshape(*cells.shape[:-1], size)


def sample_bilinear(maps: Tensor, points: Tensor) -> Tensor:
    """Read every map between cells, by bilinear interpolation; gradients reach both the maps and the points.

    ``maps`` is (B, K, h, w) or (B, K, D, h, w), ``points`` (B, K, ..., 2) x, y in cells: cell j is j exactly
    (``Grid.to_cells``); outside the map its border is read. Returns (B, K, ...) or (B, K, ..., D).
    """
    layers = maps[:, :, None] if maps.dim() == 4 else maps
    b, k, size, h, w = layers.shape
    side = sides(h, w, points)
    normalised = (2 * points + 1) / side - 1  # grid_sample counts from -1 to 1, between the outer edges of the cells
    read = F.grid_sample(
        layers.reshape(b * k, size, h, w),
        normalised.reshape(b * k, 1, math.prod(points.shape[2:-1]), 2).to(maps.dtype),
        mode="bilinear",
        padding_mode="border",
        align_corners=False,
    )  # (B K, D, 1, P)
    read = read.view(b, k, size, read.shape[-1]).transpose(2, 3)  # (B, K, P, D)
    values: Tensor = read.reshape(*points.shape[:-1], size)
    return values[..., 0] if maps.dim() == 4 else values


def sample_channels(maps: Tensor, channels: Tensor, points: Tensor) -> Tensor:
    """Read each point's own channel between cells: ``maps`` (B, C, D, h, w), ``channels`` (...) int64, ``points`` (B, ..., 2).

    Points are x, y in cells, as in ``sample_bilinear``; outside the map its border is read. Returns (B, ..., D).
    """
    _, _, size, h, w = maps.shape
    points = points.nan_to_num()
    x, y = points[..., 0].clamp(0, w - 1), points[..., 1].clamp(0, h - 1)
    left, top = x.clamp(max=max(w - 2, 0)).long(), y.clamp(max=max(h - 2, 0)).long()
    along, down = (x - left)[:, None], (y - top)[:, None]
    flat = maps.flatten(1)
    first = (channels * size * h + top) * w + left
    start = torch.stack([first + layer * h * w for layer in range(size)], dim=1)  # (B, D, ...), for shares that repeat outside
    right, below = int(w > 1), w * int(h > 1)

    def read(further: int) -> Tensor:
        return flat.gather(1, (start + further).flatten(1)).view_as(start)

    return read(0).lerp(read(right), along).lerp(read(below).lerp(read(below + right), along), down).movedim(1, -1)
