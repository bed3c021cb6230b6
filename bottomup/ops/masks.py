"""Which pixels are whose: PersonLab §3.2."""

from __future__ import annotations

import torch
from torch import Tensor

from bottomup.geometry import Grid
from bottomup.ops.hough import instance_size
from bottomup.ops.offsets import cell_centres


def embedding_distance(offsets: Tensor, points: Tensor, presence: Tensor, grid: Grid, least: float) -> Tensor:
    """How far, in sizes of the instance, each cell's offsets end from an instance's keypoints: D of eq. 6.

    ``offsets`` (B, K, 2, h, w) input px on ``grid``; ``points`` (B, P, K, 2) input px and ``presence`` (B, P, K), the
    probability that each is there. An instance's size is ``ops.hough.instance_size``, at ``least`` input px. Returns
    (B, P, h, w); infinite for an instance of which nothing is there.
    """
    h, w = offsets.shape[-2:]
    ends = (offsets + cell_centres(grid, h, w, offsets)).flatten(3)  # (B, K, 2, h w)
    size = instance_size(points, least)  # λ (B, P)
    total = presence.sum(2)
    weights = presence / (total * size).clamp(min=torch.finfo(points.dtype).tiny)[..., None]  # (B, P, K)
    distance = offsets.new_zeros(len(offsets), points.shape[1], h * w)
    for k in range(points.shape[2]):  # (B, P, K, h w) at once would be half a gigabyte
        x, y = (ends[:, k, None, axis] - points[:, :, k, axis, None] for axis in (0, 1))  # torch.cdist takes four times as long
        distance.addcmul_(x.square_().addcmul_(y, y).sqrt_(), weights[:, :, k, None])
    return torch.where(total[..., None] > 0, distance, torch.inf).view(*total.shape, h, w)


def nearer_than_others(distance: Tensor) -> Tensor:
    """(P, h, w) by how much each instance of ``distance`` (P, h, w) is nearer to a cell than all others; inf where alone."""
    if len(distance) < 2:
        return torch.full_like(distance, torch.inf)
    best, second = distance.topk(2, dim=0, largest=False).values
    other = torch.where(distance == best, second, best)
    return torch.where(distance.isinf(), -torch.inf, other - distance)


def left_by_better(level: Tensor) -> Tensor:
    """(P, h, w) what is left of the levels (P, h, w) of instances, best first, above 0 inside, outside all better ones."""
    better = level[:-1].cummax(0).values
    return torch.cat((level[:1], torch.minimum(level[1:], -better)))


def foreground_level(foreground: Tensor, threshold: float) -> Tensor:
    """A probability in [0, 1] as a level in [-1, 1] that is 0 at ``threshold``, of the same shape."""
    above = foreground - threshold
    return torch.where(above > 0, above / (1 - threshold), above / threshold)
