"""Segmentation's targets: the share of each cell that masks cover."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bottomup.contracts import Level, Source, probability
from bottomup.geometry import Grid, share_of_cells
from bottomup.heads.segmentation import Criterion, Segmentation
from bottomup.masks import Masks
from bottomup.ops.start import Start
from bottomup.skeletons import COCO
from bottomup.types import Task
from tests.scenes import make_batch

GRIDS = [(Grid.centred(4), (96, 128)), (Grid.centred(8), (96, 128)), (Grid.cornered(8), (97, 129)), (Grid.cornered(16), (97, 129))]


def a_disk(size: tuple[int, int], radius: float) -> Tensor:
    """(1, H, W) bool: a disk about a point that lies on no cell's centre."""
    rows, columns = torch.arange(size[0])[:, None] + 0.5, torch.arange(size[1]) + 0.5
    return ((rows - 50.3).hypot(columns - 61.9) <= radius)[None]


@pytest.mark.parametrize(("grid", "size"), GRIDS)
def test_shares_are_the_mean_of_the_pixels_around_a_centre(grid: Grid, size: tuple[int, int]) -> None:
    pixels = torch.rand(2, *size, generator=torch.Generator().manual_seed(0)) < 0.4
    shares, row, column = share_of_cells(pixels, grid), 3, 2
    subpixels = pixels.repeat_interleave(2, 1).repeat_interleave(2, 2).float()  # so that a cell's border never cuts one
    top, left = (int(2 * (grid.origin + grid.stride * (index - 0.5))) for index in (row, column))
    square = subpixels[:, top : top + 2 * grid.stride, left : left + 2 * grid.stride]
    torch.testing.assert_close(shares[:, row, column], square.mean((1, 2)))
    torch.testing.assert_close(share_of_cells(torch.ones_like(pixels), grid), torch.ones(2, *grid.shape(size)))


@pytest.mark.parametrize(("grid", "size"), GRIDS)
def test_shares_flip_with_the_image(grid: Grid, size: tuple[int, int]) -> None:
    pixels = a_disk(size, 20.0)
    torch.testing.assert_close(share_of_cells(pixels.flip(2), grid), share_of_cells(pixels, grid).flip(2))


@pytest.mark.parametrize("stride", [2, 4, 8])
def test_a_mask_drawn_back_from_its_shares_keeps_place_and_size(stride: int) -> None:
    disk, grid = a_disk((96, 128), 26.0), Grid.centred(stride)
    drawn = Masks.of_levels(share_of_cells(disk, grid) - 0.5, grid).draw((96, 128))
    assert float((drawn & disk).sum() / (drawn | disk).sum()) > 0.94
    for axis in (1, 2):
        middles = [(mask.float().sum(3 - axis)[0] * torch.arange(mask.shape[axis])).sum() / mask.sum() for mask in (drawn, disk)]
        assert abs(float(middles[0] - middles[1])) < 0.05 * stride


@pytest.mark.parametrize("criterion", ["mse", "logistic"])
def test_the_ideal_map_is_the_target(criterion: str) -> None:
    head = Segmentation(Source({"stack": Level(8, Grid.centred(4))}), Task(COCO), criterion=criterion)  # type: ignore[arg-type]
    batch = make_batch([3])
    ideal = head.ideal(batch)[head.key]
    shares = ideal if criterion == "mse" else ideal.sigmoid()
    torch.testing.assert_close(shares, head.encode(batch, {})["mask"], atol=1e-6, rtol=0)
    assert 0 < float(shares.mean()) < 1


@pytest.mark.parametrize("criterion", ["mse", "logistic"])
def test_started_as_background_it_sees_next_to_nothing_in_large_features(criterion: Criterion) -> None:
    torch.manual_seed(0)
    features = {"stack": torch.randn(2, 128, 8, 8)}

    def most(start: Start) -> float:
        head = Segmentation(Source({"stack": Level(128, Grid.centred(4))}), Task(COCO), criterion=criterion, start=start)
        return float(probability(head(features, {}), "segmentation").detach().amax())

    assert most("background") < 0.06 < 0.4 < most("torch")
