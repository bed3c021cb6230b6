"""The decoder gives back the people whose ideal maps it sees, and stays bounded on any others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from bottomup.contracts import DECODERS, requirements
from bottomup.decoders.associative_embedding import AssociativeEmbedding
from bottomup.errors import ConfigError
from bottomup.geometry import Grid
from bottomup.grouping.tagged import best_cells
from bottomup.skeletons import COCO
from bottomup.types import Frame, Instances, Outputs, Task

K = len(COCO)
STRIDE, SHAPE = 4, (48, 64)  # cells
SIZE = (SHAPE[0] * STRIDE, SHAPE[1] * STRIDE)
GRIDS = (Grid.centred(STRIDE), Grid.cornered(STRIDE))


def decoder(**options: Any) -> AssociativeEmbedding:
    return AssociativeEmbedding(Task(COCO), **options)


def frame(images: int = 1, grid: Grid = GRIDS[0], content: tuple[float, ...] = (0.0, 0.0, SIZE[1], SIZE[0])) -> Frame:
    return Frame({"heatmap": grid, "tags": grid}, SIZE, torch.tensor([content] * images))


def scatter(people: int, seed: int = 0, apart: float = 30.0, margin: float = 10.0) -> Tensor:
    """Keypoints (N, K, 2) in input px; those of one kind are ``apart``."""
    rng = np.random.default_rng(seed)
    kinds: list[list[Any]] = [[] for _ in range(K)]
    for kind in kinds:
        while len(kind) < people:
            point = rng.uniform(margin, np.array(SIZE[::-1]) - margin)
            if all(np.hypot(*(point - other)) >= apart for other in kind):
                kind.append(point)
    return torch.tensor(np.array(kinds), dtype=torch.float32).view(K, people, 2).transpose(0, 1)


def maps(keypoints: Tensor, tags: Tensor | None = None, heights: Tensor | None = None, grid: Grid = GRIDS[0]) -> Outputs:
    """Ideal maps of people (N, K, 2), NaN = not there: gaussians of two cells, the nearest person's tag (N, D) everywhere."""
    people = len(keypoints)
    tags = 10.0 * torch.arange(people)[:, None] if tags is None else tags
    heights = torch.ones(people, K) if heights is None else heights
    x = grid.to_cells(keypoints[..., :1]) - torch.arange(SHAPE[1])
    y = grid.to_cells(keypoints[..., 1:]) - torch.arange(SHAPE[0])
    squared = (x.square()[..., None, :] + y.square()[..., :, None]).nan_to_num(nan=1e6)  # (N, K, h, w)
    if not people:
        return {"heatmap": torch.zeros(1, K, *SHAPE), "tags": torch.zeros(1, K, 1, *SHAPE)}
    heatmap = (heights[..., None, None] * torch.exp(-squared / 8)).amax(0)
    return {"heatmap": heatmap[None], "tags": tags[squared.argmin(0)].permute(0, 3, 1, 2)[None].float()}


def decode(outputs: Outputs, where: Frame | None = None, **options: Any) -> Instances:
    (prediction,) = decoder(**options)(outputs, where or frame())
    return prediction.instances


def errors(instances: Instances, keypoints: Tensor) -> Tensor:
    """How far (N, K) each keypoint is from its instance's; one instance a person, NaN where both lack it, inf where one."""
    apart = (instances.keypoints[:, None] - keypoints).abs().amax(-1)  # (P, N, K)
    one_lacks = instances.keypoints[:, None, :, 0].isnan() != keypoints[..., 0].isnan()
    apart = torch.where(one_lacks, torch.inf, apart)
    rows, columns = linear_sum_assignment(apart.nan_to_num(nan=0, posinf=1e4).mean(-1).numpy())
    return apart[rows, columns]


def assert_found(instances: Instances, keypoints: Tensor, within: float) -> None:
    assert len(instances) == len(keypoints)
    apart = errors(instances, keypoints)
    assert apart.nan_to_num(nan=0.0, posinf=torch.inf).max() <= within


def assert_same(one: Instances, other: Instances) -> None:
    for left, right in zip(vars(one).values(), vars(other).values(), strict=True):
        torch.testing.assert_close(left, right, equal_nan=True)


# ---- round trips -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("refine", "cells"), [("none", 0.5), ("quarter", 0.25), ("log_parabola", 0.02)])
@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("window", [3, 5])
@pytest.mark.parametrize("people", [1, 2, 6])
def test_people_come_back(people: int, window: int, grid: Grid, refine: str, cells: float) -> None:
    keypoints = scatter(people)
    instances = decode(maps(keypoints, grid=grid), frame(grid=grid), refine=refine, window=window)
    assert_found(instances, keypoints, STRIDE * cells + 1e-3)


