"""What every head must keep to, whichever it is."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from functools import partial

import pytest
import torch

import bottomup.heads
from bottomup.contracts import HEADS, Head, Level, Source
from bottomup.geometry import Grid
from bottomup.heads.heatmap import Heatmap
from bottomup.heads.instance_tags import InstanceTags
from bottomup.heads.long_offsets import LongOffsets
from bottomup.heads.mid_offsets import MidOffsets
from bottomup.heads.segmentation import Segmentation
from bottomup.heads.short_offsets import ShortOffsets
from bottomup.heads.tags import Tags
from bottomup.skeletons import COCO
from bottomup.types import Frame, Task
from bottomup.views import make_view
from tests.scenes import make_batch

GRIDS = {"centred": Grid.centred(4), "cornered": Grid.cornered(8)}
SIZES = {"centred": (96, 128), "cornered": (97, 129)}
BUILD: dict[str, Callable[[Source, Task], Head]] = {
    "heatmap": Heatmap,
    "heatmap cells": partial(Heatmap, sigma_cells=2.0),
    "heatmap disk logistic": partial(Heatmap, shape="disk", criterion="logistic", radius=16.0),
    "short_offsets": ShortOffsets,
    "mid_offsets": MidOffsets,
    "mid_offsets raw": partial(MidOffsets, refine=0),
    "long_offsets": LongOffsets,
    "long_offsets raw": partial(LongOffsets, refine=0),
    "tags": Tags,
    "tags around": partial(Tags, cells="around"),
    "tags 3-D": partial(Tags, dim=3, distance="rms", push="pairs", pull="sum"),
    "instance_tags": InstanceTags,
    "instance_tags sum": partial(InstanceTags, dim=3, pixels=5, reduction="sum", border=2, sizes=(8.0, 300.0)),
    "segmentation": Segmentation,
    "segmentation mse": partial(Segmentation, criterion="mse"),
    "segmentation of sizes": partial(Segmentation, sizes=(8.0, 300.0), border=3),
}
NO_MAPS = {"retinanet", "proposals", "candidates", "prn"}  # on no grid; each has its own tests in tests/unit/heads
heads = pytest.mark.parametrize("name", BUILD)
grids = pytest.mark.parametrize("grid", GRIDS)


def make_head(name: str, grid: str = "centred") -> Head:
    torch.manual_seed(0)
    return BUILD[name](Source({"stack": Level(8, GRIDS[grid])}), Task(COCO))


def predict(head: Head, grid: str, images: int) -> dict[str, torch.Tensor]:
    h, w = GRIDS[grid].shape(SIZES[grid])
    random = torch.Generator().manual_seed(1)
    earlier = {"short_offsets": 8 * torch.randn(images, 17, 2, h, w, generator=random)} if head.requires else {}
    return head({"stack": torch.randn(images, 8, h, w, generator=random)}, earlier)


def test_all_registered_heads_are_tested_here() -> None:
    files = {module.name for module in pkgutil.iter_modules(bottomup.heads.__path__) if module.name[0] != "_"}
    assert {name.split()[0] for name in BUILD} == files - NO_MAPS and files <= set(HEADS.names())


@heads
@grids
def test_outputs_have_the_declared_keys_axes_and_sizes(name: str, grid: str) -> None:
    head = make_head(name, grid)
    outputs = predict(head, grid, 2)
    assert outputs.keys() == head.provides.keys() == head.grids.keys()
    for key, maps in outputs.items():
        assert maps.dim() == len(head.provides[key].split())
        assert maps.shape[-2:] == head.grids[key].shape(SIZES[grid])
        assert maps.dtype == torch.float32
    ideal = head.ideal(make_batch([2, 0], SIZES[grid]))
    assert {key: maps.shape for key, maps in ideal.items()} == {key: maps.shape for key, maps in outputs.items()}


@heads
def test_fed_back_channels_are_those_it_predicts(name: str) -> None:
    head = make_head(name)
    assert head.feedback == sum(maps.flatten(1, -3).shape[1] for maps in predict(head, "centred", 1).values())


@heads
def test_a_loss_is_one_finite_number_an_image_and_reaches_the_weights(name: str) -> None:
    head = make_head(name)
    batch = make_batch([3, 1, 0])
    losses = head.loss(predict(head, "centred", 3), head.encode(batch, {}))
    for term in losses.values():
        assert term.shape == (3,) and term.dtype == torch.float32 and term.isfinite().all()
    sum(term.sum() for term in losses.values()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())


@heads
def test_an_image_without_people_gives_a_connected_loss(name: str) -> None:
    head = make_head(name)
    losses = head.loss(predict(head, "centred", 2), head.encode(make_batch([0, 0]), {}))
    assert all(term.requires_grad and term.isfinite().all() for term in losses.values())


@heads
def test_losses_of_a_batch_are_those_of_its_images(name: str) -> None:
    head = make_head(name)
    outputs = predict(head, "centred", 3)
    batch = make_batch([3, 1, 2])
    torch.manual_seed(2)
    whole = head.loss(outputs, head.encode(batch, {}))
    for row in range(3):
        torch.manual_seed(2)  # of what is drawn
        one = head.encode(batch, {})
        single = head.loss(
            {key: maps[row : row + 1] for key, maps in outputs.items()}, {key: t[row : row + 1] for key, t in one.items()}
        )
        for term, values in whole.items():
            torch.testing.assert_close(values[row : row + 1], single[term])


@heads
@grids
def test_a_flipped_view_of_the_ideal_is_the_ideal(name: str, grid: str) -> None:
    head = make_head(name, grid)
    batch = make_batch([3, 2], SIZES[grid])
    mirrored = make_view(batch, batch.size, 1.0, True, torch.zeros(3, dtype=torch.uint8), COCO.flip_order)
    frame = Frame(head.grids, mirrored.size, mirrored.content)
    ideal, undone = head.ideal(batch), head.unflip(head.ideal(mirrored), frame)
    for key, maps in ideal.items():
        equal = torch.isclose(undone[key], maps, atol=1e-4).float().mean()
        assert equal > 0.995  # a cell as near to one keypoint as to another may go to either


@heads
def test_merging_equal_views_changes_no_shape_but_the_tag_size(name: str) -> None:
    head = make_head(name)
    batch = make_batch([2])
    frame = Frame(head.grids, batch.size, batch.content)
    ideal = head.ideal(batch)
    for key, maps in head.merge([ideal, ideal], [frame, frame], frame).items():
        if key in ("tags", "instance_tags"):
            assert maps.shape[2] == 2 * ideal[key].shape[2]
        else:
            torch.testing.assert_close(maps, ideal[key])


@pytest.mark.parametrize("name", ["heatmap disk logistic", "segmentation"])
def test_views_that_disagree_meet_at_the_mean_of_their_probabilities(name: str) -> None:
    head = make_head(name)
    batch = make_batch([1])
    frame = Frame(head.grids, batch.size, batch.content)
    ((key, maps),) = head.ideal(batch).items()
    views = [{key: torch.full_like(maps, logit)} for logit in (-10.0, 2.0)]
    expected = torch.tensor([-10.0, 2.0]).sigmoid().mean()
    merged = head.merge(views, [frame, frame], frame)[key].sigmoid()
    torch.testing.assert_close(merged, expected.expand_as(maps))


def test_a_heatmap_peaks_at_the_keypoint_exactly() -> None:
    """The gaussian of a keypoint between cells has its log-parabola's vertex there: no half pixel is lost."""
    head = make_head("heatmap")
    batch = make_batch([1])
    maps = head.ideal(batch)["heatmap"][0]  # (K, h, w)
    for k in range(17):
        x, y = batch.keypoints[0, 0, k].tolist()
        row, column = divmod(int(maps[k].argmax()), maps.shape[-1])
        for true, cell, line in ((x, column, maps[k, row]), (y, row, maps[k, :, column])):
            if 0 < cell < len(line) - 1:
                before, here, after = line[cell - 1 : cell + 2].log()
                vertex = cell + 0.5 * (before - after) / (before - 2 * here + after)
                assert abs(float(head.grids["heatmap"].to_input(vertex)) - true) < 0.02


