"""Peaks are local maxima, one in the middle of a plateau, and lie where the gaussian does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import label
from torch import Tensor

from bottomup.ops.peaks import REFINEMENTS, Refinement, find_peaks, refine_peaks


def gaussian(x: float, y: float, shape: tuple[int, int] = (24, 32), sigma: float = 2.0) -> Tensor:
    """A gaussian at (x, y) cells, (1, 1, h, w)."""
    h, w = shape
    squared = (torch.arange(h)[:, None] - y) ** 2 + (torch.arange(w) - x) ** 2
    return torch.exp(-squared / (2 * sigma**2))[None, None]


def peak_cells(heatmap: Tensor, window: int) -> set[tuple[int, int]]:
    """The peaks of one map, all of them."""
    scores, cells = find_peaks(heatmap[None, None], heatmap.numel(), window)
    return {(int(x), int(y)) for (x, y), score in zip(cells[0, 0], scores[0, 0], strict=True) if score > 0}


def defined_peaks(heatmap: Tensor, window: int) -> set[tuple[int, int]]:
    """The rule, cell by cell."""
    h, w = heatmap.shape
    radius = window // 2
    found = set()
    for y in range(h):
        for x in range(w):
            others = [
                (heatmap[v, u], (v, u) < (y, x))
                for v in range(max(0, y - radius), min(h, y + radius + 1))
                for u in range(max(0, x - radius), min(w, x + radius + 1))
                if (v, u) != (y, x)
            ]
            if heatmap[y, x] > 0 and all(heatmap[y, x] > o if before else heatmap[y, x] >= o for o, before in others):
                found.add((x, y))
    return found


def disk(x: float, y: float, radius: float, shape: tuple[int, int] = (40, 48)) -> Tensor:
    """1 within ``radius`` cells of (x, y), else 0; (h, w)."""
    h, w = shape
    return ((torch.arange(h)[:, None] - y) ** 2 + (torch.arange(w) - x) ** 2 <= radius**2).float()


def plateaus(heatmap: Tensor) -> Tensor:
    """A number for each cell (h, w): that of the tied cells that touch it, at a side or a corner."""
    labels = torch.zeros(heatmap.shape, dtype=torch.long)
    for level in heatmap.unique().tolist():
        parts, _ = label((heatmap == level).numpy(), np.ones((3, 3)))
        labels += torch.where(torch.from_numpy(parts) > 0, torch.from_numpy(parts).long() + labels.max(), 0)
    return labels


@pytest.mark.parametrize("window", [3, 5, 7])
def test_peaks_follow_the_rule_where_nothing_ties(window: int) -> None:
    for shape in ((11, 13), (12, 9), (1, 7), (6, 1)):
        heatmap = torch.randperm(shape[0] * shape[1]).view(shape).float()
        assert peak_cells(heatmap, window) == defined_peaks(heatmap, window)


@pytest.mark.parametrize("window", [3, 5, 7])
@pytest.mark.parametrize("levels", [2, 4, 9])
def test_where_cells_tie_peaks_stay_on_the_plateaus_of_the_rule(window: int, levels: int) -> None:
    for _ in range(20):
        heatmap = torch.randint(-1, levels, (11, 13)).float()
        of = plateaus(heatmap)
        found = [int(of[y, x]) for x, y in peak_cells(heatmap, window)]
        defined = [int(of[y, x]) for x, y in defined_peaks(heatmap, window)]
        assert set(found) == set(defined)  # a plateau that has a peak keeps one, and none appears elsewhere
        assert len(found) <= len(defined)


@pytest.mark.parametrize("window", [3, 5])
def test_a_plateau_is_one_peak_in_its_middle(window: int) -> None:
    for height, width in ((1, 2), (2, 1), (2, 2), (1, 3), (5, 4), (9, 17)):
        heatmap = torch.zeros(24, 32)
        heatmap[4 : 4 + height, 5 : 5 + width] = 1.0
        assert peak_cells(heatmap, window) == {(5 + (width - 1) // 2, 4 + (height - 1) // 2)}


@pytest.mark.parametrize("window", [3, 5])
@pytest.mark.parametrize("radius", range(1, 9))
def test_a_disk_is_one_peak_in_its_middle(window: int, radius: int) -> None:
    for x, y in ((20, 17), (20.5, 17), (19, 16.5), (20.5, 16.5), (20.3, 16.8)):
        ((found_x, found_y),) = peak_cells(disk(x, y, radius), window)
        assert abs(found_x - x) <= 1 and abs(found_y - y) <= 1
    for x, y in ((0, 17), (3, 17), (45.5, 17.2), (20, 1), (20, 39)):  # the border cuts it
        assert len(peak_cells(disk(x, y, radius), window)) == 1


@pytest.mark.parametrize("window", [3, 5])
@pytest.mark.parametrize("radius", range(1, 9))
def test_disks_of_one_height_are_a_peak_each(window: int, radius: int) -> None:
    gap = 2 * radius + window // 2 + 1
    for there in ((13 + gap, 10), (13, 10 + gap), (13 + gap, 10 + gap // 2)):
        heatmap = torch.maximum(disk(13, 10, radius), disk(*there, radius))
        assert peak_cells(heatmap, window) == {(13, 10), there}


@pytest.mark.parametrize("corner", [(0, 0), (0, 7), (5, 0), (5, 7)])
def test_corners_can_be_peaks(corner: tuple[int, int]) -> None:
    heatmap = torch.zeros(6, 8)
    heatmap[corner] = 1.0
    assert peak_cells(heatmap, 5) == {corner[::-1]}


def test_peaks_come_best_first_and_the_best_are_kept() -> None:
    heatmap = torch.rand(2, 3, 20, 20)
    everything = find_peaks(heatmap, 400, 3)
    few = find_peaks(heatmap, 7, 3)
    assert (everything.scores.diff(dim=-1) <= 0).all()
    assert torch.equal(few.scores, everything.scores[..., :7])
    assert torch.equal(few.cells, everything.cells[..., :7, :])


def test_maps_without_positive_values_have_no_peaks() -> None:
    for heatmap in (torch.zeros(1, 2, 6, 6), -torch.rand(1, 2, 6, 6)):
        peaks = find_peaks(heatmap, 50, 3)
        assert peaks.scores.shape == (1, 2, 50) and peaks.cells.shape == (1, 2, 50, 2)
        assert not peaks.scores.any() and not peaks.cells.any()


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("mode", REFINEMENTS)
def test_cells_that_are_not_finite_are_no_peaks_and_hide_no_distant_one(value: float, mode: Refinement) -> None:
    heatmap = gaussian(20.3, 12.1)
    heatmap[..., 3, 3] = value
    peaks = find_peaks(heatmap, 5, 3)
    refined = refine_peaks(heatmap, peaks.cells, mode)
    assert peaks.scores.isfinite().all() and refined.isfinite().all()
    assert [20.0, 12.0] in peaks.cells[0, 0].tolist()
    assert [3.0, 3.0] not in peaks.cells[0, 0].tolist()
    find_peaks(torch.full((1, 1, 8, 8), value), 4)


@pytest.mark.parametrize(("mode", "within"), [("none", 0.5), ("quarter", 0.25), ("log_parabola", 1e-3)])
def test_refinement_finds_a_gaussian(mode: Refinement, within: float) -> None:
    for x, y in torch.rand(30, 2).mul(16).add(4).tolist():
        heatmap = gaussian(x, y)
        cells = find_peaks(heatmap, 1).cells
        moved = refine_peaks(heatmap, cells, mode)[0, 0, 0] - torch.tensor((x, y))
        assert moved.abs().max() <= within + 1e-5


@pytest.mark.parametrize("mode", ["quarter", "log_parabola"])
def test_refinement_of_a_symmetric_peak_moves_nothing(mode: Refinement) -> None:
    cells = torch.tensor([[[[10.0, 10.0]]]])
    assert torch.equal(refine_peaks(gaussian(10, 10), cells, mode), cells)


def test_a_peak_that_the_border_cuts_moves_out_by_a_quarter_or_not_at_all() -> None:
    """Beyond the border the peak's own value is read, which is more than what lies inside."""
    for x, y in ((0, 0), (31, 23), (0, 23)):
        heatmap, cells = gaussian(x, y), torch.tensor([[[[float(x), float(y)]]]])
        outwards = torch.tensor([0.25 if x else -0.25, 0.25 if y else -0.25])
        assert torch.equal(refine_peaks(heatmap, cells, "quarter"), cells + outwards)
        assert torch.equal(refine_peaks(heatmap, cells, "log_parabola"), cells)


