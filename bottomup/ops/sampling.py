"""Reading maps at cells and between them."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


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
    side = points.new_tensor((w, h))
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
    last = points.new_tensor((w - 1, h - 1))
    points = points.nan_to_num().clamp(torch.zeros_like(last), last)
    low = torch.minimum(points, (last - 1).clamp(min=0.0)).long()
    along, down = (points - low)[..., None].unbind(-2)
    x, y = low.unbind(-1)
    flat = maps.flatten(1)
    layers = torch.arange(0, size * h * w, h * w, device=maps.device)
    start = ((channels * size * h + y) * w + x)[..., None] + layers  # (B, ..., D)
    right, below = int(w > 1), w * int(h > 1)

    def read(further: int) -> Tensor:
        return flat.gather(1, (start + further).flatten(1)).view_as(start)

    return read(0).lerp(read(right), along).lerp(read(below).lerp(read(below + right), along), down)
