"""hotcoco and pycocotools give the same figures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bottomup.dataset import GroundTruth
from bottomup.evaluation import backend
from bottomup.evaluation.boxes import evaluate_boxes
from bottomup.evaluation.coco import evaluate_keypoints, keypoint_ap, read_metrics
from bottomup.evaluation.errors import breakdown
from bottomup.evaluation.oks import match
from bottomup.evaluation.records import read_records
from bottomup.skeletons import COCO
from bottomup.types import Instances, Prediction
from tests.unit.evaluation.test_keypoint_ap import from_results, published


def figures(predictions: list[Prediction], truth: GroundTruth) -> list[dict[str, float]]:
    judged = (predictions, truth, COCO)
    return [evaluate_keypoints(*judged), keypoint_ap(*judged), breakdown(*judged), evaluate_boxes(predictions, truth)]


def narrowed_ap(predictions: list[Prediction], truth: GroundTruth, max_people: int) -> list[float]:
    """The AP of each keypoint by the package, which is given everybody as if the skeleton had only that one."""
    records, found = read_records(predictions, truth, COCO), []
    for index, sigma in enumerate(COCO.sigmas):
        own = slice(3 * index, 3 * index + 3)
        people = [person | {"keypoints": person["keypoints"][own]} for person in records.people]
        people = [one | {"num_keypoints": int(one["num_keypoints"] > 0 and one["keypoints"][2] > 0)} for one in people]
        instances = [one | {"keypoints": one["keypoints"][own]} for one in records.instances if any(one["keypoints"][own])]
        narrow = replace(records, people=people, instances=instances)
        evaluation = match(narrow, (sigma,), max_people, areas=("all",))
        found.append(read_metrics(evaluation, {"AP": ("precision", None, "all")})["AP"])
    return found


def assert_same(predictions: list[Prediction], truth: GroundTruth, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("hotcoco")
    fast = figures(predictions, truth)
    one_by_one = narrowed_ap(predictions, truth, 20)
    np.testing.assert_allclose(list(fast[1].values()), one_by_one, rtol=0, atol=1e-12)
    np.testing.assert_allclose(
        list(keypoint_ap(predictions, truth, COCO, 2).values()), narrowed_ap(predictions, truth, 2), atol=1e-12
    )
    monkeypatch.setattr(backend, "hotcoco", None)
    for ours, theirs in zip(fast, figures(predictions, truth), strict=True):
        assert ours.keys() == theirs.keys()
        np.testing.assert_allclose(list(ours.values()), list(theirs.values()), rtol=0, atol=1e-12)


@pytest.mark.parametrize("people", [0, 1, 7])
def test_people_drawn_by_chance(people: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(people)
    images = [{"id": number, "width": 200, "height": 200} for number in range(1, 9)]
    annotations, predictions = [], []
    for image in images:
        points = rng.uniform(0, 200, (people, len(COCO), 2)).round(1)
        seen = rng.integers(0, 3, (people, len(COCO), 1))
        for place, keypoints in enumerate(np.concatenate((points, seen), 2)):
            record = {"id": len(annotations) + 1, "image_id": image["id"], "category_id": 1, "iscrowd": int(place == 3)}
            annotations.append(
                record | {"keypoints": keypoints.ravel().tolist(), "area": 40.0 ** (2 + place % 3), "bbox": [0, 0, 99, 99]}
            )
        found = torch.from_numpy(points).float() + torch.from_numpy(rng.normal(0, 8, points.shape)).float()
        scores = torch.from_numpy(rng.uniform(0, 1, people).round(1)).float()  # some of them equal
        predictions.append(
            Prediction(Instances.of_keypoints(found, torch.ones(people, len(COCO)), scores), (200, 200), image_id=image["id"])
        )
    truth: GroundTruth = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "keypoints": list(COCO.keypoints)}],
    }
    assert_same(predictions, truth, monkeypatch)


def test_published_results_of_real_images(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    truth, results = published(shared)
    assert_same(from_results(results), truth, monkeypatch)
