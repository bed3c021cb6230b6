"""The pixel convention, stated once.

Coordinates are continuous: x right, y down, an image occupies [0, W] x [0, H], pixel (r, c) covers [c, c + 1) x [r, r + 1)
and its centre is (c + 0.5, r + 0.5). Resizing is x * scale, flipping is W - x, boxes are [x1, y1, x2, y2] with area
(x2 - x1)(y2 - y1). A map lies on a Grid and is sampled, resized and flipped through it only.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from bottomup.affine import area_scale as area_scale
from bottomup.affine import chain as chain
from bottomup.affine import invert as invert
from bottomup.affine import mirrors as mirrors
from bottomup.affine import pixel_matrix as pixel_matrix
from bottomup.affine import transform_boxes as _transform_arrays
from bottomup.affine import transform_points as transform_points
from bottomup.devices import beside, constant
from bottomup.grid import Grid as Grid
from bottomup.grid import smallest_side as smallest_side

Array = TypeVar("Array", NDArray[np.float64], NDArray[np.float32], Tensor)


def to_indices(points: Array) -> Array:
    """Continuous points (..., 2) as indices of pixels, which COCO's keypoints are."""
    return points - 0.5


def from_indices(points: Array) -> Array:
    """Indices of pixels (..., 2), as COCO has them, as continuous points, the pixels' centres."""
    return points + 0.5


def sides(h: int, w: int, like: Tensor) -> Tensor:
    """(2,) width and height of maps, of the type and on the device of ``like``, which a graph keeps open."""
    return torch.stack((like.new_full((), w), like.new_full((), h)))


def resize(maps: Tensor, from_grid: Grid, to_grid: Grid, shape: tuple[int, int], mode: str = "bilinear") -> Tensor:
    """Resample maps (B, C, h, w) from one grid onto ``shape`` cells of another of the same input; moves no peak.

    Where both end together, at their cells' edges or centres, it is what every runtime calls resizing: in an exported graph that
    takes a tenth of the time.
    """
    corners = from_grid.origin == to_grid.origin
    together = all(from_grid.side(maps.shape[2 + axis]) == to_grid.side(shape[axis]) for axis in (0, 1))
    if mode == "bilinear" and together and (corners or (from_grid.tiles and to_grid.tiles)):
        return F.interpolate(maps.float(), shape, mode=mode, align_corners=corners).to(maps.dtype)
    whole = constant([[0.0, 0.0, 1.0, 1.0]], maps, torch.float32).expand(maps.shape[0], 4)
    return resample(maps, from_grid, whole, to_grid, whole, shape, mode)


def resample(
    maps: Tensor,
    from_grid: Grid,
    from_content: Tensor,
    to_grid: Grid,
    to_content: Tensor,
    shape: tuple[int, int],
    mode: str = "bilinear",
) -> Tensor:
    """Resample maps (B, C, h, w) so that what lies in ``from_content`` comes to lie in ``to_content``.

    Contents are (B, 4) xyxy input px; outside the map its border value is repeated. ``mode`` is "bilinear" or "nearest".
    """
    from_content, to_content = beside(from_content, maps), beside(to_content, maps)
    h, w = maps.shape[-2:]
    ratio = (from_content[:, 2:] - from_content[:, :2]) / (to_content[:, 2:] - to_content[:, :2])  # (B, 2)
    x = (to_grid.centres(shape[1], maps) - to_content[:, :1]) * ratio[:, :1] + from_content[:, :1]  # (B, w')
    y = (to_grid.centres(shape[0], maps) - to_content[:, 1:2]) * ratio[:, 1:] + from_content[:, 1:2]  # (B, h')
    u = (2 * from_grid.to_cells(x) + 1) / w - 1
    v = (2 * from_grid.to_cells(y) + 1) / h - 1
    where = torch.stack((u[:, None, :].expand(-1, shape[0], -1), v[:, :, None].expand(-1, -1, shape[1])), dim=-1)
    sampled = F.grid_sample(maps.float(), where, mode=mode, padding_mode="border", align_corners=False)
    return sampled.to(maps.dtype)


