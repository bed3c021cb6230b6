"""Votes, and what they promise."""

from __future__ import annotations

import math

import pytest
import torch

from bottomup.geometry import Grid
from bottomup.ops.hough import centre_of_mass, expected_oks, hough_votes, instance_size
from bottomup.ops.offsets import cell_centres
from bottomup.ops.peaks import find_peaks

GRID = Grid.cornered(8)


@pytest.mark.parametrize("stride", [4, 8, 16])
def test_a_perfect_disk_votes_one_in_all_at_its_place(stride: int) -> None:
    grid, place, radius = Grid.cornered(stride), torch.tensor([131.3, 117.9]), 32.0
    offsets = place.view(2, 1, 1) - cell_centres(grid, 16 * 16 // stride + 1, 16 * 16 // stride + 1, place)
    inside = (offsets.square().sum(0) <= radius**2).float()[None, None]
    for threshold in (None, 0.5):
        votes = hough_votes(inside, offsets[None, None], grid, radius, threshold)
        assert float(votes.sum()) == pytest.approx(1, abs=0.1)
        peaks = find_peaks(votes, 1, 3)
        found = grid.to_input(centre_of_mass(votes, peaks.cells))[0, 0, 0]
        torch.testing.assert_close(found, place, atol=0.01, rtol=0)


def test_votes_beyond_the_map_are_lost() -> None:
    votes = hough_votes(torch.ones(1, 1, 5, 5), torch.full((1, 1, 2, 5, 5), 1e4), GRID, 8.0)
    assert float(votes.sum()) == 0


def test_offsets_that_are_no_numbers_vote_for_nothing() -> None:
    assert float(hough_votes(torch.ones(1, 1, 5, 5), torch.full((1, 1, 2, 5, 5), torch.nan), GRID, 8.0).sum()) == 0


def test_expected_oks_is_the_mean_similarity_of_the_votes_in_the_disk() -> None:
    """Eq. 3, written out: votes of 3 and 1 at 5 and 12 px from a keypoint; what lies beyond the disk does not count."""
    votes = torch.zeros(1, 2, 13, 13)
    points = torch.tensor([[[[48.5, 48.5], [78.5, 98.5]]]])  # cell 6, 6 and 9.75, 12.25; a box of 30 x 50 px
    points[..., 0, :] += torch.tensor([3.0, 0.0])
    votes[0, 0, 6, 7], votes[0, 0, 6, 5], votes[0, 0, 6, 12] = 3.0, 1.0, 100.0
    promised = expected_oks(votes, points, GRID, radius=16.0, least=1.0, sigmas=(0.1, 0.1))
    area, kappa = 27.0 * 50.0, 0.2
    near, far = (math.exp(-(away**2) / (2 * area * kappa**2)) for away in (5.0, 11.0))
    assert float(promised[0, 0, 0]) == pytest.approx((3 * near + far) / 4, rel=1e-5)
    assert float(promised[0, 0, 1]) == 0.0  # nobody votes there


def test_expected_oks_off_the_map_is_nothing() -> None:
    points = torch.tensor([[[[-500.0, 40.0], [4000.0, 40.0]], [[-1005.0, -33.0], [40.0, 97.0]], [[40.0, torch.nan], [1e9, 40.0]]]])
    promised = expected_oks(torch.ones(1, 2, 9, 9), points, GRID, 16.0, 500.0, (0.1, 0.1))
    assert (promised[0, :2] == 0).all() and promised.isfinite().all()


def test_an_instance_has_the_size_of_its_box_or_the_least() -> None:
    points = torch.tensor([[[[0.0, 0.0], [20.0, 45.0]], [[7.0, 7.0], [7.0, 9.0]]]])
    torch.testing.assert_close(instance_size(points, 10.0), torch.tensor([[30.0, 10.0]]))
