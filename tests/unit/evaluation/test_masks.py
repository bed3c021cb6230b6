"""Mask AP and AR."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask

from bottomup.errors import DataError
from bottomup.evaluation.masks import evaluate_categories, evaluate_masks, mean_of_categories, per_image_iou
from bottomup.geometry import Grid
from bottomup.masks import Masks
from bottomup.types import Instances, Prediction

SIZE = (120, 160)
SQUARES = ((10, 10, 60, 60), (20, 80, 70, 110), (80, 100, 110, 150))  # rows and columns: top, left, bottom, right


def inside(square: tuple[int, int, int, int]) -> torch.Tensor:
    level = torch.full(SIZE, -1.0)
    level[square[0] : square[2], square[1] : square[3]] = 1.0
    return level


def person(number: int, square: tuple[int, int, int, int], **other: Any) -> dict[str, Any]:
    top, left, bottom, right = square
    code = coco_mask.encode(np.asfortranarray((inside(square) > 0).numpy().astype(np.uint8)))
    return {
        "id": number,
        "image_id": 7,
        "category_id": 1,
        "segmentation": {"size": list(SIZE), "counts": code["counts"].decode()},
        "bbox": [left, top, right - left, bottom - top],
        "area": float((right - left) * (bottom - top)),
        "iscrowd": 0,
        "keypoints": [0, 0, 2] * 17,
    } | other


def truth(*people: dict[str, Any]) -> dict[str, Any]:
    return {"images": [{"id": 7, "height": SIZE[0], "width": SIZE[1]}], "annotations": list(people), "categories": []}


def predict(*squares: tuple[int, int, int, int]) -> list[Prediction]:
    count = len(squares)
    levels = torch.stack([inside(square) for square in squares]) if squares else torch.zeros(0, *SIZE)
    instances = Instances.of_keypoints(torch.zeros(count, 17, 2), torch.zeros(count, 17), torch.linspace(0.9, 0.5, count))
    masks = Masks.of_levels(levels, Grid.centred(1))
    return [Prediction(Instances(**{**vars(instances), "masks": masks}), SIZE, image_id=7)]


def everybody() -> dict[str, Any]:
    return truth(*(person(number, square) for number, square in enumerate(SQUARES, 1)))


def test_categories_are_judged_apart_and_a_wrong_label_is_a_wrong_find() -> None:
    (found,) = predict(*SQUARES)
    annotations = [person(number, square, category_id=5 + (number > 1)) for number, square in enumerate(SQUARES, 1)]
    categories = [{"id": 5, "name": "ball"}, {"id": 6, "name": "crate"}, {"id": 9, "name": "nobody's"}]
    objects = truth(*annotations) | {"categories": categories}
    for labels, balls in (([0, 1, 1], 1.0), ([1, 1, 1], 0.0), ([0, 0, 1], 1.0)):
        labelled = [replace(found, instances=replace(found.instances, labels=torch.tensor(labels)))]
        own = evaluate_categories(labelled, objects)
        assert own["ball"]["mask_AP"] == pytest.approx(balls) and math.isnan(own["nobody's"]["mask_AP"])
        crates = own["crate"]["mask_AP"]
        assert (crates > 0.999) == (labels == [0, 1, 1]) and crates > 0
        assert mean_of_categories(own.values())["mask_AP"] == pytest.approx((own["ball"]["mask_AP"] + crates) / 2)
    assert per_image_iou(labelled, objects) == {7: pytest.approx(2 / 3)}


def test_the_masks_themselves_score_one() -> None:
    metrics = evaluate_masks(predict(*SQUARES), everybody())
    assert metrics["mask_AP"] == metrics["mask_AR"] == metrics["mask_AP_posed"] == pytest.approx(1.0)
    assert math.isnan(metrics["mask_APS"])  # nobody is that small


def test_half_a_mask_counts_up_to_its_overlap() -> None:
    """A mask of 0.64 of the person matches at the thresholds .5, .55 and .6 of ten."""
    metrics = evaluate_masks(predict((10, 10, 42, 60)), truth(person(1, SQUARES[0])))
    assert metrics["mask_AP50"] == pytest.approx(1.0) and metrics["mask_AP"] == pytest.approx(0.3)


def test_who_is_missed_lowers_recall() -> None:
    assert evaluate_masks(predict(*SQUARES[:2]), everybody())["mask_AR"] == pytest.approx(2 / 3)
    assert evaluate_masks(predict(), everybody())["mask_AP"] == 0.0


def test_only_the_best_instances_count() -> None:
    assert evaluate_masks(predict(*SQUARES), everybody(), max_people=2)["mask_AR"] == pytest.approx(2 / 3)


def test_recall_of_the_best_one_and_the_best_ten() -> None:
    """Twelve strips, the best instance misses: of one nobody is found, of ten nine, of all eleven."""
    strips = [(10 * row, 0, 10 * row + 10, 160) for row in range(12)]
    people = truth(*(person(number, strip) for number, strip in enumerate(strips, 1)))
    metrics = evaluate_masks(predict((0, 0, 2, 2), *strips[1:]), people)
    assert [metrics[name] for name in ("mask_AR1", "mask_AR10", "mask_AR")] == pytest.approx([0, 9 / 12, 11 / 12])
    fewer = evaluate_masks(predict((0, 0, 2, 2), *strips[1:]), people, max_people=4)
    assert [fewer[name] for name in ("mask_AR1", "mask_AR10", "mask_AR")] == pytest.approx([0, 3 / 12, 3 / 12])
    assert evaluate_masks(predict(*strips), people)["mask_AR1"] == pytest.approx(1 / 12)


@pytest.mark.parametrize("other", [{"iscrowd": 1}, {"segmentation": None}])
def test_crowds_and_people_without_a_mask_are_left_out(other: dict[str, Any]) -> None:
    people = truth(person(1, SQUARES[0]), person(2, SQUARES[1], **other))
    assert evaluate_masks(predict(SQUARES[0]), people)["mask_AP"] == pytest.approx(1.0)
    assert evaluate_masks(predict(SQUARES[1], SQUARES[0]), people)["mask_AP"] == pytest.approx(1.0)


def test_people_without_keypoints_are_counted_apart() -> None:
    people = truth(person(1, SQUARES[0]), person(2, SQUARES[1], keypoints=[0] * 51))
    metrics = evaluate_masks(predict(SQUARES[0]), people)
    assert metrics["mask_AP"] == pytest.approx(0.5, abs=0.01) and metrics["mask_AP_posed"] == pytest.approx(1.0)


def test_a_prediction_of_an_unlisted_image_is_refused() -> None:
    with pytest.raises(DataError, match="image 7"):
        evaluate_masks(predict(SQUARES[0]), {"images": [], "annotations": [], "categories": []})
