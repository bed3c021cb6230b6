"""Intersection over union of the foreground."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from bottomup.evaluation.segmentation import SegmentationOverlap
from bottomup.types import Instances, Prediction

SIZE = (40, 50)


def person(x: int, y: int, width: int, height: int, **other: Any) -> dict[str, Any]:
    outline = [[x, y, x + width, y, x + width, y + height, x, y + height]]
    return {"bbox": [x, y, width, height], "segmentation": outline} | other


def predict(*rectangles: tuple[int, int, int, int]) -> Prediction:
    pixels = torch.full(SIZE, 0.2)
    for x, y, width, height in rectangles:
        pixels[y : y + height, x : x + width] = 0.8
    return Prediction(Instances.empty(17), SIZE, pixels)


def overlap(prediction: Prediction, *people: dict[str, Any]) -> float:
    measure = SegmentationOverlap()
    measure.add(prediction, people)
    return measure.metrics["segmentation_IoU"]


def test_it_is_intersection_over_union_of_all_people_together() -> None:
    people = (person(0, 0, 10, 10), person(20, 0, 10, 10))
    assert overlap(predict((0, 0, 10, 10), (20, 0, 10, 10)), *people) == 1.0
    assert overlap(predict((0, 0, 10, 10)), *people) == pytest.approx(0.5)
    assert overlap(predict((5, 0, 10, 10)), people[0]) == pytest.approx(1 / 3)


def test_crowds_and_people_without_mask_do_not_count() -> None:
    found = predict((0, 0, 10, 10), (20, 0, 10, 10))
    assert overlap(found, person(0, 0, 10, 10), person(20, 0, 10, 10, iscrowd=1)) == 1.0
    assert overlap(found, person(0, 0, 10, 10), person(20, 0, 10, 10, segmentation=None)) == 1.0
    assert overlap(found, person(0, 0, 10, 10)) == pytest.approx(0.5)


def test_images_are_counted_by_their_pixels() -> None:
    measure = SegmentationOverlap()
    measure.add(predict((0, 0, 10, 10)), [person(0, 0, 10, 10)])
    measure.add(predict(), [person(0, 0, 30, 10)])
    assert measure.metrics["segmentation_IoU"] == pytest.approx(0.25)


def test_without_any_segmentation_there_is_no_figure() -> None:
    measure = SegmentationOverlap()
    measure.add(Prediction(Instances.empty(17), SIZE), [person(0, 0, 10, 10)])
    assert measure.metrics == {}


def test_where_nobody_has_a_mask_the_figure_is_not_a_number() -> None:
    assert math.isnan(overlap(predict((0, 0, 10, 10)), person(20, 0, 10, 10, segmentation=None)))