def enlarge(maps: Tensor, from_grid: Grid, to_grid: Grid, shape: tuple[int, int]) -> Tensor:
    """Maps (B, C, h, w) on ``shape`` cells of a finer grid, each taking the nearest; of two equally near the latter."""
    if from_grid == to_grid:
        return maps
    if from_grid.tiles:
        return F.interpolate(maps, shape, mode="nearest")
    for dim, cells in ((2, shape[0]), (3, shape[1])):
        nearest = from_grid.nearest(to_grid.centres(cells, maps)).clamp(max=maps.shape[dim] - 1)
        maps = maps.index_select(dim, nearest)
    return maps


def in_content(points: Tensor, content: Tensor, reach: float = 0.0) -> Tensor:
    """Which points (B, ..., 2) lie in their image's content (B, 4) xyxy, or at most ``reach`` px in its padding: (B, ...) bool."""
    content = beside(content, points).view(content.shape[0], *[1] * (points.ndim - 2), 4)
    return ((points >= content[..., :2] - reach) & (points <= content[..., 2:] + reach)).all(-1)


def any_at_cells(pixels: Tensor, grid: Grid) -> Tensor:
    """Read a boolean pixel map (B, H, W) at cell centres, (B, h, w); a centre between two pixels reads both."""
    for dim in (1, 2):
        centres = grid.centres(grid.cells(pixels.shape[dim]), pixels)
        before, after = (centres.ceil() - 1).long(), centres.floor().long()
        pixels = pixels.index_select(dim, before) | pixels.index_select(dim, after)
    return pixels


def at_cells(pixels: Tensor, grid: Grid) -> Tensor:
    """Read a pixel map (B, H, W) of any type at cell centres, (B, h, w); a centre between two pixels reads the latter."""
    for dim in (1, 2):
        centres = grid.centres(grid.cells(pixels.shape[dim]), pixels)
        pixels = pixels.index_select(dim, centres.floor().long())
    return pixels


def share_of_cells(pixels: Tensor, grid: Grid) -> Tensor:
    """The share in [0, 1] of each cell's square, stride x stride around its centre, that a boolean pixel map (B, H, W) covers.

    Returns (B, h, w) float32; of a cell that the border cuts, the share of what lies inside.
    """
    rows, columns = (_overlaps(side, grid, pixels) for side in pixels.shape[1:])
    return rows @ pixels.float() @ columns.T


def _overlaps(side: int, grid: Grid, like: Tensor) -> Tensor:
    """(cells, side): how much of each cell lies on each pixel of a side; rows sum to 1."""
    centres, pixel = grid.centres(grid.cells(side), like)[:, None], torch.arange(side, device=like.device)
    first, last = (centres - grid.stride / 2).clamp(min=0), (centres + grid.stride / 2).clamp(max=side)
    return (torch.minimum(last, pixel + 1) - torch.maximum(first, pixel)).clamp(min=0) / (last - first)


def transform_boxes(boxes: Array, matrix: Array) -> Array:
    """Move boxes (N, 4) xyxy by an affine matrix (2, 3): the upright box around the four moved corners."""
    if not isinstance(boxes, Tensor):
        return _transform_arrays(boxes, matrix)
    corners = transform_points(boxes[:, (0, 1, 2, 1, 2, 3, 0, 3)].reshape(-1, 4, 2), matrix)
    return torch.cat((corners.amin(1), corners.amax(1)), dim=1)


def flip_boxes(boxes: Tensor, width: float) -> Tensor:
    """Mirror boxes (..., 4) xyxy in an image of ``width`` px."""
    x1, y1, x2, y2 = boxes.unbind(-1)
    return torch.stack((width - x2, y1, width - x1, y2), dim=-1)


def boxes_around(points: Tensor) -> Tensor:
    """The boxes (P, 4) xyxy around points (P, K, 2), of which those that are NaN do not count; 0 around none."""
    low = points.nan_to_num(nan=torch.inf).amin(1)
    high = points.nan_to_num(nan=-torch.inf).amax(1)
    return torch.where((high >= low).all(1, keepdim=True), torch.cat((low, high), dim=1), 0.0)


def square_around(boxes: Array, scale: float) -> Array:
    """The squares (N, 4) xyxy whose sides are ``scale`` times the longer sides of boxes (N, 4), and whose middles are theirs."""
    middle, sides = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    if isinstance(sides, Tensor):
        reach = sides.amax(1, keepdim=True) * scale / 2
        return torch.cat((middle - reach, middle + reach), dim=1)
    reach = sides.max(1, keepdims=True) * scale / 2
    return np.concatenate((middle - reach, middle + reach), axis=1)