def test_ignored_cells_do_not_count() -> None:
    head = make_head("heatmap")
    batch = make_batch([2])
    batch.ignore["crowd"] = torch.zeros(1, 96, 128, dtype=torch.bool)
    batch.ignore["crowd"][:, :48] = True
    targets = head.encode(batch, {})
    maps = {"heatmap": targets["heatmap"].clone()}
    maps["heatmap"][:, :, :12] += 5.0
    assert head.loss(maps, targets)["mse"].item() == 0
    maps["heatmap"][:, :, 12:] += 5.0
    assert head.loss(maps, targets)["mse"].item() > 1


@pytest.mark.parametrize("cells", ["nearest", "around"])
@pytest.mark.parametrize("distance", ["l2", "rms"])
def test_tags_pull_within_and_push_between(distance: str, cells: str) -> None:
    head = make_tags(dim=2, distance=distance, cells=cells)
    batch = make_batch([3])
    targets = head.encode(batch, {})
    apart = head.ideal(batch)
    losses, figures = head.loss(apart, targets), head.metrics(apart, targets)
    assert losses["pull"].item() == pytest.approx(0, abs=1e-6)
    assert losses["push"].item() == pytest.approx(1 / 3, abs=1e-6)  # the paper's diagonal: n = n'
    assert figures["within"].item() < 1e-3 < 9 < figures["between"].item()
    collapsed = {"tags": torch.zeros_like(apart["tags"])}
    assert head.loss(collapsed, targets)["push"].item() == pytest.approx(1)
    assert head.metrics(collapsed, targets)["between"].item() == 0


