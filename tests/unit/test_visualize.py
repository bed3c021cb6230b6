"""Pictures show things where they are, and leave alone what they are given."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from bottomup.geometry import Grid
from bottomup.skeletons import COCO
from bottomup.types import Instances
from bottomup.visualize import (
    contact_sheet,
    draw_heatmap,
    draw_ignore,
    draw_instances,
    draw_people,
    draw_strongest,
    draw_tags,
    plot_tags,
    save_png,
    side_by_side,
)
from tests.scenes import make_sample

DARK = np.zeros((3, 96, 128), np.uint8)


@pytest.mark.parametrize(("x", "y"), [(40.5, 60.5), (41.0, 60.0), (80.25, 70.75)])
def test_a_keypoint_is_drawn_where_it_is(x: float, y: float) -> None:
    people = make_sample(0, people=1).people
    people.keypoints[0], people.visibility[0] = 0, 0
    people.keypoints[0, 0], people.visibility[0, 0] = (x, y), 2
    picture = draw_people(DARK, people, COCO)[10:-10, 10:-10].astype(float).sum(-1)  # without the box
    rows, columns = np.mgrid[10.5:86, 10.5:118]
    centroid = ((picture * columns).sum() / picture.sum(), (picture * rows).sum() / picture.sum())
    assert np.abs(np.subtract(centroid, (x, y))).max() < 0.2


def test_what_was_not_found_is_not_drawn() -> None:
    keypoints, scores = torch.full((1, 17, 2), torch.nan), torch.zeros(1, 17)
    keypoints[0, 0], scores[0, 0] = torch.tensor((40.5, 60.5)), 1.0
    picture = draw_instances(DARK, Instances.of_keypoints(keypoints, scores, torch.zeros(1)), COCO)
    assert picture[60, 40].any() and not picture[:40].any() and not picture[70:].any()


def test_nobody_leaves_the_image_as_it_is() -> None:
    sample = make_sample(0)
    before = sample.image.copy()
    np.testing.assert_array_equal(draw_instances(sample.image, Instances.empty(17), COCO), before.transpose(1, 2, 0))
    draw_people(sample.image, make_sample(1, people=2).people, COCO)
    np.testing.assert_array_equal(sample.image, before)


@pytest.mark.parametrize("grid", [Grid.centred(4), Grid.cornered(8)])
def test_a_peak_shows_where_its_cell_is(grid: Grid) -> None:
    size = (97, 129) if grid.origin == 0.5 else (96, 128)
    heatmap = torch.zeros(17, *grid.shape(size))
    heatmap[3, 5, 9] = 1.0
    bright = draw_strongest(np.zeros((3, *size), np.uint8), heatmap, grid).astype(float).sum(-1)
    rows, columns = np.mgrid[0.5 : size[0], 0.5 : size[1]]
    centroid = ((bright * columns).sum() / bright.sum(), (bright * rows).sum() / bright.sum())
    expected = (float(grid.to_input(torch.tensor(9.0))), float(grid.to_input(torch.tensor(5.0))))
    assert np.abs(np.subtract(centroid, expected)).max() < 0.3


def test_sheets_of_maps_have_a_picture_a_keypoint() -> None:
    grid = Grid.centred(4)
    heatmap, tags = torch.rand(17, 24, 32), torch.randn(17, 2, 24, 32)
    for sheet in (draw_heatmap(DARK, heatmap, grid, COCO), draw_tags(DARK, tags, heatmap, grid, COCO)):
        assert sheet.dtype == np.uint8 and sheet.shape == (3 * (96 + 4), 6 * (128 + 4), 3)


@pytest.mark.parametrize("tag_size", [1, 2])
def test_tag_plots_skip_what_was_not_found(tag_size: int) -> None:
    tags = np.random.default_rng(0).normal(size=(3, 17, tag_size)).astype(np.float32)
    tags[1, 4:] = np.nan
    assert plot_tags(tags, COCO).shape == plot_tags(tags[:0], COCO).shape == (500, 600, 3)


def test_ignored_areas_are_tinted() -> None:
    crowd = np.zeros((96, 128), bool)
    crowd[60:, 60:] = True
    picture = draw_ignore(DARK, {"crowd": crowd})
    assert (picture[60:, 60:].sum(-1) > 0).all() and (picture[40:60, :60] == 0).all()


def test_pictures_are_joined_and_saved_whole(tmp_path: Path) -> None:
    small, large = np.zeros((10, 20, 3), np.uint8), np.full((30, 15, 3), (255, 0, 10), np.uint8)
    assert side_by_side(small, large).shape[1] == 2 * (20 + 4)
    assert contact_sheet([small] * 5, columns=2, titles=["a"] * 5).shape[0] == 3 * (10 + 4)
    path = save_png(tmp_path / "deep" / "one.png", large)
    np.testing.assert_array_equal(cv2.imread(str(path))[..., ::-1], large)
    assert [entry.name for entry in path.parent.iterdir()] == ["one.png"]