def test_a_parabola_needs_positive_values_on_both_sides() -> None:
    heatmap = torch.full((1, 1, 5, 5), -1.0)
    heatmap[..., 2, 2:4] = torch.tensor((1.0, 0.5))
    cells = torch.tensor([[[[2.0, 2.0]]]])
    assert torch.equal(refine_peaks(heatmap, cells, "log_parabola"), cells)


@pytest.mark.parametrize("mode", REFINEMENTS)
def test_refinement_never_leaves_the_cell(mode: Refinement) -> None:
    heatmap = torch.randn(2, 3, 16, 16)
    cells = torch.randint(0, 16, (2, 3, 40, 2)).float()
    assert ((refine_peaks(heatmap, cells, mode) - cells).abs() <= 0.5).all()


def test_peaks_do_not_depend_on_memory_format() -> None:
    heatmap = torch.rand(2, 3, 20, 24)
    for one, other in zip(find_peaks(heatmap, 9), find_peaks(heatmap.to(memory_format=torch.channels_last), 9), strict=True):
        assert torch.equal(one, other)


def test_peaks_compile_whole() -> None:
    def both(heatmap: Tensor) -> Tensor:
        peaks = find_peaks(heatmap, 6, 5)
        return refine_peaks(heatmap, peaks.cells, "log_parabola")

    heatmap = torch.rand(1, 2, 12, 14)
    torch.testing.assert_close(torch.compile(both, fullgraph=True, backend="aot_eager")(heatmap), both(heatmap))