def test_tags_around_a_keypoint_are_trained_wherever_its_peak_may_fall() -> None:
    """Between two cells both get a gradient, at a cell's centre it alone."""
    for place, count in ((0.5, 2), (0.0, 1)):
        batch = make_batch([1])
        batch.keypoints[:] = GRIDS["centred"].to_input(torch.tensor([10.0 + place, 7.0]))
        targets = make_tags(cells="around").encode(batch, {})
        assert ((targets["weights"] > 0).sum(-1) == count)[batch.labelled].all()
        torch.testing.assert_close(targets["weights"].sum(-1), batch.labelled.float())


def test_a_cell_around_two_keypoints_belongs_to_the_nearer() -> None:
    batch = make_batch([2])
    batch.keypoints[:] = GRIDS["centred"].to_input(torch.tensor([[[[10.4, 7.0]], [[11.4, 7.0]]]]))
    batch.visibility[:] = 2
    targets = make_tags(cells="around").encode(batch, {})
    used = [set(map(tuple, targets["cells"][0, n, 0][targets["weights"][0, n, 0] > 0].tolist())) for n in range(2)]
    assert used == [{(10, 7)}, {(11, 7), (12, 7)}]


def test_tags_of_rms_are_judged_as_the_mean_square_of_what_the_convolution_gives() -> None:
    """Whatever the distance, what leaves the head is as far apart as it says, and its ideal and its loss know no other."""
    l2, rms = (make_tags(dim=8, distance=distance) for distance in ("l2", "rms"))
    rms.load_state_dict(l2.state_dict())
    batch = make_batch([2])
    features = {"stack": torch.randn(1, 8, *GRIDS["centred"].shape(batch.size))}
    plain, scaled = l2(features, {})["tags"], rms(features, {})["tags"]
    torch.testing.assert_close(scaled.square().sum(2), plain.square().mean(2))
    for head in (l2, rms):
        assert head.metrics(head.ideal(batch), head.encode(batch, {}))["between"].item() == pytest.approx(10.0)


@pytest.mark.parametrize("dim", [1, 8])
@pytest.mark.parametrize("distance", ["l2", "rms"])
def test_equal_views_are_as_far_apart_as_one(distance: str, dim: int) -> None:
    head = make_tags(dim=dim, distance=distance)
    batch = make_batch([3])
    frame, targets = Frame(head.grids, batch.size, batch.content), head.encode(batch, {})
    view = {"tags": head.ideal(batch)["tags"] + torch.randn(1, 17, dim, *GRIDS["centred"].shape(batch.size))}
    merged = make_tags(dim=2 * dim)
    twice, once = merged.metrics(head.merge([view, view], [frame, frame], frame), targets), head.metrics(view, targets)
    torch.testing.assert_close(twice, once)


def test_tags_are_of_the_scale_nearest_to_one_with_its_mirror_image_or_of_all() -> None:
    batch = make_batch([2])
    views = [{"tags": torch.full((1, 17, 1, 24, 32), float(n))} for n in range(4)]
    frames = [Frame({"tags": GRIDS["centred"]}, batch.size, batch.content, scale) for scale in (2.0, 1.0, 1.0, 0.5)]
    tags = make_tags().merge(views, frames, frames[0])["tags"]
    assert (tags[0, 0, :, 0, 0] * 2**0.5).tolist() == pytest.approx([1, 2])
    assert make_tags(scales="all").merge(views, frames, frames[0])["tags"].shape[2] == 4
    assert make_tags().merge(views[3:], frames[3:], frames[0])["tags"].unique().tolist() == [3]


def make_tags(**options: object) -> Tags:
    return Tags(Source({"stack": Level(8, GRIDS["centred"])}), Task(COCO), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(("option", "word", "meant"), [("push", "pair", "pairs"), ("cells", "arround", "around")])
def test_a_misspelt_option_is_refused(option: str, word: str, meant: str) -> None:
    with pytest.raises(ValueError, match=f"did you mean '{meant}'"):
        make_tags(**{option: word})
