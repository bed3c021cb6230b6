"""PASCAL VOC's AP of masks and IoU of classes: by hand, and equal to the definition in loops."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from bottomup.errors import DataError
from bottomup.evaluation.measure import measures_of
from bottomup.geometry import Grid
from bottomup.masks import Masks
from bottomup.types import Instances, Prediction

SIZE = (60, 100)
LEFT, RIGHT = (slice(10, 50), slice(10, 30)), (slice(10, 50), slice(60, 80))  # rows and columns of 800 px each
CATEGORIES = [{"id": 3, "name": "bird"}, {"id": 15, "name": "person"}]
Window = tuple[slice, slice]


def inside(*windows: Window) -> NDArray[np.bool_]:
    mask = np.zeros(SIZE, bool)
    for window in windows:
        mask[window] = True
    return mask


def code(mask: NDArray[np.bool_]) -> dict[str, Any]:
    rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": list(mask.shape), "counts": rle["counts"].decode()}


def truth(*objects: tuple[NDArray[np.bool_], int], void: NDArray[np.bool_] | None = None, only: int | None = None) -> Any:
    image = {"id": 1, "height": SIZE[0], "width": SIZE[1]} | ({} if void is None else {"void": code(void)})
    annotations = [
        {"id": number, "image_id": 1, "category_id": kind, "iscrowd": 0, "segmentation": code(mask)}
        for number, (mask, kind) in enumerate(objects, 1)
    ]
    categories = [entry for entry in CATEGORIES if only in (None, entry["id"])]
    return {"images": [image], "annotations": annotations, "categories": categories, "measures": {"voc": {}}}


def predict(
    *finds: tuple[NDArray[np.bool_], float, int], segmentation: NDArray[Any] | None = None, masks: bool = True
) -> Prediction:
    count = len(finds)
    levels = torch.tensor(np.array([2.0 * mask - 1 for mask, _, _ in finds]).reshape(count, *SIZE))
    instances = Instances(
        keypoints=torch.zeros(count, 0, 2),
        keypoint_scores=torch.zeros(count, 0),
        scores=torch.tensor([score for _, score, _ in finds]),
        boxes=torch.zeros(count, 4),
        labels=torch.tensor([label for _, _, label in finds], dtype=torch.int64),
        masks=Masks.of_levels(levels, Grid.centred(1)) if masks else None,
    )
    found = None if segmentation is None else torch.from_numpy(np.float32(segmentation))
    return Prediction(instances, SIZE, segmentation=found, image_id=1)


def judge(ground_truth: Any, *predictions: Prediction) -> dict[str, float]:
    (measure,) = measures_of(ground_truth, None, 20)
    for prediction in predictions:
        measure.add(prediction)
    return measure.metrics


PEOPLE = truth((inside(LEFT), 15), (inside(RIGHT), 15), only=15)
AP = ("voc_AP50", "voc_AP70", "voc_AP50_11", "voc_AP70_11")


def aps(metrics: dict[str, float]) -> list[float]:
    return [metrics[name] for name in AP]


# ---- instances -------------------------------------------------------------------------------------------------------------


def test_the_objects_themselves_score_one_on_everything() -> None:
    ground_truth = truth((inside(LEFT), 3), (inside(RIGHT), 15))
    metrics = judge(ground_truth, predict((inside(LEFT), 0.5, 0), (inside(RIGHT), 0.9, 1)))
    assert len(metrics) == 12 and set(metrics.values()) == {1.0}


@pytest.mark.parametrize(("rows", "expected"), [(29, [1, 1, 1, 1]), (27, [1, 0, 1, 0]), (21, [1, 0, 1, 0]), (19, [0, 0, 0, 0])])
def test_a_part_counts_up_to_its_overlap(rows: int, expected: list[float]) -> None:
    part = (slice(10, 10 + rows), slice(10, 30))
    assert aps(judge(truth((inside(LEFT), 15), only=15), predict((inside(part), 0.5, 0)))) == expected


def test_the_threshold_itself_is_enough() -> None:
    half = (slice(10, 30), slice(10, 30))
    assert judge(truth((inside(LEFT), 15), only=15), predict((inside(half), 0.5, 0)))["voc_AP50"] == 1


def test_who_is_missed_is_half_of_two_of_eleven_points_six() -> None:
    assert aps(judge(PEOPLE, predict((inside(LEFT), 0.5, 0)))) == pytest.approx([1 / 2, 1 / 2, 6 / 11, 6 / 11])
    assert aps(judge(PEOPLE, predict())) == [0, 0, 0, 0]


def test_a_double_is_wrong_and_costs_what_it_outranks() -> None:
    double = (inside(LEFT), 0.8, 0)
    first = judge(PEOPLE, predict((inside(LEFT), 0.9, 0), (inside(RIGHT), 0.85, 0), double))
    assert aps(first) == [1, 1, 1, 1]
    between = judge(PEOPLE, predict((inside(LEFT), 0.9, 0), double, (inside(RIGHT), 0.7, 0)))
    area, eleven = 0.5 + 0.5 * 2 / 3, (6 + 5 * 2 / 3) / 11
    assert aps(between) == pytest.approx([area, area, eleven, eleven])


def test_a_mask_is_compared_with_the_object_that_it_overlaps_most_alone() -> None:
    """Where COCO would give it the other object, whose IoU is above the threshold too."""
    small, large = inside((slice(10, 40), slice(10, 30))), inside((slice(10, 50), slice(10, 30)))  # IoU of the two .75
    second = inside((slice(10, 49), slice(10, 30)))  # nearer to the large one
    metrics = judge(truth((small, 15), (large, 15), only=15), predict((large, 0.9, 0), (second, 0.8, 0)))
    assert metrics["voc_AP50"] == 0.5


def test_a_mask_of_another_category_is_wrong() -> None:
    ground_truth = truth((inside(LEFT), 3), (inside(RIGHT), 15))
    metrics = judge(ground_truth, predict((inside(LEFT), 0.5, 1), (inside(RIGHT), 0.9, 1)))
    assert (metrics["voc_AP50/bird"], metrics["voc_AP50/person"], metrics["voc_AP50"]) == (0, 1, 0.5)
    nobody = judge(truth((inside(LEFT), 3)), predict((inside(LEFT), 0.5, 0)))
    assert math.isnan(nobody["voc_AP50/person"]) and nobody["voc_AP50"] == 1  # of no person there is nothing to find


def test_void_pixels_are_in_no_overlap() -> None:
    margin = inside((slice(0, 60), slice(0, 50))) & ~inside(LEFT)
    find = predict((inside((slice(0, 60), slice(0, 50))), 0.5, 0))
    assert aps(judge(truth((inside(LEFT), 15), void=margin, only=15), find)) == [1, 1, 1, 1]
    assert aps(judge(truth((inside(LEFT), 15), only=15), find)) == [0, 0, 0, 0]


def test_images_that_nobody_predicted_count_as_missed_and_unlisted_ones_are_refused() -> None:
    second = PEOPLE["images"] + [PEOPLE["images"][0] | {"id": 2}]
    annotations = PEOPLE["annotations"] + [entry | {"image_id": 2, "id": 9} for entry in PEOPLE["annotations"]]
    both = PEOPLE | {"images": second, "annotations": annotations}
    assert judge(both, predict((inside(LEFT), 0.5, 0), (inside(RIGHT), 0.6, 0)))["voc_AP50"] == 0.5
    with pytest.raises(DataError, match="image 1"):
        judge(PEOPLE | {"images": []}, predict())


def test_without_masks_there_is_no_ap() -> None:
    metrics = judge(PEOPLE, predict(segmentation=inside(LEFT, RIGHT), masks=False))
    assert all(map(math.isnan, aps(metrics))) and metrics["voc_IoU"] == 1


@pytest.mark.parametrize("seed", range(4))
def test_made_up_masks_score_as_the_definition_says(seed: int) -> None:
    random = np.random.default_rng(seed)
    corners = [(y, x) for y in (2, 30) for x in (2, 35, 68)]
    objects = [inside((slice(y, y + 24), slice(x, x + 28))) for y, x in corners]
    finds = []
    for mask in [*objects, *objects[:4]]:
        moved = np.roll(mask, random.integers(-6, 7, 2), (0, 1))
        finds.append((moved, float(np.float32(random.random())), 0))
    metrics = judge(truth(*((mask, 15) for mask in objects), only=15), predict(*finds))
    for name, threshold in (("voc_AP50", 0.5), ("voc_AP70", 0.7)):
        assert metrics[name] == pytest.approx(by_definition(objects, finds, threshold), abs=1e-9)
    assert 0.05 < metrics["voc_AP70"] < metrics["voc_AP50"] < 1


def by_definition(objects: list[NDArray[np.bool_]], finds: list[tuple[NDArray[np.bool_], float, int]], threshold: float) -> float:
    taken, hits, points = set[int](), 0, list[tuple[float, float]]()
    for rank, (mask, _, _) in enumerate(sorted(finds, key=lambda find: -find[1]), 1):
        overlaps = [(mask & other).sum() / (mask | other).sum() for other in objects]
        best = int(np.argmax(overlaps))
        if overlaps[best] >= threshold and best not in taken:
            taken.add(best)
            hits += 1
        points.append((hits / len(objects), hits / rank))
    area, reached = 0.0, 0.0
    for recall in sorted({recall for recall, _ in points}):
        area += (recall - reached) * max(precision for own, precision in points if own >= recall)
        reached = recall
    return area


# ---- pixels ----------------------------------------------------------------------------------------------------------------


def test_the_iou_of_the_foreground_is_over_all_pixels_that_count() -> None:
    """Of 800 px 600 found, 200 more beside them: 600 / 1000; the background's is 5000 / 5400."""
    found = inside((slice(10, 40), slice(10, 30)), (slice(50, 60), slice(10, 30)))
    metrics = judge(truth((inside(LEFT), 15), only=15), predict(segmentation=0.6 * found, masks=False))
    assert metrics["voc_IoU"] == metrics["voc_IoU/person"] == pytest.approx(600 / 1000)
    assert metrics["voc_mIoU"] == pytest.approx((600 / 1000 + 5000 / 5400) / 2)
    void = inside((slice(50, 60), slice(10, 30)))
    assert judge(truth((inside(LEFT), 15), void=void, only=15), predict(segmentation=found, masks=False))["voc_IoU"] == 600 / 800


