"""Maps read between their cells, row by column, and enlarged to pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bottomup.grid import Grid

Floats = NDArray[np.float32]


def read_between(maps: Floats, rows: NDArray[np.floating], columns: NDArray[np.floating]) -> Floats:
    """A map (h, w) at the crossings of rows (R,) and columns (C,), in cells, bilinearly: (R, C); beyond its border that goes on."""
    return _along(_along(np.asarray(maps, np.float32), columns, 1), rows, 0)


def _along(maps: Floats, places: NDArray[np.floating], axis: int) -> Floats:
    last = maps.shape[axis] - 1
    places = np.clip(places, 0, last)
    low = np.minimum(np.floor(places), max(last - 1, 0)).astype(np.intp)
    share = (places - low).astype(np.float32)
    share = share[:, None] if axis == 0 else share
    before, after = maps.take(low, axis), maps.take(np.minimum(low + 1, last), axis)
    return np.asarray(before + share * (after - before))


def to_pixels(maps: Floats, grid: Grid, size: tuple[int, int]) -> Floats:
    """A map (h, w) on ``grid`` at the pixels of an input of ``size`` (H, W)."""
    rows, columns = (grid.to_cells(np.arange(side) + 0.5) for side in size)
    return read_between(maps, rows, columns)


def to_image_size(pixels: Floats, content: Floats, size: tuple[int, int]) -> Floats:
    """What lies in the content (4,) xyxy of pixels (H, W) at the pixels of an image of ``size`` that is shown there."""
    x1, y1, x2, y2 = (round(float(value)) for value in content)
    inner = pixels[y1:y2, x1:x2]
    rows, columns = ((np.arange(side) + 0.5) * (own / side) - 0.5 for side, own in zip(size, inner.shape, strict=True))
    return read_between(inner, rows, columns)
