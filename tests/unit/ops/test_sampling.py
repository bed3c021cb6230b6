"""Reading at a cell gives its value; reading between cells agrees at cells and is linear between."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bottomup.ops.sampling import gather_maps, sample_bilinear, sample_channels


def some_maps(vectors: bool) -> Tensor:
    return torch.rand(2, 3, 4, 9, 11) if vectors else torch.rand(2, 3, 9, 11)


@pytest.mark.parametrize("vectors", [False, True])
@pytest.mark.parametrize("places", [(5,), (2, 5)])
def test_cells_are_read_where_they_are(vectors: bool, places: tuple[int, ...]) -> None:
    maps = some_maps(vectors)
    cells = torch.stack((torch.randint(0, 11, (2, 3, *places)), torch.randint(0, 9, (2, 3, *places))), dim=-1)
    read = gather_maps(maps, cells)
    assert read.shape == (2, 3, *places, *maps.shape[2:-2])
    for index in torch.cartesian_prod(*(torch.arange(side) for side in cells.shape[:-1])).tolist():
        x, y = cells[tuple(index)]
        assert torch.equal(read[tuple(index)], maps[index[0], index[1], ..., y, x])
    torch.testing.assert_close(sample_bilinear(maps, cells.float()), read)


@pytest.mark.parametrize("vectors", [False, True])
def test_outside_the_map_its_border_is_read(vectors: bool) -> None:
    maps = some_maps(vectors)
    far = torch.tensor((-5.0, 40.0)).expand(2, 3, 1, 2)
    for read in (gather_maps(maps, far), sample_bilinear(maps, far)):
        torch.testing.assert_close(read[:, :, 0], maps[..., -1, 0])


def test_between_cells_a_linear_field_is_exact() -> None:
    y, x = torch.meshgrid(torch.arange(9.0), torch.arange(11.0), indexing="ij")
    points = torch.rand(1, 1, 50, 2) * torch.tensor((10.0, 8.0))
    read = sample_bilinear((2 * x - 3 * y)[None, None], points)
    torch.testing.assert_close(read, 2 * points[..., 0] - 3 * points[..., 1], atol=1e-4, rtol=0)


def test_gradients_reach_maps_and_points() -> None:
    maps = some_maps(True).double().requires_grad_()
    points = (torch.rand(2, 3, 2, 2).double() * 7 + 0.5).requires_grad_()
    assert torch.autograd.gradcheck(sample_bilinear, (maps, points))


def test_reading_each_point_s_channel_is_reading_them_all() -> None:
    maps, points = torch.randn(2, 6, 2, 7, 9), torch.rand(2, 6, 5, 2) * torch.tensor([12.0, 10.0]) - 2
    channels = torch.arange(6)[:, None].expand(6, 5)
    torch.testing.assert_close(sample_channels(maps, channels, points), sample_bilinear(maps, points))
