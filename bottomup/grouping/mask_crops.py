"""Instance masks of one image as arrays: small maps in memory, pixels on demand."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from bottomup.affine import chain, invert, transform_boxes
from bottomup.grid import Grid
from bottomup.grouping.reading import read_between

Window = tuple[slice, slice]  # rows and columns of an image
Floats = NDArray[np.float32]

_HALF_A_CELL = np.array([[1.0, 0.0, -0.5], [0.0, 1.0, -0.5]])  # from where a cell lies as a pixel does to its centre's number


class Crop(NamedTuple):
    """The part of a map that holds one instance, with a margin of a cell."""

    level: NDArray[np.float16]  # (h, w), above 0 inside
    corner: tuple[int, int]  # cell x, y of its first


@dataclass(frozen=True)
class MaskCrops:
    """The masks of P instances, each a crop of a map whose level is above 0 inside, read bilinearly between cells.

    ``to_frame`` (2, 3) takes cells to the px of the frame that the instances are in. A hundred people of a large image take
    a megabyte; their pixels would take a hundred.
    """

    crops: tuple[Crop, ...]
    to_frame: NDArray[np.float64]

    @classmethod
    def of_levels(cls, levels: Floats, grid: Grid) -> MaskCrops:
        """The masks where maps (P, h, w) on ``grid`` are above 0."""
        to_input = np.array([[grid.stride, 0.0, grid.origin], [0.0, grid.stride, grid.origin]])
        return cls(tuple(_crop(level, level > 0) for level in levels), to_input)

    @classmethod
    def none(cls, count: int, to_frame: NDArray[np.float64]) -> MaskCrops:
        """Masks of ``count`` instances that hold nothing, on cells that ``to_frame`` (2, 3) takes to px."""
        return cls((Crop(np.zeros((0, 0), np.float16), (0, 0)),) * count, to_frame)

    def __len__(self) -> int:
        return len(self.crops)

    def __getitem__(self, index: NDArray[Any] | slice) -> MaskCrops:
        """Some of the masks, by mask, indices or slice."""
        return replace(self, crops=tuple(self.crops[i] for i in np.arange(len(self))[index].tolist()))

    def transform(self, matrix: NDArray[np.float64]) -> MaskCrops:
        """Move the masks by an affine matrix (2, 3); nothing is drawn, so nothing is lost."""
        return replace(self, to_frame=chain(self.to_frame, matrix))

    def shifted(self, steps: Sequence[tuple[int, int]]) -> MaskCrops:
        """Each mask moved by whole cells (x, y) of its own."""
        corners = [(crop.corner[0] + x, crop.corner[1] + y) for crop, (x, y) in zip(self.crops, steps, strict=True)]
        crops = [crop._replace(corner=corner) for crop, corner in zip(self.crops, corners, strict=True)]
        return replace(self, crops=tuple(crops))

    def on_cells_of(self, other: MaskCrops) -> MaskCrops:
        """The same masks on the cells of ``other``, read between their own."""
        cells = chain(_HALF_A_CELL, other.to_frame)
        to_own = chain(cells, invert(self.to_frame))
        crops = []
        for crop in self.crops:
            x1, y1, x2, y2 = transform_boxes(_reach(crop), chain(self.to_frame, invert(other.to_frame)))[0]
            rows, columns = (slice(math.floor(low), math.ceil(high) + 1) for low, high in ((y1, y2), (x1, x2)))
            crops.append(_cut(_pixels(crop, to_own, (rows, columns)), (columns.start, rows.start)))
        return MaskCrops(tuple(crops), other.to_frame)

    def means(self, members: NDArray[np.int64], weights: Floats) -> MaskCrops:
        """Of each row of members (G, V), indices of masks, the mean of their levels by ``weights`` (G, V); 0 is no member."""
        rows = zip(members.tolist(), weights.tolist(), strict=True)
        return replace(self, crops=tuple(_mean([self.crops[i] for i in own], weight) for own, weight in rows))

    def overlaps(self) -> Floats:
        """(P, P) the intersection over union of each two masks, in cells; 0 with one that holds nothing."""
        held = [crop for crop in self.crops if crop.level.size]
        if not held:
            return np.zeros((len(self), len(self)), np.float32)
        left, top, right, bottom = _around(held)
        inside = np.zeros((len(self), bottom - top, right - left), np.float32)
        for row, crop in zip(inside, self.crops, strict=True):
            (x, y), (h, w) = crop.corner if crop.level.size else (left, top), crop.level.shape
            row[y - top : y - top + h, x - left : x - left + w] = crop.level > 0
        flat = inside.reshape(len(self), -1)
        both, own = flat @ flat.T, flat.sum(1)
        return np.asarray(both / (own[:, None] + own - both).clip(min=1))

    def draw(self, size: tuple[int, int]) -> NDArray[np.bool_]:
        """(P, H, W): the pixels of a frame of ``size`` whose centres lie inside."""
        drawn = np.zeros((len(self), *size), bool)
        for index, (window, inside) in enumerate(self.windows(size)):
            drawn[index][window] = inside
        return drawn

    def windows(self, size: tuple[int, int]) -> Iterator[tuple[Window, NDArray[np.bool_]]]:
        """Each mask in turn as a window of a frame of ``size`` and the pixels (rows, columns) inside it."""
        to_cells = invert(self.to_frame)
        for crop in self.crops:
            window = self._window(crop, size)
            yield window, _pixels(crop, to_cells, window) > 0

    def boxes(self, size: tuple[int, int]) -> Floats:
        """(P, 4) xyxy px: around the pixels of a frame of ``size`` inside each mask; 0 where there are none."""
        found = np.zeros((len(self), 4), np.float32)
        for index, ((rows, columns), inside) in enumerate(self.windows(size)):
            y, x = (np.flatnonzero(inside.any(axis)) for axis in (1, 0))
            if len(y):
                found[index] = columns.start + x[0], rows.start + y[0], columns.start + x[-1] + 1, rows.start + y[-1] + 1
        return found

    def _window(self, crop: Crop, size: tuple[int, int]) -> Window:
        """The pixels that a crop may reach: half a cell further than its outer cells' centres."""
        x1, y1, x2, y2 = transform_boxes(_reach(crop), self.to_frame)[0]
        left, right = np.clip((np.floor(x1), np.ceil(x2)), 0, size[1]).astype(int)
        top, bottom = np.clip((np.floor(y1), np.ceil(y2)), 0, size[0]).astype(int)
        return slice(top, bottom), slice(left, right)


