"""Pictures show things where they are, and leave alone what they are given."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from bottomup.geometry import Grid
from bottomup.skeletons import COCO
from bottomup.types import Frame, Instances, People
from bottomup.visualize import (
    contact_sheet,
    draw_heatmap,
    draw_ignore,
    draw_instances,
    draw_offsets,
    draw_outputs,
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


def one_instance(keypoints: Tensor) -> Instances:
    """One person, sure of all its keypoints (17, 2)."""
    return Instances.of_keypoints(keypoints[None], torch.ones(1, 17), torch.ones(1))


def one_keypoint(index: int, x: float, y: float, visibility: int) -> People:
    """One person of whom one keypoint is labelled; its box lies outside the image."""
    people = make_sample(0, people=1).people
    people.keypoints[0], people.visibility[0], people.boxes[0] = 0, 0, 1000
    people.keypoints[0, index], people.visibility[0, index] = (x, y), visibility
    return people


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -float("inf")])
def test_a_keypoint_that_is_nowhere_is_not_drawn_whatever_its_score(wrong: float) -> None:
    keypoints = torch.rand(17, 2, generator=torch.Generator().manual_seed(0)) * 80
    keypoints[3] = wrong
    nowhere = one_instance(keypoints)
    unfound = Instances(nowhere.keypoints, nowhere.keypoint_scores.clone(), nowhere.scores, nowhere.boxes, nowhere.labels)
    unfound.keypoint_scores[0, 3] = 0
    np.testing.assert_array_equal(draw_instances(DARK, nowhere, COCO), draw_instances(DARK, unfound, COCO))
    lost = one_instance(torch.full((17, 2), wrong))
    np.testing.assert_array_equal(draw_instances(DARK, lost, COCO), DARK.transpose(1, 2, 0))


def test_an_unlabelled_or_undefined_keypoint_is_not_drawn() -> None:
    for people in (one_keypoint(0, 40, 60, 0), one_keypoint(0, np.nan, np.nan, 2)):
        np.testing.assert_array_equal(draw_people(DARK, people, COCO), DARK.transpose(1, 2, 0))


@pytest.mark.filterwarnings("error")
def test_a_keypoint_far_outside_leaves_the_picture_alone() -> None:
    far = one_instance(torch.full((17, 2), 1e12))
    np.testing.assert_array_equal(draw_instances(DARK, far, COCO), DARK.transpose(1, 2, 0))


def test_only_keypoints_above_the_score_are_drawn() -> None:
    instances = one_instance(torch.rand(17, 2) * 80)
    assert not draw_instances(DARK, instances, COCO, keypoint_threshold=1.0).any()


@pytest.mark.parametrize("side", [128, 2000])
def test_a_keypoint_colours_the_pixel_that_contains_it(side: int) -> None:
    image = np.zeros((3, side, side), np.uint8)
    rng = np.random.default_rng(side)
    for x, y in rng.uniform(1, side - 1, (20, 2)).tolist():
        picture = draw_people(image, one_keypoint(0, x, y, 2), COCO)
        assert picture[int(y), int(x)].any() and np.count_nonzero(picture.any(-1)) < 0.01 * side * side


def test_occluded_and_visible_keypoints_and_both_sides_look_different() -> None:
    left, right = COCO.index("left_wrist"), COCO.index("right_wrist")
    cases = [(left, 2), (right, 2), (left, 1)]
    drawn = [draw_people(DARK, one_keypoint(k, 60.5, 40.5, visibility), COCO)[40, 60] for k, visibility in cases]
    visible_left, visible_right, occluded = (colour.astype(int).tolist() for colour in drawn)
    assert visible_left != visible_right and occluded == [255, 255, 255] != visible_left


@pytest.mark.parametrize("side", [64, 128, 640, 2000])
def test_lines_grow_with_the_person(side: int) -> None:
    keypoints = torch.from_numpy(make_sample(0, (96, 96), people=1).people.keypoints[0]) / 96
    picture = draw_instances(np.zeros((3, side, side), np.uint8), one_instance(keypoints * side), COCO)
    assert 0.02 < picture.any(-1).mean() < 0.5


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_maps_of_a_diverged_network_are_drawn_as_nothing(wrong: float) -> None:
    grid, nothing = Grid.centred(4), torch.zeros(17, 24, 32)
    broken = torch.full_like(nothing, wrong)
    np.testing.assert_array_equal(draw_heatmap(DARK, broken, grid, COCO), draw_heatmap(DARK, nothing, grid, COCO))
    np.testing.assert_array_equal(draw_strongest(DARK, broken, grid), DARK.transpose(1, 2, 0))
    draw_tags(DARK, broken[:, None], torch.rand(17, 24, 32), grid, COCO)


def test_half_precision_maps_that_need_gradients_are_drawn() -> None:
    heatmap = torch.rand(17, 24, 32, dtype=torch.bfloat16, requires_grad=True)
    assert draw_strongest(DARK, heatmap, Grid.centred(4)).any()


@pytest.mark.parametrize("grid", [Grid.centred(4), Grid.cornered(8)])
@pytest.mark.parametrize("size", [(96, 128), (480, 1600)])
def test_a_peak_shows_at_its_share_of_a_tile(grid: Grid, size: tuple[int, int]) -> None:
    height, width = (side + 1 if grid.origin == 0.5 else side for side in size)
    nothing = torch.zeros(17, *grid.shape((height, width)))
    row, column = nothing.shape[1] * 2 // 3, nothing.shape[2] // 2
    heatmap = nothing.clone()
    heatmap[0, row, column] = 1.0
    image = np.zeros((3, height, width), np.uint8)
    sheet, titles = (draw_heatmap(image, maps, grid, COCO).astype(float).sum(-1) for maps in (heatmap, nothing))
    tile = (sheet - titles)[: sheet.shape[0] // 3 - 4, : sheet.shape[1] // 6 - 4]
    rows, columns = np.mgrid[0.5 : tile.shape[0], 0.5 : tile.shape[1]]
    found = np.array(((tile * columns).sum(), (tile * rows).sum())) / tile.sum()
    centre = np.array([float(grid.to_input(torch.tensor(float(cell)))) for cell in (column, row)])
    assert tile.shape[1] <= 640
    assert np.abs(found - centre * (tile.shape[1] / width, tile.shape[0] / height)).max() < 0.3


def test_maps_leave_the_image_and_the_areas_as_they_are() -> None:
    image, maps, areas = make_sample(0).image, torch.rand(17, 24, 32), np.ones((96, 128), bool)
    before, maps_before = image.copy(), maps.clone()
    draw_strongest(image, maps, Grid.centred(4))
    draw_tags(image, maps[:, None], maps, Grid.centred(4), COCO)
    draw_ignore(image, {"crowd": areas}, np.full((96, 128), -1, np.int16))
    np.testing.assert_array_equal(image, before)
    assert torch.equal(maps, maps_before) and areas.all()


def test_nothing_ignored_leaves_the_image_as_it_is() -> None:
    image, nowhere = make_sample(0).image, np.zeros((96, 128), bool)
    picture = draw_ignore(image, {"crowd": nowhere}, np.zeros((96, 128), np.int16))
    np.testing.assert_array_equal(picture, image.transpose(1, 2, 0))


def test_ignore_maps_of_any_name_are_drawn() -> None:
    assert draw_ignore(DARK, {"of my own": np.ones((96, 128), bool)}).any(-1).mean() > 0.9


def test_sheets_say_what_they_need() -> None:
    with pytest.raises(ValueError, match="at least one picture"):
        contact_sheet([])
    with pytest.raises(ValueError, match="each of its 2 pictures"):
        contact_sheet([DARK.transpose(1, 2, 0)] * 2, titles=["one"])


def test_offsets_lead_from_their_cells_to_where_they_point() -> None:
    grid, end = Grid.cornered(8), torch.tensor((80.5, 40.5))
    h, w = grid.shape((97, 129))
    rows, columns = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    field = end[:, None, None] - grid.to_input(torch.stack((columns, rows)).float())
    somewhere = torch.zeros(1, h, w, dtype=torch.bool)
    somewhere[0, 9, 2] = True
    picture = draw_offsets(np.zeros((3, 97, 129), np.uint8), field[None], somewhere, grid, ["nose"])[:97, :129].max(-1)
    start = grid.to_input(torch.tensor((2.0, 9.0)))
    for share in (0.0, 0.5, 1.0):
        x, y = (start + share * (end - start) - 0.5).round().int().tolist()
        assert picture[y, x] > 100
    assert not picture[64:, 40:].any() and not picture[20:35].any()  # on neither side of the line; the title is above


def test_every_map_of_a_method_has_its_picture() -> None:
    grids = {key: Grid.cornered(8) for key in ("heatmap_logits", "short_offsets", "mid_offsets", "segmentation", "long_offsets")}
    frame = Frame(grids, (33, 33), torch.tensor([[0.0, 0.0, 33.0, 33.0]]))
    outputs = {
        "heatmap_logits": torch.zeros(1, 17, 5, 5),
        "short_offsets": torch.zeros(1, 17, 2, 5, 5),
        "mid_offsets": torch.zeros(1, 32, 2, 5, 5),
        "segmentation": torch.ones(1, 1, 5, 5),
        "long_offsets": torch.zeros(1, 17, 2, 5, 5),
    }
    pictures = draw_outputs(DARK[:, :33, :33], outputs, frame, COCO)
    assert set(pictures) == {"heatmap", "heatmap_strongest", "short_offsets", "mid_offsets", "segmentation", "long_offsets"}
