"""The pixel convention, stated once.

Coordinates are continuous: x right, y down, an image occupies [0, W] x [0, H], pixel (r, c) covers [c, c + 1) x [r, r + 1)
and its centre is (c + 0.5, r + 0.5). Resizing is x * scale, flipping is W - x, boxes are [x1, y1, x2, y2] with area
(x2 - x1)(y2 - y1). A map lies on a Grid and is sampled, resized and flipped through it only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

Array = TypeVar("Array", NDArray[np.float64], NDArray[np.float32], Tensor)


def to_indices(points: Array) -> Array:
    """Continuous points (..., 2) as indices of pixels, which COCO's keypoints are."""
    return points - 0.5


def from_indices(points: Array) -> Array:
    """Indices of pixels (..., 2), as COCO has them, as continuous points, the pixels' centres."""
    return points + 0.5


@dataclass(frozen=True)
class Grid:
    """Where the cells of a map lie: cell j is centred at ``origin + j * stride`` input px, in x and in y.

    ``origin = stride / 2`` needs input sides that are multiples of the stride (hourglass, FPN);
    ``origin = 0.5`` needs sides n * stride + 1 and has n + 1 cells (dilated and TF-padded networks).
    """

    stride: int
    origin: float

    @classmethod
    def centred(cls, stride: int) -> Grid:
        """The grid whose cells tile the image: origin = stride / 2."""
        return cls(stride, stride / 2)

    @classmethod
    def cornered(cls, stride: int) -> Grid:
        """The grid whose first cell sits on the first pixel: origin = 0.5."""
        return cls(stride, 0.5)

    def cells(self, side: int) -> int:
        """The number of cells along an input side of ``side`` px."""
        return math.ceil((side - self.origin) / self.stride)

    def shape(self, size: tuple[int, int]) -> tuple[int, int]:
        """The map size (h, w) for an input size (H, W)."""
        return self.cells(size[0]), self.cells(size[1])

    def side(self, cells: int) -> int:
        """The input side that a number of cells fits exactly."""
        return round(2 * self.origin + (cells - 1) * self.stride)

    @property
    def tiles(self) -> bool:
        """Whether the cells tile the image."""
        return self == Grid.centred(self.stride)

    def accepts(self, side: int) -> bool:
        """Whether a flip maps the cell centres of an input side onto themselves."""
        return side >= 2 * self.origin and (side - 2 * self.origin) % self.stride == 0

    def centres(self, cells: int, like: Tensor) -> Tensor:
        """The centres of ``cells`` cells, (cells,) input px, on the device of ``like``, float32."""
        return self.origin + self.stride * torch.arange(cells, device=like.device, dtype=torch.float32)

    def to_cells(self, points: Tensor) -> Tensor:
        """Continuous cell coordinates of points in input px; cell j is j exactly."""
        return (points - self.origin) / self.stride

    def to_input(self, cells: Tensor) -> Tensor:
        """Input px of continuous cell coordinates."""
        return cells * self.stride + self.origin

    def nearest(self, points: Tensor) -> Tensor:
        """The cell that each point falls in, int64; a point between two cells falls in the latter."""
        return torch.floor(self.to_cells(points) + 0.5).long()


def smallest_side(side: int, grids: list[Grid]) -> int:
    """The smallest input side >= ``side`` that every grid accepts; ValueError where there is none."""
    period = math.lcm(*(grid.stride for grid in grids))
    for candidate in range(side, side + period + 1):
        if all(grid.accepts(candidate) for grid in grids):
            return candidate
    raise ValueError(f"no input side fits the grids {grids}: grids of origin 0.5 and stride / 2 do not mix")


def resize(maps: Tensor, from_grid: Grid, to_grid: Grid, shape: tuple[int, int], mode: str = "bilinear") -> Tensor:
    """Resample maps (B, C, h, w) from one grid onto ``shape`` cells of another of the same input; moves no peak."""
    whole = torch.tensor([[0.0, 0.0, 1.0, 1.0]], device=maps.device).expand(len(maps), 4)
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
    content = content.to(points.device).view(len(content), *[1] * (points.ndim - 2), 4)
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


def transform_points(points: Array, matrix: Array) -> Array:
    """Move points (..., 2) by an affine matrix (2, 3)."""
    return points @ matrix[:, :2].T + matrix[:, 2]


def transform_boxes(boxes: Array, matrix: Array) -> Array:
    """Move boxes (N, 4) xyxy by an affine matrix (2, 3): the upright box around the four moved corners."""
    corners = transform_points(boxes[:, (0, 1, 2, 1, 2, 3, 0, 3)].reshape(-1, 4, 2), matrix)
    if isinstance(corners, Tensor):
        return torch.cat((corners.amin(1), corners.amax(1)), dim=1)
    return np.concatenate((corners.min(1), corners.max(1)), axis=1)


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


def area_scale(matrix: Array) -> float:
    """By how much an affine matrix (2, 3) enlarges areas."""
    return abs(float(matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0]))


def mirrors(matrix: NDArray[np.float64]) -> bool:
    """Whether an affine matrix (2, 3) turns left into right."""
    return bool(matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0] < 0)


def invert(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse of an affine matrix (2, 3)."""
    whole: NDArray[np.float64] = np.linalg.inv(np.vstack((matrix, (0.0, 0.0, 1.0))))
    return whole[:2]


def chain(first: NDArray[np.float64], then: NDArray[np.float64]) -> NDArray[np.float64]:
    """The affine matrix (2, 3) that applies ``first`` and then ``then``."""
    row = np.array([[0.0, 0.0, 1.0]])
    whole: NDArray[np.float64] = np.vstack((then, row)) @ np.vstack((first, row))
    return whole[:2]


def pixel_matrix(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same map between pixel indices, whose origin is a pixel's centre (cv2.warpAffine, albumentations)."""
    half = np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5]])
    return chain(chain(half, matrix), invert(half))
