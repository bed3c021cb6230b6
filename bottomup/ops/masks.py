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
    distance = offsets.new_zeros(offsets.shape[0], points.shape[1], h * w)
    for k in range(points.shape[2]):  # (B, P, K, h w) at once would be half a gigabyte
        x, y = (ends[:, k, None, axis] - points[:, :, k, axis, None] for axis in (0, 1))  # torch.cdist takes four times as long
        distance.addcmul_(x.square_().addcmul_(y, y).sqrt_(), weights[:, :, k, None])
    return torch.where(total[..., None] > 0, distance, torch.inf).view(*total.shape, h, w)
