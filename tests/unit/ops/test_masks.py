"""Which pixels are whose."""

from __future__ import annotations

import pytest
import torch

from bottomup.geometry import Grid
from bottomup.ops.masks import embedding_distance
from bottomup.ops.offsets import cell_centres

GRID = Grid.cornered(8)


def test_distance_is_the_mean_miss_in_sizes_of_the_instance() -> None:
    """Eq. 6, written out for one cell: misses of 3 and 6 px, present with .5 and .25, of a box of 20 x 45 px."""
    points = torch.tensor([[[[10.0, 10.0], [30.0, 55.0]]]])
    presence = torch.tensor([[[0.5, 0.25]]])
    centres = cell_centres(GRID, 2, 3, points)
    ends = points[0, 0] + torch.tensor([[3.0, 0.0], [0.0, -6.0]])
    offsets = (ends[:, :, None, None] - centres)[None]
    distance = embedding_distance(offsets, points, presence, GRID, least=10.0)
    expected = (0.5 * 3 + 0.25 * 6) / 0.75 / (20 * 45) ** 0.5
    torch.testing.assert_close(distance, torch.full((1, 1, 2, 3), expected))


def test_who_is_not_there_is_infinitely_far() -> None:
    offsets, points = torch.zeros(1, 2, 2, 3, 4), torch.rand(1, 5, 2, 2)
    assert embedding_distance(offsets, points, torch.zeros(1, 5, 2), GRID, least=10.0).isinf().all()


def test_a_single_point_has_the_least_size() -> None:
    offsets = 5.0 - cell_centres(GRID, 1, 1, torch.zeros(1))[None, None]  # all end at (5, 5)
    distance = embedding_distance(offsets, torch.full((1, 1, 1, 2), 8.0), torch.ones(1, 1, 1), GRID, least=6.0)
    assert distance.item() == pytest.approx(18**0.5 / 6)
