"""Hough voting: every cell votes for where its offset ends. PersonLab §3.1, eq. 1."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from bottomup.geometry import Grid
from bottomup.ops.offsets import cell_centres
from bottomup.ops.sampling import gather_maps


def hough_votes(scores: Tensor, offsets: Tensor, grid: Grid, radius: float, threshold: float | None = None) -> Tensor:
    """Score maps (B, K, h, w) of the votes that cells cast, each with its score and through the bilinear kernel; eq. 1.

    ``scores`` is (B, K, h, w) in [0, 1], ``offsets`` (B, K, 2, h, w) input px on ``grid``. A perfect disk of ``radius`` input px
    votes 1 in all, at any stride. With ``threshold`` only cells of a higher score vote, and the cost is theirs alone. Votes
    beyond the map are lost.
    """
    b, k, h, w = scores.shape
    ends = grid.to_cells(cell_centres(grid, h, w, offsets) + offsets)
    x, y, weight = ends[:, :, 0].flatten(), ends[:, :, 1].flatten(), scores.flatten()
    base = torch.arange(b * k, device=scores.device).repeat_interleave(h * w) * (h * w)
    if threshold is not None:
        voting = (weight > threshold).nonzero()[:, 0]
        x, y, weight, base = x[voting], y[voting], weight[voting], base[voting]
    left, top = x.floor(), y.floor()
    right, below = x - left, y - top  # the shares of the cells further on
    votes = weight.new_zeros(b * k * h * w)
    for dx, across in ((0, 1 - right), (1, right)):
        for dy, down in ((0, 1 - below), (1, below)):
            column, row = left + dx, top + dy
            inside = (column >= 0) & (column < w) & (row >= 0) & (row < h)
            cell = torch.where(inside, row * w + column, 0.0).long() + base
            votes.index_add_(0, cell, torch.where(inside, weight * across * down, 0.0))
    cells_of_a_disk = math.pi * (radius / grid.stride) ** 2
    return votes.view(b, k, h, w) / cells_of_a_disk


def centre_of_mass(maps: Tensor, cells: Tensor) -> Tensor:
    """Where around peaks (B, K, M, 2), in cells, the mass of a map (B, K, h, w) lies: its centre in the 3 x 3 cells about each.

    Votes cast through the bilinear kernel for one point, wherever between the cells, have their centre there exactly. Cells
    beyond the map hold nothing; a peak without mass stays.
    """
    h, w = maps.shape[-2:]
    steps = torch.cartesian_prod(*[torch.arange(-1.0, 2.0, device=maps.device)] * 2)  # (9, 2)
    around = cells[..., None, :] + steps  # (B, K, M, 9, 2)
    x, y = around.unbind(-1)
    inside = (x >= 0) & (x < w) & (y >= 0) & (y < h)
    mass = torch.where(inside, gather_maps(maps, around), 0.0)[..., None]
    total = mass.sum(-2)
    return torch.where(total > 0, (around * mass).sum(-2) / total.clamp(min=torch.finfo(maps.dtype).tiny), cells)


def instance_size(points: Tensor, least: float) -> Tensor:
    """λ (B, P), the square root of the area of the box around instances' keypoints (B, P, K, 2), at ``least`` so much; px.

    The paper has no least; without, a person of whom one keypoint is there would have no size, and no score.
    """
    return (points.amax(2) - points.amin(2)).prod(-1).sqrt().clamp(min=least)


def expected_oks(votes: Tensor, points: Tensor, grid: Grid, radius: float, least: float, sigmas: Sequence[float]) -> Tensor:
    """The OKS that the votes in the disk about an instance's keypoints promise: the integral of eq. 3.

    ``votes`` is (B, K, h, w) on ``grid``, ``points`` (B, P, K, 2) and ``radius`` are input px. The scale λ is ``instance_size``,
    at ``least`` input px; k = 2 ``sigmas``. Returns (B, P, K) in [0, 1]; 0 where nobody votes.
    """
    places = points.transpose(1, 2)  # (B, K, P, 2)
    h, w = votes.shape[-2:]
    reach = math.ceil(radius / grid.stride)
    steps = torch.cartesian_prod(*[torch.arange(-reach, reach + 1.0, device=votes.device)] * 2)
    around = grid.to_cells(places).round()[..., None, :] + steps  # (B, K, P, S, 2)
    x, y = around.unbind(-1)
    apart = (grid.to_input(around) - places[..., None, :]).square().sum(-1)
    counted = (apart <= radius**2) & (x >= 0) & (x < w) & (y >= 0) & (y < h)
    mass = torch.where(counted, gather_maps(votes, around), 0.0)
    area = instance_size(points, least).square()[:, None, :, None]  # (B, 1, P, 1) px²
    kappa = 2 * votes.new_tensor(sigmas).view(1, -1, 1, 1)
    similar = torch.exp(-apart / (2 * area * kappa.square()))
    return ((mass * similar).sum(-1) / mass.sum(-1).clamp(min=torch.finfo(mass.dtype).tiny)).transpose(1, 2)
