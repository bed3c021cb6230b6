"""Instance masks of one image: small maps in memory, pixels on demand."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from torch import Tensor

from bottomup.geometry import Grid, chain, invert, transform_boxes

Window = tuple[slice, slice]  # rows and columns of an image

_HALF_A_CELL = np.array([[1.0, 0.0, -0.5], [0.0, 1.0, -0.5]])  # from where a cell lies as a pixel does to its centre's number


class Crop(NamedTuple):
    """The part of a map that holds one instance, with a margin of a cell."""

    level: Tensor  # (h, w) float16, above 0 inside
    corner: tuple[int, int]  # cell x, y of its first


@dataclass(frozen=True)
class Masks:
    """The masks of P instances, each a crop of a map whose level is above 0 inside, read bilinearly between cells.

    ``to_frame`` (2, 3) takes cells to the px of the frame that the instances are in. A hundred people of a large image take
    a megabyte; their pixels would take a hundred.
    """

    crops: tuple[Crop, ...]
    to_frame: NDArray[np.float64]

    @classmethod
    def of_levels(cls, levels: Tensor, grid: Grid) -> Masks:
        """The masks where maps (P, h, w) on ``grid`` are above 0."""
        to_input = np.array([[grid.stride, 0.0, grid.origin], [0.0, grid.stride, grid.origin]])
        inside = levels > 0
        touched = zip(inside.any(2).numpy(), inside.any(1).numpy(), strict=True)
        return cls(tuple(_crop(level, *own) for level, own in zip(levels.to(torch.float16), touched, strict=True)), to_input)

    @classmethod
    def none(cls, count: int, to_frame: NDArray[np.float64]) -> Masks:
        """Masks of ``count`` instances that hold nothing, on cells that ``to_frame`` (2, 3) takes to px."""
        return cls((Crop(torch.zeros(0, 0, dtype=torch.float16), (0, 0)),) * count, to_frame)

    def __len__(self) -> int:
        return len(self.crops)

    def __getitem__(self, index: Tensor | slice) -> Masks:
        """Some of the masks, by mask, indices or slice."""
        chosen = torch.arange(len(self))[index].tolist()
        return replace(self, crops=tuple(self.crops[i] for i in chosen))

    def transform(self, matrix: NDArray[np.float64]) -> Masks:
        """Move the masks by an affine matrix (2, 3); nothing is drawn, so nothing is lost."""
        return replace(self, to_frame=chain(self.to_frame, matrix))

    def on_cells_of(self, other: Masks) -> Masks:
        """The same masks on the cells of ``other``, read between their own."""
        cells = chain(_HALF_A_CELL, other.to_frame)
        to_own = chain(cells, invert(self.to_frame))
        crops = []
        for crop in self.crops:
            x1, y1, x2, y2 = transform_boxes(_reach(crop), chain(self.to_frame, invert(other.to_frame)))[0]
            rows, columns = (slice(math.floor(low), math.ceil(high) + 1) for low, high in ((y1, y2), (x1, x2)))
            crops.append(_cut(_pixels(crop, to_own, (rows, columns)), (columns.start, rows.start)))
        return Masks(tuple(crops), other.to_frame)

    def means(self, members: Tensor, weights: Tensor) -> Masks:
        """Of each row of members (G, V), indices of masks, the mean of their levels by ``weights`` (G, V); 0 is no member."""
        rows = zip(members.tolist(), weights.tolist(), strict=True)
        return replace(self, crops=tuple(_mean([self.crops[i] for i in own], weight) for own, weight in rows))

    def overlaps(self) -> Tensor:
        """(P, P) the intersection over union of each two masks, in cells; 0 with one that holds nothing."""
        held = [crop for crop in self.crops if crop.level.numel()]
        if not held:
            return torch.zeros(len(self), len(self))
        left, top = (min(crop.corner[axis] for crop in held) for axis in (0, 1))
        right, bottom = (max(crop.corner[axis] + crop.level.shape[1 - axis] for crop in held) for axis in (0, 1))
        inside = torch.zeros(len(self), bottom - top, right - left)
        for row, crop in zip(inside, self.crops, strict=True):
            (x, y), (h, w) = crop.corner if crop.level.numel() else (left, top), crop.level.shape
            row[y - top : y - top + h, x - left : x - left + w] = crop.level > 0
        flat = inside.flatten(1)
        both, own = flat @ flat.T, flat.sum(1)
        return both / (own[:, None] + own - both).clamp(min=1)

    def draw(self, size: tuple[int, int]) -> Tensor:
        """(P, H, W) bool: the pixels of a frame of ``size`` whose centres lie inside."""
        drawn = torch.zeros(len(self), *size, dtype=torch.bool)
        for index, (window, inside) in enumerate(self.windows(size)):
            drawn[index][window] = inside
        return drawn

    def windows(self, size: tuple[int, int]) -> Iterator[tuple[Window, Tensor]]:
        """Each mask in turn as a window of a frame of ``size`` and the pixels (rows, columns) bool inside it."""
        to_cells = invert(self.to_frame)
        for crop in self.crops:
            window = self._window(crop, size)
            yield window, _pixels(crop, to_cells, window) > 0

    def boxes(self, size: tuple[int, int]) -> Tensor:
        """(P, 4) xyxy px: around the pixels of a frame of ``size`` inside each mask; 0 where there are none."""
        found = torch.zeros(len(self), 4)
        for index, ((rows, columns), inside) in enumerate(self.windows(size)):
            y, x = (inside.any(axis).nonzero()[:, 0] for axis in (1, 0))
            if len(y):
                low, high = (columns.start + x[0], rows.start + y[0]), (columns.start + x[-1] + 1, rows.start + y[-1] + 1)
                found[index] = torch.stack((*low, *high))
        return found

    def to_rle(self, size: tuple[int, int]) -> list[dict[str, Any]]:
        """COCO's compressed run-length codes of the masks in a frame of ``size``, as JSON takes them."""
        codes = []
        for window, inside in self.windows(size):
            pixels = np.zeros(size, np.uint8, order="F")
            pixels[window] = inside.numpy()
            code = coco_mask.encode(pixels)
            codes.append({"size": list(size), "counts": code["counts"].decode()})
        return codes

    def _window(self, crop: Crop, size: tuple[int, int]) -> Window:
        """The pixels that a crop may reach: half a cell further than its outer cells' centres."""
        x1, y1, x2, y2 = transform_boxes(_reach(crop), self.to_frame)[0]
        left, right = np.clip((np.floor(x1), np.ceil(x2)), 0, size[1]).astype(int)
        top, bottom = np.clip((np.floor(y1), np.ceil(y2)), 0, size[0]).astype(int)
        return slice(top, bottom), slice(left, right)


