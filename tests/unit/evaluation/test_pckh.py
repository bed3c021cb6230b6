"""AP by PCKh: by hand, and equal to the toolkit's own loops over people and keypoints."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from bottomup.errors import DataError
from bottomup.evaluation.measure import measures_of
from bottomup.skeletons import Skeleton
from bottomup.types import Instances, Prediction

FOUR = Skeleton("four", ("head", "left_hand", "right_hand", "hip"), (("left_hand", "right_hand"),), sigmas=(0.1,) * 4)
PARTS = {"head": ("head",), "hand": ("left_hand", "right_hand")}  # hips count nowhere
JUDGED = ("head", "left_hand", "right_hand")
HEAD = 20.0  # px
SHAPE = np.array([[0, 0], [-30, 40], [30, 40], [0, 80]], float)
HALF = 0.5  # annotations are indices of pixels

Poses = dict[int, list[tuple[np.ndarray, np.ndarray]]]  # by image: points (K, 2), scores (K,)


def at(x: float, y: float) -> np.ndarray:
    return SHAPE + (x, y)


def truth(*people: np.ndarray, labelled: list[list[int]] | None = None, **image: Any) -> dict[str, Any]:
    annotations = [
        {
            "id": number,
            "image_id": 1,
            "category_id": 1,
            "iscrowd": 0,
            "head_size": HEAD,
            "keypoints": np.concatenate(
                (points - HALF, np.array((labelled or [[2] * 4] * len(people))[number - 1])[:, None]), 1
            ).ravel().tolist(),
        }
        for number, points in enumerate(people, 1)
    ]  # fmt: skip
    return {
        "images": [{"id": 1, "width": 1000, "height": 1000} | image],
        "annotations": annotations,
        "categories": [],
        "measures": {"pckh": {"parts": PARTS}},
    }


def prediction(poses: list[np.ndarray], scores: list[float] | np.ndarray, image_id: int = 1) -> Prediction:
    points = torch.tensor(np.array(poses), dtype=torch.float32).view(-1, 4, 2)
    each = torch.as_tensor(np.array(scores), dtype=torch.float32)
    each = each if each.ndim == 2 else each[:, None].expand(-1, 4)
    each = torch.where(points.isfinite().all(-1), each, 0.0)
    return Prediction(Instances.of_keypoints(points, each, each.mean(1)), (1000, 1000), image_id=image_id)


def judge(ground_truth: dict[str, Any], *predictions: Prediction) -> dict[str, float]:
    (measure,) = measures_of(ground_truth, FOUR, 20)  # type: ignore[arg-type]
    for one in predictions:
        measure.add(one)
    return measure.metrics


TWO = truth(at(200, 200), at(600, 200))


def test_the_people_themselves_score_one() -> None:
    metrics = judge(TWO, prediction([at(600, 200), at(200, 200)], [0.5, 0.9]))
    assert metrics == dict.fromkeys(["PCKh_AP", "PCKh_AP_head", "PCKh_AP_hand", *(f"PCKh_AP/{name}" for name in JUDGED)], 1.0)


@pytest.mark.parametrize(("shift", "ap"), [(0.49 * HEAD, 1.0), (0.51 * HEAD, 0.0)])
def test_half_a_head_is_how_far_a_find_may_lie(shift: float, ap: float) -> None:
    assert judge(TWO, prediction([at(200 + shift, 200), at(600, 200 - shift)], [0.5, 0.9]))["PCKh_AP"] == ap


def test_who_is_missed_is_half_of_two() -> None:
    assert judge(TWO, prediction([at(200, 200)], [0.5]))["PCKh_AP"] == 0.5
    assert judge(TWO)["PCKh_AP"] == judge(TWO, prediction([], []))["PCKh_AP"] == 0.0


def test_a_double_is_wrong_and_costs_what_it_outranks() -> None:
    one = truth(at(200, 200))
    assert judge(one, prediction([at(200, 200), at(200, 200)], [0.9, 0.8]))["PCKh_AP"] == 1.0
    assert judge(one, prediction([at(200, 200), at(200, 200)], [0.8, 0.9]))["PCKh_AP"] == 0.5


def test_one_hand_beside_its_place_costs_that_hand_alone() -> None:
    moved = at(200, 200)
    moved[1] += 30
    metrics = judge(truth(at(200, 200)), prediction([moved], [0.5]))
    assert metrics["PCKh_AP/left_hand"] == 0 and metrics["PCKh_AP/right_hand"] == metrics["PCKh_AP_head"] == 1
    assert metrics["PCKh_AP_hand"] == 0.5 and metrics["PCKh_AP"] == pytest.approx(2 / 3)


def test_keypoints_rank_by_their_own_scores() -> None:
    """A false person whose head is sure and whose hands are not costs heads alone."""
    scores = np.array([[0.5, 0.5, 0.5, 0.5], [0.9, 0.1, 0.1, 0.1]])
    metrics = judge(truth(at(200, 200)), prediction([at(200, 200), at(600, 600)], scores))
    assert metrics["PCKh_AP_head"] == 0.5 and metrics["PCKh_AP_hand"] == 1.0


def test_what_is_not_annotated_is_a_false_find_of_who_is_and_undefined_where_it_is_nobody_s() -> None:
    some = truth(at(200, 200), at(600, 200), labelled=[[2, 0, 2, 2], [2, 2, 2, 2]])
    metrics = judge(some, prediction([at(200, 200), at(600, 200)], [0.9, 0.5]))
    assert metrics["PCKh_AP/left_hand"] == 0.5  # the first, which is there, is nobody's annotated hand
    nobody = judge(truth(at(200, 200), labelled=[[2, 0, 2, 2]]), prediction([at(200, 200)], [0.9]))
    assert math.isnan(nobody["PCKh_AP/left_hand"]) and nobody["PCKh_AP"] == nobody["PCKh_AP_hand"] == 1.0


def test_a_prediction_is_of_one_person_and_a_person_of_one_prediction() -> None:
    """Two people a head's half apart, one prediction between them: who has more of its keypoints gets it, the other nothing."""
    near = truth(at(200, 200), at(208, 200), labelled=[[2, 2, 2, 2], [2, 0, 0, 0]])
    metrics = judge(near, prediction([at(204, 200)], [0.9]))
    assert metrics["PCKh_AP_hand"] == 1.0 and metrics["PCKh_AP_head"] == 0.5