def test_people_come_back_at_the_border_of_the_content() -> None:
    content = (0.0, 0.0, SIZE[1] - 10.0, SIZE[0] - 7.0)
    keypoints = scatter(1)
    keypoints[0, 0], keypoints[0, 1] = torch.tensor((0.3, 0.2)), torch.tensor((content[2] - 0.2, content[3] - 0.1))
    instances = decode(maps(keypoints.clamp(max=torch.tensor(content[2:]))), frame(content=content))
    assert errors(instances, keypoints.clamp(max=torch.tensor(content[2:]))).max() <= STRIDE / 2
    assert (instances.keypoints >= 0).all() and (instances.keypoints <= torch.tensor(content[2:])).all()


def test_missing_keypoints_stay_missing() -> None:
    keypoints = scatter(4)
    keypoints[torch.rand(4, K) < 0.4] = torch.nan
    instances = decode(maps(keypoints))
    assert_found(instances, keypoints, STRIDE / 4 + 1e-3)
    assert torch.equal(instances.keypoint_scores == 0, instances.keypoints[..., 0].isnan())


def test_logits_decode_as_their_probabilities() -> None:
    outputs = maps(scatter(3))
    logits = {"heatmap_logits": outputs["heatmap"].clamp(1e-6, 1 - 1e-6).logit(), "tags": outputs["tags"]}
    where = Frame({"heatmap_logits": GRIDS[0], "tags": GRIDS[0]}, SIZE, frame().content)
    assert_same(decode(logits, where), decode({**outputs, "heatmap": logits["heatmap_logits"].sigmoid()}))


# ---- symmetries --------------------------------------------------------------------------------------------------------


def test_the_order_of_people_does_not_matter() -> None:
    keypoints, order = scatter(5), torch.tensor([3, 0, 4, 1, 2])
    heights = torch.linspace(0.5, 1, 5)[:, None].expand(5, K)
    tags = 10.0 * torch.arange(5)[:, None]
    shuffled = maps(keypoints[order], tags[order], heights[order])
    assert_same(decode(maps(keypoints, tags, heights)), decode(shuffled))


@pytest.mark.parametrize("refine", ["none", "quarter", "log_parabola"])
def test_what_moves_comes_back_moved(refine: str) -> None:
    keypoints = scatter(3, margin=40.0)
    shift = torch.tensor((2.0 * STRIDE, 0.0))
    here, there = (decode(maps(points), refine=refine) for points in (keypoints, keypoints + shift))
    torch.testing.assert_close(there.keypoints, here.keypoints + shift, atol=1e-3, rtol=0)


def test_batched_is_single() -> None:
    images = [maps(scatter(people, seed=people)) for people in (3, 0, 1, 6)]
    batch = {key: torch.cat([image[key] for image in images]) for key in images[0]}
    for together, alone in zip(decoder()(batch, frame(4)), images, strict=True):
        assert_same(together.instances, decode(alone))


# ---- tags --------------------------------------------------------------------------------------------------------------


def test_nobody_is_farther_from_their_tag_than_the_threshold() -> None:
    keypoints, two = scatter(1), torch.tensor([[0.0], [0.8]])
    halves = torch.cat((keypoints, keypoints))
    halves[0, 5:], halves[1, :5] = torch.nan, torch.nan
    assert len(decode(maps(halves, two), tag_threshold=1.0)) == 1
    assert len(decode(maps(halves, two), tag_threshold=0.7)) == 2


def test_people_whose_first_keypoints_have_equal_tags_are_two() -> None:
    keypoints = scatter(2)
    instances = decode(maps(keypoints, torch.zeros(2, 1)))
    assert len(instances) == 2
    assert (instances.keypoint_scores > 0).all()


def test_the_nearer_tag_wins_among_near_ones() -> None:
    keypoints = scatter(3)
    assert_found(decode(maps(keypoints, torch.tensor([[0.0], [0.3], [0.45]]))), keypoints, STRIDE / 4 + 1e-3)


