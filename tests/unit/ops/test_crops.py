"""Crops: a box seen as 56 x 36 cells."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bottomup.ops.crops import CROP, best_in_boxes, gaussians, inside, to_crop, window_sums

BOX = torch.tensor((10.0, 20.0, 46.0, 132.0))  # as wide as the crop has cells, twice as high


def test_a_box_is_the_whole_crop() -> None:
    corners = torch.tensor(((10.0, 20.0), (46.0, 132.0), (28.0, 76.0)))
    torch.testing.assert_close(to_crop(corners, BOX), torch.tensor(((0.0, 0.0), (36.0, 56.0), (18.0, 28.0))))


def test_crops_do_not_depend_on_where_and_how_large_a_person_is() -> None:
    points, scale, shift = torch.rand(7, 2) * 100, torch.tensor((2.5, 0.4)), torch.tensor((300.0, -20.0))
    moved = torch.cat((BOX[:2] * scale + shift, BOX[2:] * scale + shift))
    torch.testing.assert_close(to_crop(points * scale + shift, moved), to_crop(points, BOX), atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("sigma", [1.0, 2.0])
def test_a_gaussian_has_its_mass_about_its_place(sigma: float) -> None:
    place = torch.tensor((17.3, 29.8))
    bump = gaussians(place[None], torch.tensor((0.7,)), sigma)
    assert bump.shape == CROP and bump.sum().item() == pytest.approx(0.7, abs=1e-3)
    rows, columns = torch.meshgrid(torch.arange(56) + 0.5, torch.arange(36) + 0.5, indexing="ij")
    centre = torch.stack(((bump * columns).sum(), (bump * rows).sum())) / bump.sum()
    torch.testing.assert_close(centre, place, atol=1e-2, rtol=0)


def test_no_cell_holds_a_number_too_small_to_be_fast() -> None:
    corners = gaussians(torch.tensor(((0.0, 0.0), (36.0, 56.0))), torch.ones(2), 1.0)
    assert corners.min() >= torch.finfo(torch.float32).tiny and corners.amin() < 1e-12


def test_gaussians_add_up() -> None:
    points, weights = torch.rand(2, 3, 5, 2) * 36, torch.rand(2, 3, 5)
    alone = torch.stack([gaussians(points[:, :, m, None], weights[:, :, m, None], 1.0) for m in range(5)]).sum(0)
    torch.testing.assert_close(gaussians(points, weights, 1.0), alone)


def candidates_in_crop(points: Tensor, scores: Tensor) -> Tensor:
    """Candidates (1, K, M, 3) that lie at the given points (K, M, 2) of the crop of BOX."""
    places = BOX[:2] + points / torch.tensor(CROP[::-1]) * (BOX[2:] - BOX[:2])
    return torch.cat((places, scores[..., None]), dim=-1)[None]


def test_margins_are_of_the_box() -> None:
    points = torch.tensor(((-7.0, 10.0), (-8.0, 10.0), (36.0, 67.0), (36.0, 68.0), (5.0, torch.nan)))
    found, scores, _ = best_in_boxes(candidates_in_crop(points[None], torch.ones(1, 5)), BOX[None, None], 0.21)
    assert scores.tolist() == [[[[1.0, 0.0, 1.0, 0.0, 0.0]]]]
    torch.testing.assert_close(found[0, 0, 0, :4], inside(points[:4]))  # moved to the border


def test_nobody_is_in_a_box_without_area() -> None:
    flat = torch.tensor((10.0, 20.0, 10.0, 132.0))
    candidates = candidates_in_crop(torch.tensor(((0.0, 10.0), (18.0, 28.0)))[None], torch.ones(1, 2))
    points, scores, _ = best_in_boxes(candidates, flat[None, None], 0.21)
    assert not scores.any() and points.isfinite().all()


def test_windows_are_summed_about_the_cell_of_a_point() -> None:
    maps = torch.rand(1, 1, 1, *CROP)
    points = torch.tensor(((10.5, 20.5), (10.99, 20.01), (0.0, 0.0), (36.0, 56.0)))[None, None, None]
    sums = window_sums(maps, points, 5)[0, 0, 0]
    torch.testing.assert_close(sums[0], maps[0, 0, 0, 18:23, 8:13].sum())
    torch.testing.assert_close(sums[1], sums[0])
    torch.testing.assert_close(sums[2], maps[0, 0, 0, :3, :3].sum())
    torch.testing.assert_close(sums[3], maps[0, 0, 0, -3:, -3:].sum())


def test_of_many_points_the_best_are_taken() -> None:
    torch.manual_seed(0)
    points, scores = torch.rand(3, 20, 2) * torch.tensor((36.0, 56.0)), (torch.rand(3, 20) - 0.5).clamp(min=0.0)
    few, theirs, which = best_in_boxes(candidates_in_crop(points, scores), BOX[None, None], 0.0)
    assert few.shape == (1, 1, 3, 16, 2)
    torch.testing.assert_close(gaussians(few, theirs, 1.0)[0, 0], gaussians(points, scores, 1.0))  # none that counts is left out
    assert torch.equal(torch.zeros(1, 1, 3, 20).scatter(-1, which, theirs)[0, 0], scores)
    _, best, _ = best_in_boxes(candidates_in_crop(points, scores + 0.1), BOX[None, None], 0.0)
    torch.testing.assert_close(best[0, 0].sort(-1).values, (scores + 0.1).sort(-1).values[..., 4:])


def test_of_many_equal_points_the_most_central_are_taken() -> None:
    points = torch.rand(3, 20, 2) * torch.tensor((36.0, 56.0))
    _, _, which = best_in_boxes(candidates_in_crop(points, torch.ones(3, 20)), BOX[None, None], 0.0)
    apart = ((points - torch.tensor((18.0, 28.0))) / torch.tensor((18.0, 28.0))).square().sum(-1)
    assert torch.equal(which[0, 0].sort(-1).values, apart.argsort(-1)[..., :16].sort(-1).values)


def test_few_points_are_all_taken() -> None:
    points, scores = torch.rand(3, 5, 2) * torch.tensor((36.0, 56.0)), torch.rand(3, 5)
    same, theirs, which = best_in_boxes(candidates_in_crop(points, scores), BOX[None, None], 0.0)
    torch.testing.assert_close(same[0, 0], points)
    assert torch.equal(theirs[0, 0], scores) and which.tolist() == [[torch.arange(5).expand(3, 5).tolist()]]