def test_groups_are_judged_apart_and_nobody_outside_counts() -> None:
    groups = [
        {"people": [1], "region": [100, 100, 300, 300]},
        {"people": [2], "region": [500, 100, 700, 300]},
    ]
    grouped = truth(at(200, 200), at(600, 200), groups=groups)
    stray = prediction([at(200, 200), at(600, 200), at(800, 800)], [0.5, 0.6, 0.99])
    assert judge(grouped, stray)["PCKh_AP"] == 1.0 and judge(TWO, stray)["PCKh_AP"] == pytest.approx(2 / 3)
    alone = truth(at(200, 200), at(600, 200), groups=groups[:1])
    assert judge(alone, prediction([at(200, 200)], [0.5]))["PCKh_AP"] == 1.0  # the second person is in no group
    overlapping = truth(at(200, 200), at(260, 200), groups=[
        {"people": [1], "region": [100, 100, 300, 300]}, {"people": [2], "region": [160, 100, 360, 300]}
    ])  # fmt: skip
    assert judge(overlapping, prediction([at(200, 200), at(260, 200)], [0.5, 0.6]))["PCKh_AP"] == 1.0  # to the nearer middle


def test_crowds_people_without_a_head_and_images_without_anybody_do_not_count() -> None:
    crowd = {"id": 9, "image_id": 1, "iscrowd": 1, "bbox": [500, 100, 200, 200], "keypoints": [0] * 12}
    crowded = TWO | {"annotations": [*TWO["annotations"], crowd]}
    assert judge(crowded, prediction([at(200, 200)], [0.5]))["PCKh_AP"] == 1.0
    assert judge(crowded, prediction([at(200, 200), at(600, 210)], [0.5, 0.9]))["PCKh_AP"] == 1.0
    headless = TWO | {"annotations": [TWO["annotations"][0], TWO["annotations"][1] | {"head_size": None}]}
    assert judge(headless, prediction([at(200, 200)], [0.5]))["PCKh_AP"] == 1.0
    empty = {**TWO, "images": [*TWO["images"], {"id": 2, "width": 10, "height": 10}]}
    everybody = prediction([at(200, 200), at(600, 200)], [0.5, 0.6])
    assert judge(empty, everybody, prediction([at(5, 5)], [0.9], image_id=2))["PCKh_AP"] == 1.0