def test_of_tags_that_are_as_good_the_nearer_or_the_earlier_person_wins() -> None:
    """Two people of nearly one tag: the higher peak goes to whom it is the nearer one's, or to who was found first."""
    keypoints, second = scatter(2, apart=40.0), COCO.grouping[1]
    heights = torch.ones(2, K)
    heights[0], heights[1, second] = 0.9, 0.95
    heights[1, COCO.grouping[0]] = 0.8
    outputs = maps(keypoints, torch.tensor([[0.0], [0.3]]), heights)
    assert_found(decode(outputs, ties="nearer"), keypoints, STRIDE / 4 + 1e-3)
    swapped = keypoints.clone()
    for k in COCO.grouping[1:]:  # the first found has the higher first keypoint, and then the higher of each
        if heights[1, k] > heights[0, k]:
            swapped[:, k] = keypoints[:, k].flip(0)
    assert_found(decode(outputs, ties="earlier"), swapped, STRIDE / 4 + 1e-3)


def test_tags_on_one_side_of_all_people_keep_their_order() -> None:
    """Their distances come to the same sum whoever gets which: the last digit must not say."""
    keypoints = scatter(3)
    first = torch.arange(K) == COCO.grouping[0]
    outputs = maps(keypoints, torch.tensor([[0.0], [0.05], [0.12]]))
    tags = outputs["tags"] + torch.where(first, 0.0, 0.2)[:, None, None, None]
    for seed in range(5):
        noise = 1e-5 * torch.randn(tags.shape, generator=torch.Generator().manual_seed(seed))
        assert_found(decode(outputs | {"tags": tags + noise}), keypoints, STRIDE / 4 + 1e-3)


def test_a_stronger_peak_wins_among_near_tags() -> None:
    first, second = COCO.grouping[:2]
    keypoints = scatter(2, apart=40.0)
    keypoints[1, torch.arange(K) != second] = torch.nan
    heights = torch.tensor([[0.7], [0.9]]).expand(2, K)
    instances = decode(maps(keypoints, torch.tensor([[0.0], [0.2]]), heights))
    (started,) = instances.keypoints[instances.keypoint_scores[:, first] > 0]
    torch.testing.assert_close(started[second], keypoints[1, second], atol=STRIDE / 4 + 1e-3, rtol=0)


# ---- options -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fill_from", ["peaks", "map"])
@pytest.mark.parametrize("below", [True, False])
def test_filling_completes_people_and_starts_none(below: bool, fill_from: str) -> None:
    keypoints = scatter(3)
    heights = torch.ones(3, K)
    heights[:2, 4:9] = 0.07
    heights[2] = 0.07
    outputs = maps(keypoints, heights=heights)
    plain = decode(outputs)
    filled = decode(outputs, fill_threshold=0.05 if below else 0.08, fill_from=fill_from)
    assert len(plain) == len(filled) == 2
    assert (plain.keypoint_scores[:, 4:9] == 0).all()
    assert ((filled.keypoint_scores[:, 4:9] > 0) == below).all()
    torch.testing.assert_close(filled.scores, plain.scores)
    if below:
        assert_found(filled, keypoints[:2], STRIDE / 4 + 1e-3)


def test_filling_respects_tags() -> None:
    keypoints, heights = scatter(2), torch.ones(2, K)
    keypoints[0, 4] = torch.nan
    heights[1, 4] = 0.07
    instances = decode(maps(keypoints, heights=heights), fill_threshold=0.05)
    assert_found(instances, keypoints, STRIDE / 4 + 1e-3)


def test_the_whole_map_makes_everybody_whole_where_peaks_do_not() -> None:
    """Whoever lacks a keypoint gets the best cell of their own tag, though no peak is there."""
    keypoints, heights = scatter(2), torch.ones(2, K)
    keypoints[1, 4] = keypoints[0, 4] + STRIDE * torch.tensor([2.0, 0.0])  # on the slope of another's gaussian
    heights[1, 4] = 0.3
    outputs, options = maps(keypoints, heights=heights), {"fill_threshold": 0.0, "shared_peaks": False}
    assert decode(outputs, **options).keypoints.isnan().any()
    whole = decode(outputs, fill_from="map", **options)
    assert_found(whole, keypoints, 1.5 * STRIDE)
    assert 0.3 < whole.keypoint_scores.min() < 1.0  # the heatmap's own
    assert_same(decode(outputs, fill_from="map", **options | {"fill_threshold": None}), decode(outputs, shared_peaks=False))


