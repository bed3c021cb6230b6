"""How an image and its maps come onto a canvas: warped, or without rotation resized and laid on it, in a third of the time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from bottomup.geometry import to_indices, transform_points
from bottomup.samples.warps import MIN_SCALE, as_numbers, extent, warp_image, warp_map

_MARGIN = 2  # px of the image beyond what the canvas shows, of which its outermost pixels are mixed
_LEAST = 128  # canvas px that a part of an image is resized to, where there is so much of it: its scale is off by less than 1 %
_BITS = 8  # behind the point of a pixel's place, where outlines are drawn


class Move(Protocol):
    """A way of an image onto a canvas."""

    @property
    def matrix(self) -> NDArray[np.float64]:
        """The affine (2, 3), image px -> canvas px, that image and maps undergo."""

    def image(self, pixels: NDArray[np.uint8], fill: Sequence[int]) -> NDArray[np.uint8]:
        """An image (h, w, 3) on the canvas (H, W, 3), beyond it the colour ``fill``."""

    def labels(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """A map (h, w) of flags or labels on the canvas (H, W) by nearest pixels, beyond it 0."""

    def beyond(self) -> NDArray[np.bool_]:
        """The canvas's pixels (H, W) that show nothing of the image."""


def move(matrix: NDArray[np.float64], shape: tuple[int, int], size: tuple[int, int]) -> Move:
    """The way of an image of ``shape`` (h, w) onto a canvas of ``size`` (H, W) by an affine matrix (2, 3).

    Without rotation what is seen of the image comes to fill whole pixels: the move's own matrix is then up to half a pixel off, at
    either side of that part.
    """
    if matrix[0, 1] or matrix[1, 0] or matrix[1, 1] <= 0:
        return Warping(matrix, shape, size)
    columns, rows = (_side(matrix[axis, axis], matrix[axis, 2], shape[1 - axis], size[1 - axis]) for axis in (0, 1))
    return Laying(rows, columns, bool(matrix[0, 0] < 0), size)


