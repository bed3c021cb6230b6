"""Which measures judge is chosen by what a decoder finds and a data set annotates; the order of the images is none of theirs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from bottomup.contracts import DECODERS, Decoder
from bottomup.evaluation.coco import evaluate_keypoints
from bottomup.evaluation.measure import MEASURES, Measure
from bottomup.evaluation.run import measures_for
from bottomup.skeletons import COCO
from bottomup.types import Task
from tests.unit.evaluation.scenes import annotated, scene

POSES = DECODERS["associative_embedding"](Task(COCO))
MASKS = DECODERS["tag_segmentation"](Task(None))


def kinds(measures: list[Measure]) -> list[str]:
    return [type(measure).__name__ for measure in measures]


@pytest.mark.parametrize(
    ("decoder", "skeleton", "own", "expected"),
    [
        (POSES, COCO, {}, ["Keypoints", "Masks", "Boxes", "Foreground"]),
        (POSES, COCO, {"crowd_index": {}}, ["Keypoints", "Masks", "Boxes", "Foreground", "CrowdIndex"]),
        (POSES, None, {"voc": {}}, ["Foreground", "Voc"]),
        (MASKS, None, {}, ["Objects", "Foreground"]),
        (MASKS, None, {"voc": {}}, ["Objects", "Foreground", "Voc"]),
        (MASKS, COCO, {"crowd_index": {}}, ["Objects", "Foreground"]),
    ],
    ids=["poses", "poses, crowds", "poses on masks", "masks", "masks by VOC", "masks of people in crowds"],
)
def test_a_decoder_and_a_data_set_choose(decoder: Decoder, skeleton: Any, own: dict[str, Any], expected: list[str]) -> None:
    truth: Any = scene() | {"measures": own}
    truth["images"] = [image | {"crowdIndex": 0.5} for image in truth["images"]]
    assert kinds(measures_for(decoder, skeleton, truth, 20)) == expected


def test_figures_are_those_of_the_images_whatever_their_order() -> None:
    truth: Any = scene()
    found = [replace(one, segmentation=torch.zeros(one.size)) for one in annotated(truth)]
    figures = []
    for order in (found, found[::-1]):
        keypoints = MEASURES["keypoints"](truth, COCO, 20)
        for prediction in order:
            keypoints.add(prediction)
        figures.append(keypoints.metrics)
    assert figures[0] == figures[1] == evaluate_keypoints(found, truth, COCO, 20)


@pytest.mark.parametrize("name", ["masks", "boxes", "foreground"])
def test_what_nobody_looked_for_has_no_figures_but_names(name: str) -> None:
    truth: Any = scene()
    measure = MEASURES[name](truth, COCO, 20)
    for prediction in annotated(truth):
        measure.add(prediction)
    assert measure.metrics == {} and measure.names


def test_where_no_image_was_judged_everybody_was_missed() -> None:
    truth: Any = scene()
    assert MEASURES["keypoints"](truth, COCO, 20).metrics["AP"] == 0
