"""Hough voting: every cell votes for where its offset ends. PersonLab §3.1, eq. 1."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from bottomup.devices import constant
from bottomup.geometry import Grid, sides
from bottomup.ops.sampling import gather_maps


def hough_votes(scores: Tensor, offsets: Tensor, grid: Grid, radius: float, threshold: float | None = None) -> Tensor:
    """Score maps (B, K, h, w) of the votes that cells cast, each with its score and through the bilinear kernel; eq. 1.

    ``scores`` is (B, K, h, w) in [0, 1], ``offsets`` (B, K, 2, h, w) input px on ``grid``. A perfect disk of ``radius`` input px
    votes 1 in all, at any stride. With ``threshold`` only cells of a higher score vote, and most of the cost is theirs. Votes
    beyond the map are lost.
    """
    b, k, h, w = scores.shape
    weight = scores.flatten()
    columns, rows = (torch.arange(side, dtype=torch.float32, device=offsets.device) for side in (w, h))
    x = torch.add(columns, offsets[:, :, 0], alpha=1 / grid.stride).flatten()
    y = torch.add(rows[:, None], offsets[:, :, 1], alpha=1 / grid.stride).flatten()
    if threshold is not None and weight.is_cuda:  # to count the cells that vote would be a wait, and cost more than their votes
        weight = torch.where(weight > threshold, weight, 0.0)
    if threshold is None or weight.is_cuda:
        voting = torch.arange(weight.numel(), device=weight.device)
    else:
        voting = (weight > threshold).nonzero()[:, 0]
        weight, x, y = (values.index_select(0, voting) for values in (weight, x, y))
    x, y = x.nan_to_num(nan=-1.0).clamp(-1, w), y.nan_to_num(nan=-1.0).clamp(-1, h)
    left, top = x.floor(), y.floor()
    right, below = x - left, y - top  # the shares of the cells further on
    # a rim of one cell before and two after takes what falls beyond the map
    rim_w, rim_h = w + 3, h + 3
    cell = (voting // (h * w) * rim_h + top.long() + 1) * rim_w + left.long() + 1
    votes = weight.new_zeros(b * k * rim_h * rim_w)
    lower = weight * below
    upper = weight - lower
    for further, share in (
        (0, upper - upper * right),
        (1, upper * right),
        (rim_w, lower - lower * right),
        (rim_w + 1, lower * right),
    ):
        votes.index_add_(0, cell + further, share)
    cells_of_a_disk = math.pi * (radius / grid.stride) ** 2
    return votes.view(b, k, rim_h, rim_w)[..., 1 : h + 1, 1 : w + 1] / cells_of_a_disk


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
    width, height = (points.amax(2) - points.amin(2)).unbind(-1)
    return (width * height).sqrt().clamp(min=least)


def expected_oks(votes: Tensor, points: Tensor, grid: Grid, radius: float, least: float, sigmas: Sequence[float]) -> Tensor:
    """The OKS that the votes in the disk about an instance's keypoints promise: the integral of eq. 3.

    ``votes`` is (B, K, h, w) on ``grid``, ``points`` (B, P, K, 2) and ``radius`` are input px. The scale λ is ``instance_size``,
    at ``least`` input px; k = 2 ``sigmas``. Returns (B, P, K) in [0, 1]; 0 where nobody votes.
    """
    h, w = votes.shape[-2:]
    reach = math.ceil(radius / grid.stride)
    rim = 2 * reach + 1  # of cells without votes, so that nothing read lies beyond
    padded = F.pad(votes, (rim,) * 4)
    side = torch.arange(-reach, reach + 1, device=votes.device)
    steps = torch.cartesian_prod(side, side)  # (S, 2), x before y
    points = points.nan_to_num()
    cells = grid.to_cells(points.transpose(1, 2))  # (B, K, P, 2)
    middle = cells.round()
    last = sides(h + reach, w + reach, middle)
    x, y = torch.minimum(middle.clamp(min=-reach - 1), last).long().unbind(-1)  # further off there are no votes either
    width = w + 2 * rim
    index = ((y + rim) * width + x + rim)[..., None] + (steps[:, 1] * width + steps[:, 0])  # (B, K, P, S)
    mass = padded.flatten(2).gather(2, index.flatten(2)).view_as(index)
    off, step = (middle - cells) * grid.stride, steps * float(grid.stride)
    apart = 2 * off @ step.T + (off.square().sum(-1, keepdim=True) + step.square().sum(-1))  # |off + step|², px²
    mass = torch.where(apart <= radius**2, mass, 0.0)
    kappa = 2 * constant(sigmas, votes).view(1, -1, 1)
    falloff = -0.5 / (instance_size(points, least)[:, None] * kappa).square()  # (B, K, P)
    promised = (mass * torch.exp(apart * falloff[..., None])).sum(-1)
    return (promised / mass.sum(-1).clamp(min=torch.finfo(mass.dtype).tiny)).transpose(1, 2)
