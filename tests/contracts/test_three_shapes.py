"""Step 0: the contract carries the shapes of all methods, before any of them exists: the papers' three, and HigherHRNet's."""

from __future__ import annotations

import copy
import functools
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from bottomup.assembly import HeadSpec, assemble
from bottomup.engine.distributed import ranks
from bottomup.engine.objective import compute_losses
from bottomup.model import PoseModel
from bottomup.skeletons import COCO
from bottomup.types import Batch, Task
from bottomup.views import make_view, merge, unflip
from tests.contracts import dummies as d
from tests.ranks import in_ranks

TASK = Task(COCO)
SHAPES = ("feedback", "strides", "pyramids", "finer")
SIDE = {"feedback": (32, 48), "strides": (33, 49), "pyramids": (32, 48), "finer": (32, 48)}


def build(shape: str, output_stride: int = 8, **wiring: object) -> PoseModel:
    torch.manual_seed(0)
    if shape == "feedback":
        return assemble(d.StackBackbone(), TASK, {"heatmap": d.MapHead}, **wiring)
    if shape == "strides":
        long = partial(d.OffsetHead, key="long_offsets", base="short_offsets")
        heads = {"heatmap": d.MapHead, "short": d.OffsetHead, "long": HeadSpec(long, stage_reduction="sum")}
        return assemble(d.StrideBackbone(output_stride), TASK, heads, **wiring)
    if shape == "finer":
        heads = {"heatmap": HeadSpec(d.MapHead, prediction="mean"), "short": HeadSpec(d.OffsetHead, last_stage=-2)}
        return assemble(d.StackBackbone(1), TASK, heads, necks={"finer": d.FinerNeck}, default_neck="finer", **wiring)
    heads = {
        "heatmap": HeadSpec(d.MapHead, neck="keypoints"),
        "boxes": HeadSpec(d.BoxHead, neck="people", level="all", weight={"class": 1.0, "box": 0.5}),
        "proposals": d.ProposalHead,
        "candidates": d.CandidateHead,
        "assignment": d.AssignmentHead,
    }
    necks = {"keypoints": d.SupervisedNeck, "people": d.PeopleNeck}
    return assemble(d.PyramidBackbone(), TASK, heads, necks=necks, **wiring)


def make_batch(size: tuple[int, int], images: int = 4, people: int = 5) -> Batch:
    rng = np.random.default_rng(0)
    h, w = size
    keypoints = torch.tensor(rng.uniform(0, (w, h), (images, people, 17, 2)), dtype=torch.float32)
    return Batch(
        size=size,
        keypoints=keypoints,
        visibility=torch.full((images, people, 17), 2, dtype=torch.uint8),
        boxes=torch.cat((keypoints.amin(2), keypoints.amax(2)), -1),
        areas=torch.full((images, people), 100.0),
        labels=torch.zeros(images, people, dtype=torch.int64),
        has_mask=torch.ones(images, people, dtype=torch.bool),
        present=torch.arange(people)[None] < torch.tensor([5, 3, 0, 1])[:images, None],
        content=torch.tensor([0.0, 0.0, w, h]).expand(images, 4),
        image_ids=tuple(range(images)),
        file_sizes=(size,) * images,
        to_input=torch.eye(2, 3, dtype=torch.float64).expand(images, 2, 3),
        images=torch.tensor(rng.integers(0, 256, (images, 3, h, w)), dtype=torch.uint8),
    )


def training_loss(model: nn.Module, plain: PoseModel, batch: Batch) -> torch.Tensor:
    return compute_losses(plain, model(batch.images, stages="all"), batch).total


@pytest.mark.parametrize("shape", SHAPES)
def test_a_training_step_gives_every_trainable_parameter_a_gradient(shape: str) -> None:
    model = build(shape)
    total = training_loss(model, model, make_batch(SIDE[shape]))
    assert total.shape == (4,)
    total.mean().backward()
    missing = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert not missing


@pytest.mark.parametrize("shape", SHAPES)
def test_each_head_runs_once_a_stage(shape: str) -> None:
    model = build(shape)
    batch = make_batch(SIDE[shape])
    outputs = model(batch.images, stages="all")
    assert len(outputs) == {"feedback": 4, "strides": 2, "pyramids": 5, "finer": 2}[shape]
    for _, stack in model.stacks():
        assert [head.runs for head in stack.heads] == [1] * len(stack)


def test_levels_of_different_strides_are_supervised_on_their_own_grids() -> None:
    model = build("pyramids")
    outputs = model(make_batch((32, 48)).images, stages="all")
    assert [stage["heatmap"].shape[-2:] for stage in outputs] == [(2, 3), (4, 6), (8, 12), (4, 6), (8, 12)]
    assert "proposals" not in outputs[0]


def test_what_is_predicted_alone_is_made_of_the_same_outputs() -> None:
    for shape in SHAPES:
        model = build(shape).eval()
        images = make_batch(SIDE[shape]).images
        outputs, (predicted,) = model(images, stages="all"), model(images)
        for _, stack in model.stacks():
            own = [{key: outputs[stage][key] for key in stack.last.provides} for stage in stack.predicting]
            for key, maps in stack.joined(own, SIDE[shape]).items():
                torch.testing.assert_close(predicted[key], maps)


def test_the_stride_changes_on_the_same_weights() -> None:
    coarse, fine = build("strides", 16), build("strides", 8)
    fine.load_state_dict(coarse.state_dict())
    images = make_batch((33, 49)).images
    assert coarse(images)[0]["heatmap"].shape[-2:] == (3, 4)
    assert fine(images)[0]["heatmap"].shape[-2:] == (5, 7)
    assert fine.side(34) == 41


