"""Box AP and AR."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from bottomup.errors import DataError
from bottomup.evaluation.boxes import evaluate_boxes
from bottomup.types import Instances, Prediction

BOXES = ((10.0, 10.0, 60.0, 80.0), (70.0, 20.0, 110.0, 90.0), (20.0, 90.0, 140.0, 118.0))
Box = tuple[float, float, float, float]


def truth(*boxes: Box, **crowd: int) -> dict[str, Any]:
    people = [
        {"id": n, "image_id": 7, "bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1)} | crowd
        for n, (x1, y1, x2, y2) in enumerate(boxes, 1)
    ]
    return {"images": [{"id": 7, "height": 120, "width": 160}], "annotations": people, "categories": []}


def predict(*boxes: Box, scores: tuple[float, ...] | None = None, image_id: int = 7) -> list[Prediction]:
    count = len(boxes)
    instances = Instances.of_keypoints(torch.full((count, 17, 2), torch.nan), torch.zeros(count, 17), torch.zeros(count))
    given = torch.tensor(scores) if scores else torch.linspace(0.9, 0.5, count)
    found = replace(instances, boxes=torch.tensor(boxes).view(-1, 4), box_scores=given)
    return [Prediction(found, (120, 160), image_id=image_id)]


def test_the_boxes_themselves_score_one_without_any_keypoint() -> None:
    metrics = evaluate_boxes(predict(*BOXES), truth(*BOXES))
    assert metrics["box_AP"] > 0.99 and metrics["box_AR"] > 0.99 and math.isnan(metrics["box_APS"])


def test_boxes_count_by_their_own_scores() -> None:
    wrong = (100.0, 0.0, 150.0, 20.0)
    last, first = (evaluate_boxes(predict(*BOXES, wrong, scores=(0.9, 0.8, 0.7, s)), truth(*BOXES)) for s in (0.1, 0.99))
    assert last["box_AP"] > 0.99 and first["box_AP"] < 0.8


def test_a_box_half_off_is_found_at_low_overlaps_alone() -> None:
    metrics = evaluate_boxes(predict((10.0, 10.0, 60.0, 122.0)), truth((10.0, 10.0, 60.0, 80.0)))  # IoU 0.625
    assert metrics["box_AP50"] > 0.99 and metrics["box_AP75"] == 0.0 and metrics["box_AP"] == pytest.approx(0.3)


def test_crowds_are_neither_right_nor_wrong() -> None:
    truths = truth(BOXES[0])
    truths["annotations"] += [truth(BOXES[1], iscrowd=1)["annotations"][0] | {"id": 2}]
    assert evaluate_boxes(predict(BOXES[1], BOXES[0]), truths)["box_AP"] > 0.99


def test_an_image_that_is_not_listed_is_refused() -> None:
    with pytest.raises(DataError, match="image 8"):
        evaluate_boxes(predict(BOXES[0], image_id=8), truth(BOXES[0]))
