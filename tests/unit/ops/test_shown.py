"""What is shown is what a decoder recommends: who scores enough, nobody twice, in boxes around what is seen of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from pycocotools import mask as coco_mask

from bottomup.contracts import DECODERS, Decoder
from bottomup.errors import ConfigError
from bottomup.geometry import Grid, boxes_around
from bottomup.masks import Masks
from bottomup.ops.shown import shown
from bottomup.skeletons import COCO
from bottomup.thresholds import Thresholds
from bottomup.types import Instances, Prediction, Task

SIZE = (96, 128)


def people(count: int = 4) -> Instances:
    """People beside each other, best first, of whose keypoints some are faint."""
    random = torch.Generator().manual_seed(count)
    points = torch.rand(count, 17, 2, generator=random) * torch.tensor((20.0, 80.0)) + torch.arange(count)[:, None, None] * 25.0
    presence = torch.rand(count, 17, generator=random)
    found = Instances.of_keypoints(points, presence * 0.5, torch.linspace(0.9, 0.1, count))
    return replace(found, keypoint_presence=presence)


def with_masks(instances: Instances) -> Instances:
    """The same, with masks of any shape; the last one's is empty."""
    random = torch.Generator().manual_seed(7)
    levels = torch.full((len(instances), 24, 32), -1.0)
    levels[:-1, 4:16, 5:27] = torch.randn(len(instances) - 1, 12, 22, generator=random)
    return replace(instances, masks=Masks.of_levels(levels, Grid.centred(4)))


def show(instances: Instances, thresholds: Thresholds) -> Instances:
    return shown(Prediction(instances, SIZE), thresholds, COCO.sigmas).instances


def test_a_score_of_nothing_leaves_everybody_as_they_are_but_for_boxes() -> None:
    once = people()
    twice = once[torch.tensor([0, 0, 1, 2, 3, 3])]
    left = show(twice, Thresholds(alike=0.5))
    assert torch.equal(left.keypoints, twice.keypoints) and torch.equal(left.scores, twice.scores)


@pytest.mark.parametrize("score", [0.1, 0.5, 0.95])
def test_who_scores_less_is_left_out_and_the_order_stays(score: float) -> None:
    left = show(people(9), Thresholds(score=score)).scores
    assert left.tolist() == [own for own in people(9).scores.tolist() if own >= torch.tensor(score)]


def test_who_is_shown_already_is_not_shown_again() -> None:
    once = people()
    again = once[torch.tensor([0, 0, 1, 2, 2, 3])]
    nudged = replace(again, keypoints=again.keypoints + torch.tensor((0.2, -0.2)))
    for found in (again, nudged):
        assert torch.equal(show(found, Thresholds(score=0.05, alike=0.5)).scores, once.scores)
    assert len(show(again, Thresholds(score=0.05))) == len(again)  # nothing is more alike than 1


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.8])
def test_boxes_are_around_the_keypoints_that_are_usable(threshold: float) -> None:
    found = people()
    boxes = show(found, Thresholds(keypoint=threshold)).boxes
    for one, box in zip(range(len(found)), boxes, strict=True):
        seen = found.keypoints[one][found.keypoint_presence[one] > threshold]  # type: ignore[index]
        assert torch.equal(box, torch.cat((seen.amin(0), seen.amax(0))))


def test_who_has_no_usable_keypoint_is_boxed_by_those_that_were_found() -> None:
    found = replace(people(1), keypoint_presence=torch.full((1, 17), 0.1))
    assert torch.equal(show(found, Thresholds(keypoint=0.2)).boxes, boxes_around(found.keypoints))


def test_boxes_are_those_of_the_masks_that_are_written() -> None:
    found = with_masks(people())
    prediction = shown(Prediction(found, SIZE, image_id=1), Thresholds(keypoint=0.3), COCO.sigmas)
    *masked, empty = prediction.to_coco()
    for record in masked:
        assert record["bbox"] == coco_mask.toBbox(record["segmentation"]).tolist() and record["bbox"][2] > 0
    x, y, width, height = empty["bbox"]
    expected = show(people(), Thresholds(keypoint=0.3)).boxes[-1]  # the mask holds nothing: the keypoints say it
    torch.testing.assert_close(torch.tensor([x, y, x + width, y + height]), expected, atol=2e-3, rtol=0)


def test_boxes_that_the_method_finds_itself_stay() -> None:
    boxes = torch.rand(4, 4).cumsum(1) * 30
    found = replace(with_masks(people()), boxes=boxes, box_scores=torch.ones(4))
    assert torch.equal(show(found, Thresholds(keypoint=0.5)).boxes, boxes)


def test_nobody_is_shown_as_nobody() -> None:
    nobody, some = people()[:0], Thresholds(score=0.1, keypoint=0.3, alike=0.5)
    assert len(show(nobody, some)) == len(show(with_masks(people())[:0], some)) == 0


@pytest.mark.parametrize("name", DECODERS.names())
def test_every_decoder_says_what_of_its_people_is_worth_showing(name: str) -> None:
    decoder = DECODERS[name](Task(COCO))  # type: ignore[call-arg]
    assert 0 < decoder.recommended.score < 1 and (0 < decoder.recommended.keypoint < 1 or not decoder.posed)


@pytest.mark.parametrize(
    ("name", "option", "values"),
    [
        ("personlab", "scoring", ("expected_oks", "hough")),
        ("associative_embedding", "instance_score", ("all", "found")),
        ("prn", "score", ("fraction", "found_and_box", "keypoints_and_box")),
    ],
)
def test_what_scores_otherwise_is_recommended_otherwise(name: str, option: str, values: tuple[str, ...]) -> None:
    assert all(DECODERS[name](Task(COCO), **{option: value}).recommended.score > 0 for value in values)  # type: ignore[call-arg]


def test_a_decoder_of_somebody_else_s_shows_everything_unless_it_says_otherwise() -> None:
    assert Decoder.recommended == Thresholds(score=0.0, keypoint=0.0, alike=1.0)


@pytest.mark.parametrize("wrong", [-0.1, 1.0, float("nan"), float("inf")])
def test_thresholds_lie_in_the_range_of_scores(wrong: float) -> None:
    with pytest.raises(ConfigError, match="score should be"):
        Thresholds(score=wrong)
    with pytest.raises(ConfigError, match="keypoint should be"):
        Thresholds(keypoint=wrong)
