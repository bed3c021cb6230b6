"""RetinaNet's head and the proposals made from it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torchvision.ops import box_iou

from bottomup.contracts import Level, Source
from bottomup.geometry import Grid
from bottomup.heads.proposals import Proposals
from bottomup.heads.retinanet import Retinanet
from bottomup.ops.anchors import decode_boxes, jittered
from bottomup.skeletons import COCO
from bottomup.types import Batch, Frame, Outputs, Task
from bottomup.views import make_view
from tests.scenes import make_batch

LEVELS = {f"P{n}": Level(8, Grid.centred(2**n)) for n in (3, 4, 5)}
BOXES = torch.tensor(((8.0, 4.0, 44.0, 90.0), (60.0, 20.0, 118.0, 70.0), (100.0, 50.0, 126.0, 94.0)))


def make_head(**options: Any) -> Retinanet:
    torch.manual_seed(0)
    return Retinanet(Source(LEVELS), Task(COCO), **options)


def make_proposals(**options: Any) -> Proposals:
    return Proposals(Source(None, {}), Task(COCO), **options)


def people(images: list[int]) -> Batch:
    batch = make_batch(images)
    batch.boxes[:] = 0
    for row, count in enumerate(images):
        batch.boxes[row, :count] = BOXES[:count]
    return batch


def predict(head: Retinanet, images: int = 2) -> Outputs:
    torch.manual_seed(1)
    return head({name: torch.randn(images, 8, *level.grid.shape((96, 128))) for name, level in LEVELS.items()}, {})


def test_outputs_have_the_declared_keys_and_axes() -> None:
    head = make_head()
    outputs, ideal = predict(head), head.ideal(people([2, 0]))
    anchors = 9 * (12 * 16 + 6 * 8 + 3 * 4)
    shapes = {"class_logits": (2, anchors, 1), "box_deltas": (2, anchors, 4), "anchors": (2, anchors, 4)}
    assert {key: tuple(maps.shape) for key, maps in outputs.items()} == shapes
    assert {key: tuple(maps.shape) for key, maps in ideal.items()} == shapes
    assert all(maps.dtype == torch.float32 for maps in outputs.values())


@pytest.mark.parametrize("counts", [[3, 1], [0, 2], [0, 0]])
def test_the_ideal_outputs_propose_the_people(counts: list[int]) -> None:
    batch = people(counts)
    proposals = make_proposals(count=5)({}, make_head().ideal(batch))
    for row, count in enumerate(counts):
        found = proposals["proposals"][row, proposals["proposal_scores"][row] > 0]
        assert len(found) == count
        for box in BOXES[:count]:
            assert count == 0 or (found - box).abs().amax(1).min() < 1e-2


def test_a_loss_is_one_finite_number_an_image_and_reaches_the_weights() -> None:
    head, batch = make_head(), people([3, 0])
    losses = head.loss(predict(head), head.encode(batch, {}))
    assert set(losses) == {"class", "box"}
    assert all(term.shape == (2,) and term.isfinite().all() for term in losses.values())
    assert losses["box"][1] == 0 and losses["class"][1] > 0  # without people there is only background
    sum(term.sum() for term in losses.values()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())


def test_ideal_outputs_cost_almost_nothing() -> None:
    head, batch = make_head(), people([3, 1])
    losses = head.loss(head.ideal(batch), head.encode(batch, {}))
    assert all((term < 1e-3).all() for term in losses.values())


def test_everybody_has_an_anchor_and_crowds_are_left_out() -> None:
    head = make_head(size=1.0)  # anchors far too small
    batch = people([3])
    assert (head.encode(batch, {})["class"] >= 0).sum() >= 3
    batch.ignore["crowd"] = torch.ones(1, 96, 128, dtype=torch.bool)
    crowded = head.encode(batch, {})["class"]
    assert (crowded != -1).all() and (crowded >= 0).sum() >= 3


@pytest.mark.parametrize("x", [20.0, 30.0, 45.0])
def test_everybody_has_an_anchor_of_their_own_inside_another_too(x: float) -> None:
    batch = people([2])
    batch.boxes[0, :2] = torch.tensor(((4.0, 4.0, 90.0, 90.0), (x, 30.0, x + 9.0, 44.0)))
    targets = make_head().encode(batch, {})
    positive = targets["class"][0] >= 0
    found = decode_boxes(targets["anchors"], targets["deltas"][0])[positive]
    for box in batch.boxes[0]:
        assert (found - box).abs().amax(1).min() < 1e-2


def test_a_flipped_view_of_the_ideal_finds_the_same_boxes() -> None:
    head, batch = make_head(), people([3, 1])
    mirrored = make_view(batch, batch.size, 1.0, True, torch.zeros(3, dtype=torch.uint8), COCO.flip_order)
    undone = head.unflip(head.ideal(mirrored), Frame({}, mirrored.size, mirrored.content))
    here, there = (make_proposals(count=4)({}, outputs) for outputs in (head.ideal(batch), undone))
    for row in range(2):
        there_boxes = there["proposals"][row]
        for box in here["proposals"][row]:
            assert (there_boxes - box).abs().amax(1).min() < 1e-2


def test_views_of_several_scales_join_by_suppression() -> None:
    head, batch = make_head(), people([3, 1])
    half = make_view(batch, (64, 96), 0.5, False, torch.zeros(3, dtype=torch.uint8), ())
    frames = [Frame({}, view.size, view.content) for view in (batch, half)]
    merged = head.merge([head.ideal(batch), head.ideal(half)], frames, frames[0])
    proposals = make_proposals(count=6)({}, merged)
    assert (proposals["proposal_scores"] > 0).sum(1).tolist() == [3, 1]
    for box in BOXES:
        assert (proposals["proposals"][0] - box).abs().amax(1).min() < 0.1


def test_true_boxes_keep_the_people_s_order_and_may_be_of_the_annotated_alone() -> None:
    batch = people([3])
    batch.visibility[0, 0] = 0
    everybody = make_proposals().ideal(batch)
    torch.testing.assert_close(everybody["proposals"][0], BOXES)
    annotated = make_proposals(who="annotated").ideal(batch)
    torch.testing.assert_close(annotated["proposals"][0], BOXES * torch.tensor([[0.0], [1.0], [1.0]]))
    assert annotated["proposal_scores"].tolist() == [[0, 1, 1]]
    first = make_proposals(who="annotated", first=3).teaching(batch)
    torch.testing.assert_close(first["proposals"][0, :2], BOXES[1:])
    assert first["proposal_scores"].tolist() == [[1, 1, 0]]


def test_only_training_may_be_about_the_first_people_alone() -> None:
    batch, proposals = people([3]), make_proposals(first=2)
    assert proposals.teaching(batch)["proposal_scores"].tolist() == [[1, 1]]
    assert make_proposals(first=5).teaching(batch)["proposal_scores"].tolist() == [[1, 1, 1, 0, 0]]
    for mode in (True, False):
        assert proposals.train(mode).ideal(batch)["proposal_scores"].tolist() == [[1, 1, 1]]


def test_in_training_true_boxes_may_be_as_inexact_as_detected_ones() -> None:
    torch.manual_seed(0)
    batch = people([3] * 200 + [1])
    exact, inexact = (make_proposals(jitter=jitter, least_iou=0.6).teaching(batch)["proposals"] for jitter in (0.0, 0.1))
    sides = (exact[:200, :, 2:] - exact[:200, :, :2]).repeat(1, 1, 2)
    shift = (inexact - exact)[:200] / sides
    assert 0.05 < shift.std() < 0.15 and shift.mean().abs() < 0.02
    iou = torch.stack([box_iou(*pair).diagonal() for pair in zip(inexact[:200], exact[:200], strict=True)])
    assert iou.min() >= 0.6 - 1e-4 and iou.mean() < 0.95
    assert not inexact[200, 1:].any()  # nobody is nowhere
    torch.testing.assert_close(make_proposals(jitter=0.1).ideal(batch)["proposals"], exact)


def test_a_box_that_would_come_to_lie_elsewhere_stays() -> None:
    boxes = BOXES.expand(100, 3, 4)
    moved = jittered(boxes, 2.0, 0.9)
    unmoved = (moved == boxes).all(-1)
    assert unmoved.any() and unmoved.float().mean() > 0.9


@pytest.mark.parametrize("counts", [[3, 1], [0, 0]])
def test_trimming_leaves_what_the_fullest_image_has(counts: list[int]) -> None:
    proposals = make_proposals(count=9)
    whole = proposals({}, make_head().ideal(people(counts)))
    trimmed, most = proposals.trim(whole), max(1, *counts)
    assert whole["proposals"].shape == (2, 9, 4) and trimmed["proposals"].shape == (2, most, 4)
    for key, maps in trimmed.items():
        assert torch.equal(maps, whole[key][:, :most]) and not whole[key][:, most:].any()


def test_anchors_double_from_level_to_level_whatever_the_stride() -> None:
    dilated = {f"P{n}": Level(8, Grid.centred(stride)) for n, stride in ((3, 8), (4, 16), (5, 16))}
    torch.manual_seed(0)
    head = Retinanet(Source(dilated), Task(COCO), scales=(1.0,), ratios=(1.0,))
    anchors = head._anchors([(1, 1)] * 3, torch.zeros(1))
    assert (anchors[:, 2] - anchors[:, 0]).tolist() == [32.0, 64.0, 128.0]