def test_a_prediction_of_an_unlisted_image_is_refused() -> None:
    with pytest.raises(DataError, match="image 7"):
        judge(TWO, prediction([at(200, 200)], [0.5], image_id=7))


# ---- the toolkit's definition ------------------------------------------------------------------------------------------------


def by_definition(scenes: list[tuple[list[np.ndarray], list[list[int]], list[np.ndarray], np.ndarray]]) -> list[float]:
    """AP of each judged keypoint by loops, as the toolkit's text describes: share of right keypoints, best person, best pose."""
    finds: list[list[tuple[float, bool]]] = [[], [], []]
    positives = [0, 0, 0]
    for people, labelled, poses, scores in scenes:
        near = [
            [
                [bool(seen[k] and math.dist(p[k], q[k]) <= 0.5 * HEAD) for k in range(3)]
                for q, seen in zip(people, labelled, strict=True)
            ]
            for p in poses
        ]
        share = [[sum(near[i][j]) / sum(map(bool, labelled[j][:3])) for j in range(len(people))] for i in range(len(poses))]
        for i in range(len(poses)):
            best = max(range(len(people)), key=lambda j: share[i][j])
            share[i] = [value if j == best else 0 for j, value in enumerate(share[i])]
        winners = {}
        for j in range(len(people)):
            i = max(range(len(poses)), key=lambda i: share[i][j])
            if share[i][j] > 0:
                winners[i] = j
        for i in range(len(poses)):
            for k in range(3):
                finds[k].append((float(scores[i, k]), i in winners and near[i][winners[i]][k]))
        for k in range(3):
            positives[k] += sum(bool(seen[k]) for seen in labelled)
    return [_area(sorted(own, key=lambda find: -find[0]), total) for own, total in zip(finds, positives, strict=True)]


def _area(finds: list[tuple[float, bool]], positives: int) -> float:
    points, hits = [], 0
    for rank, (_, right) in enumerate(finds, 1):
        hits += right
        points.append((hits / positives, hits / rank))
    area, reached = 0.0, 0.0
    for recall in sorted({recall for recall, _ in points}):
        area += (recall - reached) * max(precision for own, precision in points if own >= recall)
        reached = recall
    return area


@pytest.mark.parametrize("seed", range(5))
def test_made_up_predictions_score_as_the_definition_says(seed: int) -> None:
    random = np.random.default_rng(seed)
    scenes, images, annotations, predictions = [], [], [], []
    for image_id in range(1, 7):
        people = [at(*random.uniform(100, 300, 2)) for _ in range(random.integers(1, 5))]
        labelled = [[2, *(2 * (random.random(3) < 0.8)).tolist()] for _ in people]
        poses = [
            (people + people)[i % (2 * len(people))] + random.normal(0, random.choice([2, 8]), (4, 2))
            for i in range(random.integers(1, 7))
        ]
        scores = random.uniform(0.1, 1, (len(poses), 4))
        scenes.append((people, labelled, [np.float32(pose) for pose in poses], np.float32(scores)))
        part = truth(*people, labelled=labelled)
        images.append({"id": image_id, "width": 1000, "height": 1000})
        annotations += [person | {"image_id": image_id, "id": 10 * image_id + person["id"]} for person in part["annotations"]]
        predictions.append(prediction(poses, scores, image_id))
    ground_truth = {**TWO, "images": images, "annotations": annotations}
    metrics = judge(ground_truth, *predictions)
    expected = by_definition(scenes)
    assert [metrics[f"PCKh_AP/{name}"] for name in JUDGED] == pytest.approx(expected, abs=1e-9)
    assert metrics["PCKh_AP"] == pytest.approx(np.mean(expected)) and 0.1 < metrics["PCKh_AP"] < 0.99
