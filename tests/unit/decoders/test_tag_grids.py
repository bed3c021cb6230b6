"""Heatmaps and tags need not lie on one grid, nor be decoded on their own: tags of a coarser one give the same people."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from bottomup.decoders.associative_embedding import AssociativeEmbedding
from bottomup.geometry import Grid
from bottomup.ops.sampling import gather_maps
from bottomup.ops.tag_maps import TagsBetween, read_tags, resize_tags
from bottomup.skeletons import COCO
from bottomup.types import Frame, Instances, Outputs, Task

K = len(COCO)
SIZE = (128, 160)
COARSE = Grid.centred(4)
ALL = torch.tensor([[0.0, 0.0, 160.0, 128.0]])


def scatter(people: int) -> Tensor:
    """Keypoints (N, K, 2) input px, each person's in a column of the picture of its own."""
    width = SIZE[1] / people
    x = torch.rand(people, K) * (width - 24) + 12 + width * torch.arange(people)[:, None]
    return torch.stack((x, torch.rand(people, K) * (SIZE[0] - 24) + 12), dim=-1)


def outputs(keypoints: Tensor, heat: Grid, tag: Grid, tag_size: int = 1) -> Outputs:
    """Ideal maps: gaussians of 6 px, and of every cell the tag of the person of its column."""
    h, w = heat.shape(SIZE)
    x = keypoints[..., :1] - heat.centres(w, keypoints)
    y = keypoints[..., 1:] - heat.centres(h, keypoints)
    heatmap = torch.exp(-(x.square()[..., None, :] + y.square()[..., :, None]) / (2 * 6.0**2)).amax(0)
    rows, columns = tag.shape(SIZE)
    person = (tag.centres(columns, keypoints) * len(keypoints) / SIZE[1]).long()
    tags = 10.0 * person.float().expand(K, tag_size, rows, columns)
    return {"heatmap": heatmap[None], "tags": tags[None].contiguous()}


def decode(maps: Outputs, heat: Grid, tag: Grid, **options: Any) -> Instances:
    decoder = AssociativeEmbedding(Task(COCO), **options)
    (prediction,) = decoder(maps, Frame({"heatmap": heat, "tags": tag}, SIZE, ALL))
    return prediction.instances


def assert_same(one: Instances, other: Instances) -> None:
    for left, right in zip(vars(one).values(), vars(other).values(), strict=True):
        torch.testing.assert_close(left, right, equal_nan=True)


@pytest.mark.parametrize("between", ["nearest", "bilinear"])
@pytest.mark.parametrize("own", [Grid.centred(4), Grid.cornered(8), Grid.centred(2)], ids=str)
@pytest.mark.parametrize("grid", [Grid.centred(2), Grid.centred(1), Grid.cornered(4)], ids=str)
def test_reading_at_peaks_is_resizing_and_then_reading(own: Grid, grid: Grid, between: TagsBetween) -> None:
    tags = torch.randn(2, 3, 2, *own.shape((64, 80)))
    h, w = grid.shape((64, 80))
    cells = torch.stack((torch.randint(w, (2, 3, 7, 4)), torch.randint(h, (2, 3, 7, 4))), dim=-1).float()
    resized = resize_tags(tags, own, grid, (h, w), between)
    torch.testing.assert_close(read_tags(tags, own, cells, grid, between), gather_maps(resized, cells), atol=1e-4, rtol=1e-4)
    if own == grid:
        assert torch.equal(resized, tags) and torch.equal(read_tags(tags, own, cells, grid, between), gather_maps(tags, cells))


@pytest.mark.parametrize("options", [{}, {"fill_threshold": 0.0, "fill_from": "map", "detection_threshold": 0.5}], ids=str)
@pytest.mark.parametrize("tag", [Grid.centred(4), Grid.centred(8), Grid.cornered(4)], ids=str)
@pytest.mark.parametrize("people", [1, 3])
def test_coarser_tags_give_the_same_people(people: int, tag: Grid, options: dict[str, Any]) -> None:
    heat, keypoints = Grid.centred(2), scatter(people)
    fine, coarse = (decode(outputs(keypoints, heat, grid), heat, grid, **options) for grid in (heat, tag))
    assert len(fine) == people
    assert_same(fine, coarse)


def test_the_nearest_cell_is_one_persons_where_two_touch() -> None:
    own, tags = Grid.centred(4), torch.tensor([[[[[0.0, 10.0]]]]])  # two people, a cell each
    cells = torch.tensor([[[[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [3.0, 0.0]]]])
    assert read_tags(tags, own, cells, Grid.centred(2), "nearest").flatten().tolist() == [0.0, 0.0, 10.0, 10.0]
    assert read_tags(tags, own, cells, Grid.centred(2), "bilinear").flatten().tolist() == [0.0, 2.5, 7.5, 10.0]


def test_finer_tags_give_the_same_people_too() -> None:
    keypoints, heat = scatter(3), Grid.centred(4)
    same, finer = (decode(outputs(keypoints, heat, grid), heat, grid) for grid in (heat, Grid.centred(2)))
    assert_same(same, finer)


# ---- decoding on another grid --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fill", [{}, {"fill_threshold": 0.0, "fill_from": "map"}], ids=str)
def test_the_heatmaps_own_stride_changes_nothing(fill: dict[str, Any]) -> None:
    keypoints = scatter(3)
    maps = outputs(keypoints, COARSE, COARSE, tag_size=2)
    assert_same(decode(maps, COARSE, COARSE, stride=4, **fill), decode(maps, COARSE, COARSE, **fill))


@pytest.mark.parametrize("heat", [Grid.centred(4), Grid.centred(2), Grid.cornered(4)], ids=str)
@pytest.mark.parametrize("fill", [{}, {"fill_threshold": 0.0, "fill_from": "map"}], ids=str)
def test_people_come_back_on_the_pixels_of_the_input(heat: Grid, fill: dict[str, Any]) -> None:
    keypoints = scatter(2)
    found = decode(outputs(keypoints, heat, COARSE), heat, COARSE, stride=1, window=5, refine="quarter", shared_peaks=False, **fill)
    assert len(found) == 2
    own = found.keypoints[found.keypoints[:, 0, 0].argsort()]  # by columns, as scattered
    assert (own - keypoints).abs().nan_to_num(0.0).max() <= heat.stride / 2
    assert not fill or found.keypoints.isfinite().all()


def test_nothing_lies_in_the_padding_on_another_grid_either() -> None:
    content = torch.tensor([[0.0, 0.0, 101.0, 90.0]])
    options = {"stride": 1, "window": 5, "fill_threshold": 0.0, "fill_from": "map"}
    maps = outputs(scatter(2), COARSE, COARSE)
    (prediction,) = AssociativeEmbedding(Task(COCO), **options)(maps, Frame({"heatmap": COARSE, "tags": COARSE}, SIZE, content))
    found = prediction.instances.keypoints
    assert len(found) and (found.nan_to_num(0.0) <= content[0, 2:]).all()
