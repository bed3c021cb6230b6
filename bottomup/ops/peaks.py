"""Local maxima of heatmaps, and where between the cells they lie."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from bottomup.devices import constant
from bottomup.geometry import Grid, sides
from bottomup.grouping.peak_places import QUARTER, REACH
from bottomup.grouping.peak_places import Refinement as Refinement
from bottomup.ops.sampling import gather_maps

REFINEMENTS: tuple[Refinement, ...] = ("none", "quarter", "log_parabola")

_PLATEAU = 16  # cells along a row or column in which a plateau's ends are looked for: PersonLab's disks at stride 4 are 17 wide


class Peaks(NamedTuple):
    """The highest local maxima of each map, best first."""

    scores: Tensor  # (B, K, M) float32, 0 = padding
    cells: Tensor  # (B, K, M, 2) float32 x, y cell indices; 0, 0 where padding


def touching(content: Tensor, grid: Grid, shape: tuple[int, int]) -> Tensor:
    """Which cells (B, h, w) of a map of ``shape`` touch the content (B, 4) xyxy input px: all but the padding's."""
    reach = grid.stride / 2
    x1, y1, x2, y2 = content[..., None].unbind(1)  # (B, 1) each
    across, down = grid.centres(shape[1], content), grid.centres(shape[0], content)
    columns = (across > x1 - reach) & (across < x2 + reach)  # (B, w)
    rows = (down > y1 - reach) & (down < y2 + reach)  # (B, h)
    return rows[:, :, None] & columns[:, None, :]


