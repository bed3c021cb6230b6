"""Walks along the tree, votes and fields between cells."""

from __future__ import annotations

import math

import pytest
import torch

from bottomup.geometry import Grid
from bottomup.ops.hough import centre_of_mass, hough_votes
from bottomup.ops.offsets import cell_centres, refine_offsets
from bottomup.ops.peaks import find_peaks
from bottomup.ops.sampling import sample_bilinear, sample_channels
from bottomup.ops.seeds import select_seeds
from bottomup.ops.walk import strides, walk
from bottomup.skeletons import COCO


def test_a_walk_from_any_keypoint_reaches_the_whole_pose() -> None:
    pose = torch.rand(17, 2) * 100
    edges = torch.tensor(COCO.directed)

    def step(points: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        return points + pose[edges[chosen, 1]] - pose[edges[chosen, 0]]

    poses = walk(pose[None, :, None].expand(2, -1, 3, -1), strides(COCO), step)
    torch.testing.assert_close(poses, pose.expand(2, 17, 3, 17, 2), atol=1e-3, rtol=1e-5)


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
    grid = Grid.cornered(8)
    votes = hough_votes(torch.ones(1, 1, 5, 5), torch.full((1, 1, 2, 5, 5), 1e4), grid, 8.0)
    assert float(votes.sum()) == 0


def test_reading_each_point_s_channel_is_reading_them_all() -> None:
    maps, points = torch.randn(2, 6, 2, 7, 9), torch.rand(2, 6, 5, 2) * torch.tensor([12.0, 10.0]) - 2
    channels = torch.arange(6)[:, None].expand(6, 5)
    torch.testing.assert_close(sample_channels(maps, channels, points), sample_bilinear(maps, points))


def test_refinement_arrives_where_short_offsets_agree() -> None:
    """From a wrong offset that ends within a disk, one step lands on the keypoint; gradients reach both fields."""
    grid, place = Grid.cornered(8), torch.tensor([60.0, 44.0])
    short = (place.view(2, 1, 1) - cell_centres(grid, 13, 13, place))[None, None].requires_grad_()
    rough = (short + 5.0).detach().requires_grad_()
    fine = refine_offsets(rough, short, grid, 1)
    inner = (slice(None), slice(None), slice(None), slice(1, -1), slice(1, -1))
    torch.testing.assert_close(fine[inner], short[inner], atol=1e-3, rtol=0)
    fine.sum().backward()
    assert rough.grad is not None and short.grad is not None and math.isfinite(float(short.grad.abs().sum()))


def test_a_seed_within_reach_of_a_better_pose_starts_nobody() -> None:
    poses = torch.zeros(1, 2, 3, 2, 2)  # two keypoints, three seeds of each
    poses[0, :, 1] = 100.0
    poses[0, :, 2] = 200.0
    scores = torch.tensor([[[0.9, 0.8, 0.0], [0.7, 0.6, 0.5]]])
    selected = select_seeds(poses, scores, radius=10.0, count=4)
    assert selected.scores.tolist() == [pytest.approx([0.9, 0.8, 0.5, 0.0])]
    assert selected.roots[0, :3].tolist() == [0, 0, 1]
    assert selected.poses[0, :3, 0, 0].tolist() == [0.0, 100.0, 200.0]