def concatenated(parts: Sequence[Masks]) -> Masks:
    """The masks of all parts, at least one, one after the other, on the cells of the first."""
    first = parts[0]
    moved = [part if np.array_equal(part.to_frame, first.to_frame) else part.on_cells_of(first) for part in parts]
    return replace(first, crops=tuple(crop for part in moved for crop in part.crops))


def _reach(crop: Crop) -> NDArray[np.float64]:
    """The box (1, 4) xyxy in cells that a crop may fill: half a cell further than the centres of its outer ones."""
    (x, y), (h, w) = crop.corner, crop.level.shape
    return np.array([[x - 0.5, y - 0.5, x + w - 0.5, y + h - 0.5]])


def _mean(crops: Sequence[Crop], weights: Sequence[float]) -> Crop:
    """The mean level of crops by weight; beyond a crop its outermost level goes on, one that holds nothing does not count."""
    own = [(crop, weight) for crop, weight in zip(crops, weights, strict=True) if weight > 0 and crop.level.numel()]
    if not own:
        return crops[0]._replace(level=crops[0].level[:0, :0])
    left, top = (min(crop.corner[axis] for crop, _ in own) for axis in (0, 1))
    right, bottom = (max(crop.corner[axis] + crop.level.shape[1 - axis] for crop, _ in own) for axis in (0, 1))
    total = torch.zeros(bottom - top, right - left)
    for crop, weight in own:
        (x, y), (h, w) = crop.corner, crop.level.shape
        margins = (x - left, right - x - w, y - top, bottom - y - h)
        total += weight * F.pad(crop.level.float()[None, None], margins, mode="replicate")[0, 0]
    return _cut(total / sum(weight for _, weight in own), (left, top))


def _cut(level: Tensor, corner: tuple[int, int]) -> Crop:
    """The part of a map, whose first cell is ``corner``, that is above 0, with its margin."""
    inside = level > 0
    crop = _crop(level.to(torch.float16), inside.any(1).numpy(), inside.any(0).numpy())
    return crop._replace(corner=(crop.corner[0] + corner[0], crop.corner[1] + corner[1]))


def _crop(level: Tensor, inside_rows: NDArray[np.bool_], inside_columns: NDArray[np.bool_]) -> Crop:
    rows, columns = np.flatnonzero(inside_rows), np.flatnonzero(inside_columns)
    if not len(rows):
        return Crop(level[:0, :0], (0, 0))
    top, left = max(int(rows[0]) - 1, 0), max(int(columns[0]) - 1, 0)
    return Crop(level[top : int(rows[-1]) + 2, left : int(columns[-1]) + 2].clone(), (left, top))


def _pixels(crop: Crop, to_cells: NDArray[np.float64], window: Window) -> Tensor:
    """The level (rows, columns) at the centres of a window's pixels; ``to_cells`` (2, 3) takes px to cells."""
    rows, columns = (torch.arange(side.start, side.stop) + 0.5 for side in window)
    h, w = crop.level.shape
    if not (h and w and len(rows) and len(columns)):
        return torch.zeros(len(rows), len(columns))
    (xx, xy, x0), (yx, yy, y0) = to_cells.tolist()
    x = xx * columns + xy * rows[:, None] + (x0 - crop.corner[0])
    y = yx * columns + yy * rows[:, None] + (y0 - crop.corner[1])
    where = torch.stack(((2 * x + 1) / w - 1, (2 * y + 1) / h - 1), dim=-1)  # grid_sample counts from -1 to 1
    level = crop.level.float()[None, None]
    return F.grid_sample(level, where[None], padding_mode="border", align_corners=False)[0, 0]
