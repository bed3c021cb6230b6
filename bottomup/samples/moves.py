"""How an image and its maps come onto a canvas: warped, or without rotation resized and laid on it, in a third of the time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from bottomup.framing import blank
from bottomup.samples.warps import MIN_SCALE, warp_image, warp_map

_MARGIN = 2  # px of the image beyond what the canvas shows, of which its outermost pixels are mixed
_LEAST = 128  # canvas px that a part of an image is resized to, where there is so much of it: its scale is off by less than 1 %


class Move(Protocol):
    """A way of an image onto a canvas."""

    @property
    def matrix(self) -> NDArray[np.float64]:
        """The affine (2, 3), image px -> canvas px, that image and maps undergo."""

    def image(self, pixels: NDArray[np.uint8], fill: Sequence[int]) -> NDArray[np.uint8]:
        """An image (h, w, 3) on the canvas (H, W, 3), beyond it the colour ``fill``."""

    def labels(self, pixels: NDArray[Any], outside: int) -> NDArray[Any]:
        """A map (h, w) of flags or labels on the canvas (H, W) by nearest pixels, beyond it ``outside``."""


def move(matrix: NDArray[np.float64], shape: tuple[int, int], size: tuple[int, int]) -> Move:
    """The way of an image of ``shape`` (h, w) onto a canvas of ``size`` (H, W) by an affine matrix (2, 3).

    Without rotation what is seen of the image comes to fill whole pixels: the move's own matrix is then up to half a pixel off, at
    either side of that part.
    """
    if matrix[0, 1] or matrix[1, 0] or matrix[1, 1] <= 0:
        return Warping(matrix, size)
    columns, rows = (_side(matrix[axis, axis], matrix[axis, 2], shape[1 - axis], size[1 - axis]) for axis in (0, 1))
    return Laying(rows, columns, bool(matrix[0, 0] < 0), size)


@dataclass(frozen=True)
class Warping:
    """Any affine ``matrix`` (2, 3), by linear interpolation, onto a canvas of ``size`` (H, W)."""

    matrix: NDArray[np.float64]
    size: tuple[int, int]

    def image(self, pixels: NDArray[np.uint8], fill: Sequence[int]) -> NDArray[np.uint8]:
        """An image (h, w, 3) on the canvas."""
        return warp_image(pixels, self.matrix, self.size, fill)

    def labels(self, pixels: NDArray[Any], outside: int) -> NDArray[Any]:
        """A map (h, w) on the canvas."""
        return warp_map(pixels, self.matrix, self.size, outside)


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
        return self._laid(pixels, blank(self.size, fill), cv2.INTER_AREA if small else cv2.INTER_LINEAR)

    def labels(self, pixels: NDArray[Any], outside: int) -> NDArray[Any]:
        """A map (h, w) on the canvas."""
        canvas = np.full(self.size, outside, pixels.dtype)
        if pixels.any():
            return self._laid(pixels, canvas, cv2.INTER_NEAREST_EXACT)
        canvas[self.rows.seen(self.size[0])[1], self.columns.seen(self.size[1])[1]] = 0
        return canvas

    def _laid(self, pixels: NDArray[Any], canvas: NDArray[Any], interpolation: int) -> NDArray[Any]:
        rows, columns = self.rows, self.columns
        part = pixels[rows.start : rows.stop, columns.start : columns.stop]
        resized = cv2.resize(part, (columns.last - columns.first, rows.last - rows.first), interpolation=interpolation)
        if self.mirrored:
            resized = cv2.flip(resized, 1)
        (own_rows, on_rows), (own_columns, on_columns) = rows.seen(self.size[0]), columns.seen(self.size[1])
        canvas[on_rows, on_columns] = resized[own_rows, own_columns]
        return canvas


def _side(factor: float, offset: float, length: int, canvas: int) -> Side:
    """What is seen of a side of ``length`` px that comes to ``factor`` x + ``offset`` on a canvas of ``canvas`` px."""
    low, high = sorted((-offset / factor, (canvas - offset) / factor))
    least = math.ceil(_LEAST / abs(factor))
    start = max(0, min(math.floor(low) - _MARGIN, length - least))
    stop = min(length, max(math.ceil(high) + _MARGIN, start + least))
    along = max(1, round(abs(factor) * (stop - start)))
    first = round(factor * (start + stop) / 2 + offset - along / 2)
    return Side(start, stop, first, first + along)
