"""Where between the cells peaks lie, of a few that the host looks at; ``ops.peaks`` has the same for all peaks of a batch."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bottomup.grouping.found import Floats

Refinement = Literal["none", "quarter", "log_parabola"]

QUARTER = 0.25  # cells, the step of "quarter"
REACH = 0.5  # cells; a maximum further from its cell would belong to the next one
_BESIDE = np.array(((-1, 0), (0, -1), (1, 0), (0, 1)))


def refined(heatmap: Floats, kinds: NDArray[np.intp], cells: NDArray[np.int64], mode: Refinement) -> Floats:
    """Cells (S, 2), x, y, of the maps ``kinds`` (S,) of a heatmap (K, h, w) moved to its maximum, as ``ops.peaks.refine_peaks``."""
    places = cells.astype(np.float32)
    if mode == "none" or not len(cells):
        return places
    h, w = heatmap.shape[1:]
    last = np.array((w - 1, h - 1))
    x, y = np.moveaxis((cells[:, None] + _BESIDE).clip(0, last), -1, 0)
    around = heatmap[kinds[:, None], y, x]  # (S, 4)
    before, centre, after = around[:, :2], heatmap[kinds, cells[:, 1], cells[:, 0]][:, None], around[:, 2:]
    if mode == "quarter":
        return np.asarray(places + np.nan_to_num(np.sign(after - before)) * np.float32(QUARTER))
    shift = _vertex(before, centre, after)
    movable = (cells > 0) & (cells < last) & np.isfinite(shift)
    return places + np.where(movable, shift, np.float32(0))


def _vertex(before: Floats, centre: Floats, after: Floats) -> Floats:
    """The place of the vertex of the parabola through three logarithms at -1, 0, 1; NaN where one does not exist."""
    with np.errstate(divide="ignore", invalid="ignore"):
        low, middle, high = np.log(before), np.log(centre), np.log(after)
        bend = low - 2 * middle + high
        vertex = np.float32(0.5) * (low - high) / np.where(bend < 0, bend, np.nan)
    return np.where(np.isfinite(low) & np.isfinite(high), vertex.clip(-REACH, REACH), np.nan).astype(np.float32)