def test_the_best_cell_of_a_map_is_the_one_that_a_loop_finds() -> None:
    rng = np.random.default_rng(0)
    heatmap, tags = rng.random((K, 9, 11), np.float32), 3 * rng.standard_normal((K, 2, 9, 11), np.float32)
    kinds, means = rng.integers(K, size=40), 3 * rng.standard_normal((40, 2), np.float32)
    cells, values = best_cells(heatmap, tags, kinds, means, least=0.2)
    for k, mean, (x, y), value in zip(kinds, means, cells.tolist(), values, strict=True):
        fit = heatmap[k] - np.round(np.linalg.norm(tags[k] - mean[:, None, None], axis=0))
        best = np.where(heatmap[k] >= 0.2, fit, -np.inf)
        assert best[y, x] == best.max() and value == heatmap[k, y, x]
    assert (best_cells(heatmap, tags, kinds, means, least=1.0)[1] == 0).all()
    some = slice(0, 7)
    np.testing.assert_array_equal(best_cells(heatmap, tags, kinds[some], means[some], least=0.2)[0], cells[some])


def test_what_fills_from_the_map_lies_in_the_content() -> None:
    content = (0.0, 0.0, 120.0, 100.0)
    outputs = maps(scatter(1, margin=20.0))
    outputs["heatmap"] = (outputs["heatmap"] + 0.05).clamp(max=1.0)
    outputs["heatmap"][..., 26:, :] = outputs["heatmap"][..., 31:] = 0.09
    instances = decode(outputs, frame(content=content), fill_threshold=0.01, fill_from="map")
    assert len(instances) == 1 and instances.keypoints.isfinite().all()
    assert (instances.keypoints <= torch.tensor(content[2:])).all()


def test_a_keypoint_hidden_in_anothers_peak_completes_its_person() -> None:
    keypoints = scatter(2)
    keypoints[1, 9] = keypoints[0, 9] + STRIDE * torch.tensor([1.0, 0.0])
    assert decode(maps(keypoints), shared_peaks=False).keypoints.isnan().any(-1).sum() == 1
    assert_found(decode(maps(keypoints), shared_peaks=True), keypoints, STRIDE)


def test_a_hidden_keypoint_starts_nobody() -> None:
    keypoints = scatter(2)
    heights = torch.tensor([[1.0], [0.95]]).expand(2, K)  # the first is the higher everywhere
    keypoints[1] = keypoints[0] + STRIDE * torch.tensor([1.0, 0.0])
    assert len(decode(maps(keypoints, heights=heights), shared_peaks=True)) == 1


def test_instance_scores_count_missing_keypoints_or_not() -> None:
    keypoints = scatter(1)
    keypoints[0, 5:] = torch.nan
    every, found = (decode(maps(keypoints), instance_score=kind).scores for kind in ("all", "found"))
    torch.testing.assert_close(every, found * 5 / K)


def test_suppression_removes_the_same_person_seen_twice() -> None:
    keypoints = scatter(1).repeat(2, 1, 1)
    keypoints[1] += torch.tensor((4.0 * STRIDE, 0.0))
    outputs = maps(keypoints, heights=torch.tensor([[0.9], [0.7]]).expand(2, K))
    assert len(decode(outputs)) == 2
    assert_same(decode(outputs, nms_threshold=0.3), decode(outputs)[:1])


def test_only_the_best_start_when_there_is_no_more_room() -> None:
    keypoints, heights = scatter(4), torch.linspace(0.4, 1.0, 4)[:, None].expand(4, K)
    instances = decode(maps(keypoints, heights=heights), max_people=2)
    assert_found(instances, keypoints[2:], STRIDE / 4 + 1e-3)


def test_nothing_outside_the_content_is_found() -> None:
    keypoints, content = scatter(4), (40.0, 20.0, 200.0, 150.0)
    low, high = torch.tensor(content[:2]), torch.tensor(content[2:])
    instances = decode(maps(keypoints), frame(content=content))
    found = instances.keypoints[instances.keypoint_scores > 0]
    assert ((found >= low) & (found <= high)).all()
    assert len(found) == pytest.approx(int(((keypoints >= low) & (keypoints <= high)).all(-1).sum()), abs=3)


def test_what_padding_holds_takes_nobodys_place() -> None:
    """As many bright peaks in it as people are read at all change nothing."""
    keypoints, content = scatter(3, margin=30.0), (0.0, 0.0, SIZE[1] - 60.0, SIZE[0] - 40.0)
    keypoints = keypoints.clamp(max=torch.tensor(content[2:]) - 3 * STRIDE)
    clean = maps(keypoints)
    bright = {**clean, "heatmap": clean["heatmap"].clone()}
    bright["heatmap"][..., 39::2, ::2] = bright["heatmap"][..., ::2, 50::2] = 5.0
    options = {"max_people": 3, "fill_threshold": 0.05}
    assert_same(decode(bright, frame(content=content), **options), decode(clean, frame(content=content), **options))