def find_peaks(heatmap: Tensor, count: int, window: int = 5, where: Tensor | None = None) -> Peaks:
    """The ``count`` = M highest local maxima of each map of a heatmap (B, K, h, w).

    A cell is a peak if it is greater than every cell before it, in reading order, in the ``window`` x ``window`` cells around
    it, and not less than any after it. On a plateau several cells may be: each moves to the middle of its row of the plateau,
    then of the column, then of the row, and those that meet are one peak. So disks and rectangles up to 17 cells across give one
    peak, in the middle or half a cell before it; a plateau of another shape, larger, or cut by a corner of the map may give
    several. Scores that are not positive or not finite are no peaks, nor are cells that are not in ``where`` (B, h, w), if it is
    given. ``window`` is odd. Static shapes throughout.
    """
    heatmap = heatmap.float().nan_to_num(0.0, 0.0, 0.0).contiguous()
    peaks = _only_peaks(heatmap, window // 2)
    scores, index = _highest(peaks if where is None else peaks * where[:, None], count)
    scores, index = _one_a_plateau(heatmap, scores.clamp(min=0.0), index)
    cells = torch.stack((index % heatmap.shape[-1], index // heatmap.shape[-1]), dim=-1)
    return Peaks(scores, torch.where(scores[..., None] > 0, cells.float(), 0.0))


def _highest(peaks: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The ``count`` = M highest cells of maps of peaks (B, K, h, w), best first: scores and flat indices, (B, K, M) each.

    Of two cells, one below the other, one is no peak at most: to choose among half as many takes half the time.
    """
    w = peaks.shape[-1]
    below = F.pad(peaks, (0, 0, 0, 1))[..., 1::2, :]  # an odd last row has none
    pairs = F.pad(torch.maximum(peaks[..., ::2, :], below).flatten(2), (0, count))  # so that there are enough
    scores, pair = pairs.topk(count)
    flat = peaks.flatten(2)
    upper = (pair + pair // w * w).clamp(max=flat.shape[-1] - 1)
    return scores, torch.where(flat.gather(2, upper) == scores, upper, upper + w)


def _one_a_plateau(heatmap: Tensor, scores: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    """Peaks (B, K, M), scores and flat indices, moved to the middles of their plateaus, where those that meet become one."""
    h, w = heatmap.shape[-2:]
    index = _to_middle(heatmap, scores, index, index % w, w, 1)
    index = _to_middle(heatmap, scores, index, index // w, h, w)
    index = _to_middle(heatmap, scores, index, index % w, w, 1)  # of what the map's border cuts the rows differ
    index, order = index.sort(stable=True)  # the first in a cell stays: the peak, before padding
    again = F.pad(index.diff(dim=2) == 0, (1, 0))
    scores, order = scores.gather(2, order).masked_fill(again, 0.0).sort(descending=True, stable=True)
    return scores, index.gather(2, order)


def _to_middle(heatmap: Tensor, scores: Tensor, index: Tensor, place: Tensor, side: int, step: int) -> Tensor:
    """Flat indices (B, K, M) moved to the middle of the cells that tie along a line, the one before it where they are even.

    The line is ``side`` cells long, ``place`` (B, K, M) is where on it the indices stand, the next cell is ``step`` further.
    """
    flat = heatmap.flatten(2)
    # The type is told, as torch 2.9 writes floats into graphs otherwise.
    reach = torch.arange(step, step * _PLATEAU + 1, step, dtype=index.dtype, device=index.device)
    line = (index[..., None, None] + torch.stack((-reach, reach))).clamp(0, flat.shape[-1] - 1)  # (B, K, M, 2, _PLATEAU)
    tied = flat.gather(2, line.flatten(2)).view_as(line) == scores[..., None, None]
    before, after = ((~tied).cumsum(-1) == 0).sum(-1).unbind(-1)  # beyond the line's ends other lines are read
    before, after = torch.minimum(before, place), torch.minimum(after, side - 1 - place)
    return index + (after - before).div(2, rounding_mode="floor") * step


def _only_peaks(heatmap: Tensor, radius: int) -> Tensor:
    """The heatmap with nothing above 0 but its peaks.

    Running maxima along x, then along y, of slices: on a CPU core this takes about a tenth of the time of max_pool2d. Comparisons
    are made in place, so that they give floats: with truth values, and torch.where, they would take longer than all the rest.
    """
    padded = F.pad(heatmap, (radius,) * 4)
    inside = slice(radius, -radius)
    beside = _running_maximum(padded, radius, dim=-1)
    left, right = beside[..., : -radius - 1], beside[..., radius + 1 :]
    rows = torch.maximum(torch.maximum(left, right), padded[..., inside])  # each with its neighbours in the row
    stacked = _running_maximum(rows, radius, dim=-2)
    above_before = torch.maximum(stacked[..., : -radius - 1, :], left[..., inside, :]).lt_(heatmap)
    not_below_after = torch.maximum(stacked[..., radius + 1 :, :], right[..., inside, :]).le_(heatmap)
    return above_before.mul_(not_below_after).mul_(heatmap)


def _running_maximum(maps: Tensor, count: int, dim: int) -> Tensor:
    """The maximum of every ``count`` cells in a row."""
    length = maps.shape[dim] - count + 1
    highest = maps.narrow(dim, 0, length)
    for shift in range(1, count):
        highest = torch.maximum(highest, maps.narrow(dim, shift, length))
    return highest


def refine_peaks(heatmap: Tensor, cells: Tensor, mode: Refinement) -> Tensor:
    """Move peaks (B, K, M, 2) from their cells to where, between the cells of a heatmap (B, K, h, w), the maximum lies.

    "none" leaves them; "quarter" moves each coordinate a quarter cell towards the higher of its two neighbours, where they
    differ, beyond the border of the map its own value is read (pose-ae-train); "log_parabola" to the vertex of the parabola
    through the logarithms of the three values, which is exact for a gaussian, at most half a cell; on the border of the map, or
    where a parabola does not exist, nothing moves.
    """
    if mode == "none":
        return cells
    before, centre, after = _neighbours(heatmap, cells)
    if mode == "quarter":
        return cells + (after - before).sign().nan_to_num() * QUARTER
    shift = _vertex(before, centre, after)
    last = sides(heatmap.shape[-2], heatmap.shape[-1], cells) - 1
    movable = (cells > 0) & (cells < last) & shift.isfinite()
    return cells + torch.where(movable, shift, 0.0)


def _neighbours(heatmap: Tensor, cells: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The values before, at and after each cell, along x and along y: (B, K, M, 2) each; the centre's is (B, K, M, 1)."""
    steps = constant(((-1, 0), (0, -1), (0, 0), (1, 0), (0, 1)), cells)
    values = gather_maps(heatmap, cells[..., None, :] + steps)
    return values[..., :2], values[..., 2:3], values[..., 3:]


def _vertex(before: Tensor, centre: Tensor, after: Tensor) -> Tensor:
    """The place of the vertex of the parabola through three logarithms at -1, 0, 1; NaN where one does not exist."""
    low, middle, high = before.log(), centre.log(), after.log()
    bend = low - 2 * middle + high
    vertex = 0.5 * (low - high) / torch.where(bend < 0, bend, torch.nan)
    return torch.where(low.isfinite() & high.isfinite(), vertex.clamp(-REACH, REACH), torch.nan)
