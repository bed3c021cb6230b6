"""Masks: small maps whose pixels are drawn on demand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask
from torch import Tensor

from bottomup.geometry import Grid, resize
from bottomup.instances import Instances
from bottomup.masks import Masks

SIZE = (48, 64)


def a_map(grid: Grid, size: tuple[int, int] = SIZE, seed: int = 0, count: int = 3) -> Tensor:
    """Levels (P, h, w) of blobs, in steps that half precision holds."""
    h, w = grid.shape(size)
    noise = torch.randn(1, count, 3, 3, generator=torch.Generator().manual_seed(seed))
    smooth = torch.nn.functional.interpolate(noise, (h, w), mode="bilinear", align_corners=True)[0]
    return (smooth.clamp(-1, 1) * 128).round() / 128


@pytest.mark.parametrize(("grid", "size"), [(Grid.centred(4), SIZE), (Grid.cornered(4), (49, 65)), (Grid.centred(1), SIZE)])
def test_pixels_are_the_map_resized_to_pixels(grid: Grid, size: tuple[int, int]) -> None:
    levels = a_map(grid, size)
    expected = resize(levels[None], grid, Grid.centred(1), size)[0]
    drawn = Masks.of_levels(levels, grid).draw(size)
    sure = expected.abs() > 1e-4
    assert drawn.shape == (3, *size) and bool((drawn == (expected > 0))[sure].all())


def test_moving_moves_every_pixel() -> None:
    masks = Masks.of_levels(a_map(Grid.centred(4)), Grid.centred(4))
    moved = masks.transform(np.array([[1.0, 0.0, 5.0], [0.0, 1.0, -7.0]])).draw(SIZE)
    assert torch.equal(moved[:, : SIZE[0] - 7, 5:], masks.draw(SIZE)[:, 7:, : SIZE[1] - 5])
    assert not moved[:, SIZE[0] - 5 :].any()  # beyond the map there is nothing but half a cell


def test_enlarging_enlarges_the_area() -> None:
    masks = Masks.of_levels(a_map(Grid.centred(4)), Grid.centred(4))
    large = masks.transform(np.array([[3.0, 0.0, 0.0], [0.0, 3.0, 0.0]])).draw((3 * SIZE[0], 3 * SIZE[1]))
    for small, big in zip(masks.draw(SIZE).sum((1, 2)), large.sum((1, 2)), strict=True):
        assert float(big) == pytest.approx(9 * float(small), rel=0.03)


def test_run_lengths_are_the_pixels() -> None:
    masks = Masks.of_levels(a_map(Grid.cornered(4)), Grid.cornered(4))
    for code, drawn in zip(masks.to_rle(SIZE), masks.draw(SIZE), strict=True):
        assert np.array_equal(coco_mask.decode(code).astype(bool), drawn.numpy())


def test_overlaps_are_those_of_cells_wherever_masks_lie() -> None:
    grid, levels = Grid.centred(1), torch.full((4, 12, 20), -1.0)
    levels[0, 2:6, 3:9] = levels[1, 2:6, 6:12] = levels[2, 8:10, 14:19] = 1  # 24 cells each of two, 12 of them shared
    overlaps = Masks.of_levels(levels, grid).overlaps()
    expected = torch.eye(4).fill_diagonal_(1)
    expected[0, 1] = expected[1, 0] = 12 / 36
    expected[3, 3] = 0  # nothing is not even like itself
    torch.testing.assert_close(overlaps, expected)
    assert Masks.of_levels(levels[:0], grid).overlaps().shape == (0, 0)


def test_some_of_the_masks_are_those() -> None:
    masks = Masks.of_levels(a_map(Grid.centred(4)), Grid.centred(4))
    assert torch.equal(masks[torch.tensor([2, 0])].draw(SIZE), masks.draw(SIZE)[[2, 0]])
    assert torch.equal(masks[torch.tensor([True, False, True])].draw(SIZE), masks.draw(SIZE)[[0, 2]])
    assert len(masks[1:]) == 2
    assert torch.equal(masks[[2, 0]].draw(SIZE), masks.draw(SIZE)[[2, 0]])
    assert torch.equal(masks[np.array([2, 0])].draw(SIZE), masks.draw(SIZE)[[2, 0]])


def test_one_mask_is_masks_of_one_and_each_comes_in_turn() -> None:
    masks = Masks.of_levels(a_map(Grid.centred(4)), Grid.centred(4))
    assert torch.equal(masks[0].draw(SIZE), masks.draw(SIZE)[:1]) and torch.equal(masks[-1].draw(SIZE), masks.draw(SIZE)[2:])
    assert torch.equal(torch.cat([one.draw(SIZE) for one in masks]), masks.draw(SIZE))
    with pytest.raises(IndexError):
        masks[3]


def test_one_person_is_instances_of_one_and_each_comes_in_turn() -> None:
    masks = Masks.of_levels(a_map(Grid.centred(4)), Grid.centred(4))
    people = replace(Instances.of_keypoints(torch.rand(3, 5, 2), torch.rand(3, 5), torch.tensor([0.9, 0.8, 0.7])), masks=masks)
    assert [len(one) for one in people] == [1, 1, 1] and len(people[1].masks or ()) == 1 and "1 with 5 keypoints" in repr(people[1])
    assert torch.equal(torch.cat([one.keypoints for one in people]), people.keypoints)
    assert torch.equal(people[people.scores.argmax()].keypoints, people.keypoints[:1])
    for choice in ([2, 0], np.array([2, 0]), [True, False, True], torch.zeros(0, dtype=torch.int64)):
        assert torch.equal(people[choice].keypoints, people.keypoints[torch.as_tensor(choice)])
    assert len(people[[]]) == 0
    with pytest.raises(IndexError):
        people[3]


def test_nothing_inside_draws_nothing() -> None:
    masks = Masks.of_levels(torch.full((2, 12, 16), -1.0), Grid.centred(4))
    assert not masks.draw(SIZE).any() and len(masks.to_rle(SIZE)) == 2
    assert Masks.of_levels(torch.zeros(0, 12, 16), Grid.centred(4)).draw(SIZE).shape == (0, *SIZE)
