"""Reading a map of tags: at peaks, on another grid, and where in it somebody is, the best cell for a mean tag."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from bottomup.geometry import Grid, resize
from bottomup.ops.sampling import gather_maps, sample_bilinear

TagsBetween = Literal["nearest", "bilinear"]


def read_tags(tags: Tensor, own: Grid, cells: Tensor, grid: Grid, between: TagsBetween) -> Tensor:
    """The tags (B, K, ..., D) of maps (B, K, D, h, w) on their ``own`` grid at cells (B, K, ..., 2) of another ``grid``, float32.

    As if the maps were resized first (``resize_tags``): the same numbers, of fewer places.
    """
    if own == grid:
        return gather_maps(tags, cells).float()
    points = grid.to_input(cells)
    if between == "nearest":
        return gather_maps(tags, own.nearest(points)).float()
    return sample_bilinear(tags.float(), own.to_cells(points))


def resize_tags(tags: Tensor, own: Grid, grid: Grid, shape: tuple[int, int], between: TagsBetween) -> Tensor:
    """Maps of tags (B, K, D, h, w) on their ``own`` grid on ``shape`` cells of another ``grid``, float32.

    ``between`` its cells "nearest" keeps each person's tags, "bilinear" mixes those of people who touch.
    """
    tags = tags.float()
    if own == grid:
        return tags
    if between == "nearest":
        for dim, cells in ((-2, shape[0]), (-1, shape[1])):
            tags = tags.index_select(dim, own.nearest(grid.centres(cells, tags)).clamp(0, tags.shape[dim] - 1))
        return tags
    resized: Tensor = resize(tags.flatten(1, 2), own, grid, shape).unflatten(1, tags.shape[1:3])
    return resized


def best_cells(heatmap: Tensor, tags: Tensor, kinds: Tensor, means: Tensor, least: float) -> tuple[Tensor, Tensor]:
    """Of each of S missing keypoints the cell of the greatest heatmap value less the tag distance in whole units.

    ``heatmap`` (K, h, w) and ``tags`` (K, D, h, w) are of one image, ``kinds`` (S,) int64 says which keypoint is missing and
    ``means`` (S, D) the mean tag of who misses it. Cells count whose heatmap is positive and at least ``least``. Returns the cells
    (S, 2), x, y, and their heatmap values (S,), 0 where no cell counts.
    """
    w = heatmap.shape[-1]
    heat, flat = heatmap.flatten(1), tags.flatten(2)
    counted = (heat >= least) & (heat > 0) & heat.isfinite() & flat.isfinite().all(1)  # a diverged network's tags fit nobody
    heat, flat = torch.where(counted, heat, -torch.inf), torch.where(counted[:, None], flat, 0.0)
    best = [_best(heat[k], flat[k], mean) for k, mean in zip(kinds.tolist(), means, strict=True)]
    fits, index = (torch.stack(part) for part in zip(*best, strict=True))
    values = torch.where(fits.isfinite(), heat[kinds, index], 0.0)
    return torch.stack((index % w, index // w), dim=-1), values


def _best(heat: Tensor, tags: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
    """How well the best of cells of heat (hw,) and tags (D, hw) fits a mean tag (D,), and which it is.

    One mean after another and in place, in a third of the time of all at once, which a core's cache does not hold.
    """
    apart = tags - mean[:, None]
    apart = apart[0].abs_() if len(apart) == 1 else apart.square_().sum(0).sqrt_()
    fit, index = torch.sub(heat, apart.round_(), out=apart).max(0)
    return fit, index