@pytest.mark.parametrize(
    ("option", "value"),
    [("max_people", 0), ("max_people", 2.5), ("window", 4), ("window", 1), ("detection_threshold", 1.0),
     ("detection_threshold", -0.1),
     ("tag_threshold", 0), ("refine", "quarters"), ("fill_from", "maps"), ("fill_threshold", 0.2), ("fill_threshold", -1),
     ("instance_score", "mean"), ("nms_threshold", 0), ("nms_threshold", 1.5), ("ties", "first"), ("stride", 0), ("stride", 0.5)],
)  # fmt: skip
def test_options_that_cannot_be_are_refused_by_name(option: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=option) as refusal:
        decoder(**{option: value})
    assert str(value) in str(refusal.value)


def test_it_is_registered_and_needs_a_skeleton() -> None:
    assert DECODERS["associative_embedding"] is AssociativeEmbedding
    assert [need.keys for need in requirements(decoder().requires)] == [("heatmap", "heatmap_logits"), ("tags",)]
    with pytest.raises(ConfigError, match="skeleton"):
        AssociativeEmbedding(Task())


def test_maps_that_do_not_fit_are_refused() -> None:
    outputs = maps(scatter(1))
    with pytest.raises(ValueError, match="tags"):
        decoder()({**outputs, "tags": outputs["tags"][..., ::2, ::2]}, frame())
    finer = Frame({"heatmap": GRIDS[0], "tags": Grid.centred(STRIDE // 2)}, SIZE, frame().content)
    with pytest.raises(ValueError, match=f"tags.*h={2 * SHAPE[0]}"):
        decoder()(outputs, finer)


# ---- the worst inputs --------------------------------------------------------------------------------------------------


def test_an_empty_image_has_no_instances() -> None:
    for fill_from in ("peaks", "map"):
        found = decode(maps(scatter(0)), fill_threshold=0.05, nms_threshold=0.5, fill_from=fill_from)
        assert_same(replace(found, tags=None), Instances.empty(K))


@pytest.mark.parametrize("max_people", [1, 30, 100])
@pytest.mark.parametrize(("tag_size", "fill_from"), [(1, "peaks"), (3, "peaks"), (3, "map")])
def test_noise_is_bounded(max_people: int, tag_size: int, fill_from: str) -> None:
    outputs = {"heatmap": torch.rand(1, K, *SHAPE), "tags": 5 * torch.randn(1, K, tag_size, *SHAPE)}
    instances = decode(outputs, max_people=max_people, fill_threshold=0.01, fill_from=fill_from, nms_threshold=0.9)
    assert 0 < len(instances) <= max_people
    assert (instances.scores.diff() <= 0).all()
    assert (instances.keypoint_scores > 0).any(1).all()
    assert torch.equal(instances.keypoint_scores > 0, instances.keypoints[..., 0].isfinite())


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf, 1e30, -1e30])
@pytest.mark.parametrize("key", ["heatmap", "tags"])
@pytest.mark.parametrize("share", [0.2, 1.0])
@pytest.mark.parametrize("fill_from", ["peaks", "map"])
def test_values_that_diverged_crash_nothing(key: str, value: float, share: float, fill_from: str) -> None:
    outputs = maps(scatter(3))
    outputs[key] = torch.where(torch.rand(outputs[key].shape) < share, value, outputs[key])
    instances = decode(outputs, fill_threshold=0.01, fill_from=fill_from, nms_threshold=0.5)
    assert len(instances) <= 30
    assert instances.scores.isfinite().all()
    assert ((instances.keypoint_scores >= 0) & (instances.keypoint_scores <= 1)).all()


# ---- export ------------------------------------------------------------------------------------------------------------


class Tensors(nn.Module):
    """The parallel part of the decoder as a module."""

    def __init__(self, decoder: AssociativeEmbedding) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, heatmap: Tensor, tags: Tensor) -> dict[str, Tensor]:
        return self.decoder.tensors({"heatmap": heatmap, "tags": tags}, frame())


@pytest.mark.parametrize("refine", ["quarter", "log_parabola"])
def test_exported_is_eager(refine: str) -> None:
    module = Tensors(decoder(refine=refine))
    example = tuple(maps(scatter(2)).values())
    exported = torch.export.export(module, example).module()
    other = tuple(maps(scatter(5, seed=1)).values())
    eager = module(*other)
    assert eager["scores"].shape == (1, K, 30) and eager["points"].shape == (1, K, 30, 2) and eager["tags"].shape == (1, K, 30, 1)
    for name, tensor in exported(*other).items():
        torch.testing.assert_close(tensor, eager[name])
        assert tensor.dtype == torch.float32
