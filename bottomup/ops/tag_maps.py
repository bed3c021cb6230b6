"""Reading a map of tags: at peaks, and on another grid."""

from __future__ import annotations

from typing import Literal

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
