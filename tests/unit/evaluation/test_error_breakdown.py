import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bottomup.evaluation.coco import evaluate_keypoints
from bottomup.evaluation.errors import KINDS, breakdown
from bottomup.skeletons import COCO, Skeleton
from tests.unit.evaluation.scenes import FIVE, HALF, flawless, poses, predict, scene

HAND = 3
CENTRE = [[200, 100], [200, 150], [200, 250]]  # head, neck, pelvis of FIVE
HANDS = [[100, 170], [300, 170]]


def five(people: int = 2) -> dict[str, Any]:
    """People with all five keypoints, 1000 px apart, of 200² px²."""
    truth = scene(FIVE, images=1, people=people, extras=False)
    for number, annotation in enumerate(truth["annotations"]):
        points = np.array(CENTRE + HANDS) + np.array((1000 * number, 0))
        annotation["keypoints"] = np.insert(points, 2, 2, axis=1).ravel().tolist()
        annotation["area"] = 200.0**2
    return truth


def fractions(change: Callable[[NDArray[Any]], None]) -> dict[str, float]:
    """The breakdown of flawless predictions of one image after ``change`` of its keypoints (P, 5, 2)."""
    truth = five()
    keypoints = poses(truth)
    change(keypoints[10])
    return breakdown(predict(keypoints), truth, FIVE)


def shift(similarity: float, sigma: float) -> float:
    """The distance at which a keypoint of a person of 200² px² has a similarity."""
    return math.sqrt(-math.log(similarity) * 2 * 200**2) * 2 * sigma


@pytest.mark.parametrize("skeleton", [COCO, FIVE], ids=lambda skeleton: skeleton.name)
def test_flawless_predictions_are_good(skeleton: Skeleton) -> None:
    found = breakdown(flawless(scene(skeleton)), scene(skeleton), skeleton)
    assert found == {
        "good": 1,
        "jitter": 0,
        "inversion": 0,
        "swap": 0,
        "miss": 0,
        "false_positives": 0,
        "false_negatives": 0,
    }


@pytest.mark.parametrize(
    ("similarity", "kind"), [(0.86, "good"), (0.84, "jitter"), (0.51, "jitter"), (0.49, "miss"), (1e-6, "miss")]
)
def test_distance_decides(similarity: float, kind: str) -> None:
    def move(points: NDArray[Any]) -> None:
        points[:, 0, 1] -= shift(similarity, FIVE.sigmas[0])  # the head, away from all else

    found = fractions(move)
    assert found[kind] >= 0.2 - 1e-9
    assert found["good"] == pytest.approx(1.0 if kind == "good" else 0.8)


def test_a_mirrored_person_is_inverted() -> None:
    def mirror(points: NDArray[Any]) -> None:
        points[:] = points[:, FIVE.flip_order]

    found = fractions(mirror)
    assert found["inversion"] == pytest.approx(2 / 5)  # all that have a side
    assert found["good"] == pytest.approx(3 / 5)


def test_mirroring_lowers_ap() -> None:
    truth = scene(COCO)
    mirrored = {image_id: points[:, COCO.flip_order] for image_id, points in poses(truth).items()}
    assert evaluate_keypoints(predict(mirrored), truth, COCO)["AP"] < 0.5


@pytest.mark.parametrize("foreign", [HAND, FIVE.flip_order[HAND]], ids=["same", "mirrored"])
def test_a_keypoint_on_another_person_is_swapped(foreign: int) -> None:
    def exchange(points: NDArray[Any]) -> None:
        points[0, HAND], points[1, foreign] = points[1, foreign].copy(), points[0, HAND].copy()

    found = fractions(exchange)
    assert found["swap"] == pytest.approx(2 / 10)
    assert found["good"] == pytest.approx(8 / 10)


def test_a_keypoint_on_an_unrelated_keypoint_is_a_miss() -> None:
    def misplace(points: NDArray[Any]) -> None:
        points[:, 0] = points[:, HAND]

    assert fractions(misplace)["miss"] == pytest.approx(1 / 5)


def test_a_keypoint_not_found_is_a_miss() -> None:
    def remove(points: NDArray[Any]) -> None:
        points[0, HAND] = np.nan

    assert fractions(remove)["miss"] == pytest.approx(1 / 10)


def test_unlabelled_keypoints_do_not_count() -> None:
    truth = five()
    for annotation in truth["annotations"]:
        annotation["keypoints"][3 * HAND + 2] = 0
    keypoints = poses(five())
    keypoints[10][:, HAND] += 400
    assert breakdown(predict(keypoints), truth, FIVE)["good"] == 1


def test_unmatched_instances_and_people_are_counted() -> None:
    truth, keypoints = five(people=3), poses(five(people=3))
    extra = {10: np.concatenate((keypoints[10], keypoints[10][:1] + 400))}
    assert breakdown(predict(extra), truth, FIVE) | {"false_positives": 0} == breakdown(predict(keypoints), truth, FIVE)
    assert breakdown(predict(extra), truth, FIVE)["false_positives"] == pytest.approx(1 / 4)
    assert breakdown(predict({10: keypoints[10][:2]}), truth, FIVE)["false_negatives"] == pytest.approx(1 / 3)


def test_who_matches_a_crowd_is_not_counted() -> None:
    truth = scene(COCO)
    crowd = next(annotation for annotation in truth["annotations"] if annotation["iscrowd"])
    points = np.array(crowd["keypoints"], np.float32).reshape(1, -1, 3)[..., :2] + HALF
    keypoints = poses(truth)
    inside = predict({**keypoints, 10: np.concatenate((keypoints[10], points))})
    assert breakdown(inside, truth, COCO) == breakdown(predict(keypoints), truth, COCO)


def test_order_changes_nothing_and_kinds_sum_to_one() -> None:
    truth, random = scene(COCO), np.random.default_rng(0)
    predictions = predict({i: points + random.normal(0, 15, points.shape) for i, points in poses(truth).items()})
    found = breakdown(predictions, truth, COCO)
    backwards = [dataclasses.replace(one, instances=one.instances[torch.tensor([2, 0, 1])]) for one in reversed(predictions)]
    assert breakdown(backwards, {**truth, "annotations": truth["annotations"][::-1]}, COCO) == found
    assert sum(found[kind] for kind in KINDS) == pytest.approx(1)
    assert all(0 <= value <= 1 for value in found.values())


def test_nothing_to_count_is_undefined() -> None:
    truth = scene(COCO)
    found = breakdown([], truth, COCO)
    assert found["false_negatives"] == 1 and math.isnan(found["false_positives"])
    assert all(math.isnan(found[kind]) for kind in KINDS)
    assert all(math.isnan(value) for value in breakdown([], scene(images=0, people=0, extras=False), COCO).values())