@pytest.mark.parametrize("shape", SHAPES)
def test_compiled_equals_eager(shape: str) -> None:
    model = build(shape).eval()
    images = make_batch(SIDE[shape]).images
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    for stages in ("all", "last"):
        with torch.no_grad():  # tests/engine compiles training steps
            pairs = zip(model(images, stages=stages), compiled(images, stages=stages), strict=True)
        for eager, fast in pairs:
            for key, maps in eager.items():
                torch.testing.assert_close(fast[key], maps)


@pytest.mark.parametrize("shape", SHAPES)
def test_exported_equals_eager(shape: str) -> None:
    model = build(shape).eval()
    images = make_batch(SIDE[shape]).images
    exported = torch.export.export(model, (images,)).module()
    for key, maps in model(images)[0].items():
        torch.testing.assert_close(exported(images)[0][key], maps)


@pytest.mark.parametrize("shape", SHAPES)
def test_merging_a_flipped_and_a_scaled_view_keeps_shapes_and_runs_the_rest_once_more(shape: str) -> None:
    model = build(shape).eval()
    batch = make_batch(SIDE[shape])
    h, w = batch.size
    half = (model.side(h // 2), model.side(w // 2))
    views, frames = [], []
    for size, scale, flipped in ((batch.size, 1.0, False), (batch.size, 1.0, True), (half, 0.5, False)):
        view = make_view(batch, size, scale, flipped, model.fill, COCO.flip_order)
        outputs, frame = model(view.images)[0], model.frame(view)
        views.append(unflip(model, outputs, frame) if flipped else outputs)
        frames.append(frame.flipped() if flipped else frame)
    merged = merge(model, views, frames, frames[0])
    plain = model(batch.images)[0]
    assert {key: maps.shape for key, maps in merged.items()} == {key: maps.shape for key, maps in plain.items()}


@pytest.mark.parametrize("shape", SHAPES)
def test_merging_a_view_with_itself_changes_nothing(shape: str) -> None:
    model = build(shape).eval()
    batch = make_batch(SIDE[shape])
    outputs, frame = model(batch.images)[0], model.frame(batch)
    merged = merge(model, [outputs, outputs], [frame, frame], frame)
    for key, maps in outputs.items():
        torch.testing.assert_close(merged[key], maps)


@pytest.mark.parametrize("shape", SHAPES)
def test_frozen_parts_do_not_move(shape: str) -> None:
    model = build(shape, freeze=["backbone"])
    before = copy.deepcopy(model.state_dict())
    optimiser = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    training_loss(model.train(), model, make_batch(SIDE[shape])).mean().backward()
    optimiser.step()
    after = model.state_dict()
    moved = {name.split(".")[0] for name in after if not torch.equal(before[name], after[name])}
    assert "heads" in moved and "backbone" not in moved


def test_given_outputs_need_neither_images_nor_backbone() -> None:
    batch = make_batch((32, 48))
    model = build("pyramids", trained=["assignment"], given=["candidates", "proposals"])
    outputs = model(None, given=model.ideal(batch, ["candidates", "proposals"]), stages="all")
    compute_losses(model, outputs, batch).total.mean().backward()
    trained = {name.split(".")[1] for name, p in model.named_parameters() if p.requires_grad}
    assert trained == {"assignment"}
    assert all(p.grad is not None for p in model.heads["assignment"].parameters())


@pytest.mark.parametrize("shape", SHAPES)
def test_a_resumed_run_is_the_uninterrupted_one(shape: str) -> None:
    batch = make_batch(SIDE[shape])

    def steps(model: PoseModel, optimiser: torch.optim.Optimizer, count: int) -> None:
        for _ in range(count):
            optimiser.zero_grad()
            training_loss(model, model, batch).mean().backward()
            optimiser.step()

    whole = build(shape)
    adam = functools.partial(torch.optim.Adam, lr=1e-3)
    optimiser = adam(whole.parameters())
    steps(whole, optimiser, 2)
    saved = copy.deepcopy((whole.state_dict(), optimiser.state_dict()))
    steps(whole, optimiser, 2)
    resumed = build(shape)
    other = adam(resumed.parameters())
    resumed.load_state_dict(saved[0])
    other.load_state_dict(saved[1])
    steps(resumed, other, 2)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def gradients(folder: Path) -> None:
    """What each rank's parameters get of its half of a batch, in every shape, as a file."""
    with ranks("cpu") as place:
        found = {}
        for shape in SHAPES:
            model = build(shape).eval()  # batch statistics would differ between 2 x 2 and 4 images
            model.requires_grad_(True)
            wrapped = nn.parallel.DistributedDataParallel(model)
            whole = make_batch(SIDE[shape])
            own = slice(2 * place.rank, 2 * place.rank + 2)
            part = replace(whole._map(lambda tensor, own=own: tensor[own]), image_ids=whole.image_ids[own])
            for _ in range(2):  # a second step fails where a parameter got no gradient in the first
                model.zero_grad()
                training_loss(wrapped, model, part).mean().backward()
            found[shape] = [p.grad for p in model.parameters()]
        torch.save(found, folder / f"{place.rank}.pt")


def test_two_processes_give_the_gradient_of_one(tmp_path: Path) -> None:
    ended = in_ranks(gradients, tmp_path)
    assert [one.code for one in ended] == [0, 0], ended
    of_ranks = [torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1)]
    for shape in SHAPES:
        single = build(shape).eval()
        training_loss(single, single, make_batch(SIDE[shape])).mean().backward()
        for found in of_ranks:
            for (name, parameter), gradient in zip(single.named_parameters(), found[shape], strict=True):
                torch.testing.assert_close(gradient, parameter.grad, rtol=1e-4, atol=1e-6, msg=f"{shape}: {name}")