def test_the_foreground_s_threshold_is_an_option() -> None:
    ground_truth = truth((inside(LEFT), 15), only=15) | {"measures": {"voc": {"foreground": 0.7}}}
    assert judge(ground_truth, predict(segmentation=0.6 * inside(LEFT), masks=False))["voc_IoU"] == 0


def test_masks_give_their_category_to_pixels_the_best_on_top() -> None:
    ground_truth = truth((inside(LEFT), 3), (inside(RIGHT), 15))
    metrics = judge(ground_truth, predict((inside(LEFT), 0.9, 0), (inside(LEFT), 0.5, 1), (inside(RIGHT), 0.6, 1)))
    assert metrics["voc_IoU/bird"] == metrics["voc_IoU/person"] == metrics["voc_mIoU"] == 1
    other = judge(ground_truth, predict((inside(LEFT), 0.5, 0), (inside(LEFT), 0.9, 1), (inside(RIGHT), 0.6, 1)))
    assert (other["voc_IoU/bird"], other["voc_IoU/person"]) == (0, 0.5) and other["voc_IoU"] == 0.25


def test_every_threshold_has_the_iou_that_it_would_have_alone() -> None:
    """In one pass, borders left out; a probability on a threshold is not above it."""
    rng = np.random.default_rng(0)
    void = rng.random(SIZE) < 0.1
    ground_truth = truth((inside(LEFT), 15), (inside(RIGHT), 15), void=void, only=15)
    maps = [
        np.round(np.clip(inside(LEFT, RIGHT) * 0.6 + rng.normal(0.2, 0.25, SIZE), 0, 1), 2).astype(np.float32) for _ in range(2)
    ]
    metrics = judge(ground_truth, *(predict(segmentation=probability) for probability in maps))
    thresholds = [round(0.05 * step, 2) for step in range(1, 20)]
    alone = []
    for threshold in thresholds:
        single = ground_truth | {"measures": {"voc": {"foreground": float(np.float32(threshold))}}}
        alone.append(judge(single, *(predict(segmentation=probability) for probability in maps))["voc_IoU"])
    assert [metrics[f"voc_IoU_above/{threshold:.2f}"] for threshold in thresholds] == alone
    assert metrics["voc_IoU_best"] == max(alone) > metrics["voc_IoU_above/0.90"]
    assert "voc_IoU_best" not in judge(truth((inside(LEFT), 3), (inside(RIGHT), 15)), predict((inside(LEFT), 0.5, 0)))