def concatenated(parts: Sequence[MaskCrops]) -> MaskCrops:
    """The masks of all parts, at least one, one after the other, on the cells of the first."""
    first = parts[0]
    moved = [part if np.array_equal(part.to_frame, first.to_frame) else part.on_cells_of(first) for part in parts]
    return replace(first, crops=tuple(crop for part in moved for crop in part.crops))


def _reach(crop: Crop) -> NDArray[np.float64]:
    """The box (1, 4) xyxy in cells that a crop may fill: half a cell further than the centres of its outer ones."""
    (x, y), (h, w) = crop.corner, crop.level.shape
    return np.array([[x - 0.5, y - 0.5, x + w - 0.5, y + h - 0.5]])


def _around(crops: Sequence[Crop]) -> tuple[int, int, int, int]:
    """The cells x, y at which crops begin and end."""
    left, top = (min(crop.corner[axis] for crop in crops) for axis in (0, 1))
    right, bottom = (max(crop.corner[axis] + crop.level.shape[1 - axis] for crop in crops) for axis in (0, 1))
    return left, top, right, bottom


def _mean(crops: Sequence[Crop], weights: Sequence[float]) -> Crop:
    """The mean level of crops by weight; beyond a crop its outermost level goes on, one that holds nothing does not count."""
    own = [(crop, weight) for crop, weight in zip(crops, weights, strict=True) if weight > 0 and crop.level.size]
    if not own:
        return crops[0]._replace(level=crops[0].level[:0, :0])
    left, top, right, bottom = _around([crop for crop, _ in own])
    total = np.zeros((bottom - top, right - left), np.float32)
    for crop, weight in own:
        (x, y), (h, w) = crop.corner, crop.level.shape
        around = ((y - top, bottom - y - h), (x - left, right - x - w))
        total += weight * np.pad(crop.level.astype(np.float32), around, mode="edge")
    return _cut(total / np.float32(sum(weight for _, weight in own)), (left, top))


def _cut(level: Floats, corner: tuple[int, int]) -> Crop:
    """The part of a map, whose first cell is ``corner``, that is above 0, with its margin."""
    crop = _crop(level, level > 0)
    return crop._replace(corner=(crop.corner[0] + corner[0], crop.corner[1] + corner[1]))


def _crop(level: Floats, inside: NDArray[np.bool_]) -> Crop:
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    if not len(rows):
        return Crop(np.zeros((0, 0), np.float16), (0, 0))
    top, left = max(int(rows[0]) - 1, 0), max(int(columns[0]) - 1, 0)
    return Crop(level[top : int(rows[-1]) + 2, left : int(columns[-1]) + 2].astype(np.float16), (left, top))


def _pixels(crop: Crop, to_cells: NDArray[np.float64], window: Window) -> Floats:
    """The level (rows, columns) at the centres of a window's pixels; ``to_cells`` (2, 3) takes px to cells."""
    rows, columns = (np.arange(side.start, side.stop) + 0.5 for side in window)
    if not (crop.level.size and len(rows) and len(columns)):
        return np.zeros((len(rows), len(columns)), np.float32)
    (xx, xy, x0), (yx, yy, y0) = to_cells.tolist()
    x0, y0 = x0 - crop.corner[0], y0 - crop.corner[1]
    level = crop.level.astype(np.float32)
    if not xy and not yx:
        return read_between(level, yy * rows + y0, xx * columns + x0)
    places = (yx * columns + yy * rows[:, None] + y0, xx * columns + xy * rows[:, None] + x0)
    return np.asarray(map_coordinates(level, places, order=1, mode="nearest"))