@dataclass(frozen=True)
class Warping:
    """Any affine ``matrix`` (2, 3), by linear interpolation, of an image of ``shape`` (h, w) onto a canvas of ``size`` (H, W)."""

    matrix: NDArray[np.float64]
    shape: tuple[int, int]
    size: tuple[int, int]

    def image(self, pixels: NDArray[np.uint8], fill: Sequence[int]) -> NDArray[np.uint8]:
        """An image (h, w, 3) on the canvas."""
        return warp_image(pixels, self.matrix, self.size, fill)

    def labels(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """A map (h, w) on the canvas; only where it holds something pixels are moved."""
        canvas = np.zeros(self.size, pixels.dtype)
        x1, y1, x2, y2 = extent(pixels)
        corners = transform_points(np.array(((x1, y1), (x2, y1), (x1, y2), (x2, y2)), np.float64), self.matrix)
        left, top = np.clip(np.floor(corners.min(0)), 0, self.size[::-1]).astype(int).tolist()
        right, bottom = np.clip(np.ceil(corners.max(0)), 0, self.size[::-1]).astype(int).tolist()
        if x1 < x2 and left < right and top < bottom:
            matrix = self.matrix.copy()
            matrix[:, 2] += self.matrix[:, :2] @ (x1, y1) - (left, top)
            part = pixels[y1:y2, x1:x2]
            canvas[top:bottom, left:right] = warp_map(part, matrix, (bottom - top, right - left), 0)
        return canvas

    def beyond(self) -> NDArray[np.bool_]:
        """The canvas's pixels outside the image, but for those that its outline goes through."""
        height, width = self.shape
        corners = np.array(((0, 0), (width, 0), (width, height), (0, height)), np.float64)
        outline = np.rint(to_indices(transform_points(corners, self.matrix)) * (1 << _BITS)).astype(np.int32)
        canvas = np.ones(self.size, np.uint8)
        return np.asarray(cv2.fillConvexPoly(canvas, outline, 0, shift=_BITS).view(bool))


@dataclass(frozen=True)
class Side:
    """Which pixels of one side of an image, [start, stop), come to fill which of the canvas, [first, last), some beyond it."""

    start: int
    stop: int
    first: int
    last: int

    @property
    def scale(self) -> float:
        """Canvas px an image px."""
        return (self.last - self.first) / (self.stop - self.start)

    def seen(self, length: int) -> tuple[slice, slice]:
        """Of what the image's part is resized to, and of a canvas of ``length`` px, those pixels that are on both."""
        first = min(max(self.first, 0), length)
        last = max(first, min(self.last, length))
        return slice(first - self.first, last - self.first), slice(first, last)


@dataclass(frozen=True)
class Laying:
    """Resized, ``mirrored`` left to right or not, and laid on a canvas of ``size`` (H, W)."""

    rows: Side
    columns: Side
    mirrored: bool
    size: tuple[int, int]

    @property
    def matrix(self) -> NDArray[np.float64]:
        """The affine (2, 3), image px -> canvas px."""
        x, y, columns = self.columns.scale, self.rows.scale, self.columns
        along_x = (-x, 0.0, columns.last + x * columns.start) if self.mirrored else (x, 0.0, columns.first - x * columns.start)
        return np.array([along_x, (0.0, y, self.rows.first - y * self.rows.start)])

    def image(self, pixels: NDArray[np.uint8], fill: Sequence[int]) -> NDArray[np.uint8]:
        """An image (h, w, 3) on the canvas; by areas where it becomes much smaller, else by linear interpolation."""
        small = min(self.rows.scale, self.columns.scale) < MIN_SCALE
        canvas, row = np.empty((*self.size, 3), np.uint8), np.tile(np.asarray(fill, np.uint8), self.size[1])
        rows, columns = self._shown
        around = canvas.reshape(self.size[0], -1)  # as NumPy takes twenty times as long pixel by pixel
        around[: rows.start], around[rows.stop :] = row, row
        around[rows, : 3 * columns.start], around[rows, 3 * columns.stop :] = row[: 3 * columns.start], row[3 * columns.stop :]
        self._lay(pixels, canvas, cv2.INTER_AREA if small else cv2.INTER_LINEAR)
        return canvas

    def labels(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """A map (h, w) on the canvas."""
        canvas = np.zeros(self.size, pixels.dtype)
        if pixels.any():
            self._lay(as_numbers(pixels), as_numbers(canvas), cv2.INTER_NEAREST_EXACT)
        return canvas

    def beyond(self) -> NDArray[np.bool_]:
        """The canvas's pixels on which nothing is laid."""
        canvas = np.ones(self.size, bool)
        canvas[self._shown] = False
        return canvas

    @property
    def _shown(self) -> tuple[slice, slice]:
        """The canvas's rows and columns that the image fills."""
        return self.rows.seen(self.size[0])[1], self.columns.seen(self.size[1])[1]

    def _lay(self, pixels: NDArray[Any], canvas: NDArray[Any], interpolation: int) -> None:
        rows, columns = self.rows, self.columns
        (own_rows, on_rows), (own_columns, on_columns) = rows.seen(self.size[0]), columns.seen(self.size[1])
        if on_rows.start == on_rows.stop or on_columns.start == on_columns.stop:
            return
        part = pixels[rows.start : rows.stop, columns.start : columns.stop]
        if self.mirrored:
            part = cv2.flip(part, 1)
        size, place = (columns.last - columns.first, rows.last - rows.first), canvas[on_rows, on_columns]
        if place.shape[1::-1] == size:
            cv2.resize(part, size, place, interpolation=interpolation)
        else:
            place[:] = cv2.resize(part, size, interpolation=interpolation)[own_rows, own_columns]


def _side(factor: float, offset: float, length: int, canvas: int) -> Side:
    """What is seen of a side of ``length`` px that comes to ``factor`` x + ``offset`` on a canvas of ``canvas`` px."""
    low, high = sorted((-offset / factor, (canvas - offset) / factor))
    least = math.ceil(_LEAST / abs(factor))
    start = max(0, min(math.floor(low) - _MARGIN, length - least))
    stop = min(length, max(math.ceil(high) + _MARGIN, start + least))
    along = max(1, round(abs(factor) * (stop - start)))
    first = round(factor * (start + stop) / 2 + offset - along / 2)
    return Side(start, stop, first, first + along)
