"""hotcoco, pycocotools and arrays of all images give the same figures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from bottomup.dataset import GroundTruth
from bottomup.evaluation import backend, errors, matched
from bottomup.evaluation.backend import accumulated
from bottomup.evaluation.boxes import evaluate_boxes
from bottomup.evaluation.coco import evaluate_keypoints, keypoint_ap, read_metrics
from bottomup.evaluation.columns import CATEGORY
from bottomup.evaluation.errors import breakdown
from bottomup.evaluation.matched import SOMEBODY
from bottomup.evaluation.oks import match, per_image_oks
from bottomup.evaluation.records import read_records
from bottomup.skeletons import COCO
from bottomup.types import Prediction
from tests.unit.evaluation.drawn import drawn
from tests.unit.evaluation.test_keypoint_ap import from_results, published

LIMITS = (20, 2)  # people of an image that count


def figures(predictions: list[Prediction], truth: GroundTruth, most: int = 20) -> list[dict[str, float]]:
    judged = (predictions, truth, COCO, most)
    return [evaluate_keypoints(*judged), keypoint_ap(*judged), breakdown(*judged), evaluate_boxes(predictions, truth)]


def narrowed_ap(predictions: list[Prediction], truth: GroundTruth, most: int) -> list[float]:
    """The AP of each keypoint by the package, which is given everybody as if the skeleton had only that one."""
    records, found = read_records(predictions, truth, COCO), []
    for index, sigma in enumerate(COCO.sigmas):
        own = slice(index, index + 1)
        people, instances = records.people, records.instances[records.instances.there[:, index]]
        counts = np.minimum(people.num_keypoints, people.labelled[:, index])
        people = replace(people, keypoints=people.keypoints[:, own], num_keypoints=counts)
        instances = replace(instances, keypoints=instances.keypoints[:, own])
        narrow = replace(records, people=people, instances=instances)
        evaluation = accumulated(match(narrow, (sigma,), most, areas=("all",)))
        found.append(read_metrics(evaluation, {"AP": ("precision", None, "all")})["AP"])
    return found


def unmatched(predictions: list[Prediction], truth: GroundTruth, most: int) -> dict[str, float]:
    """The fractions of instances and of people whom the package matches with nobody."""
    evaluation = match(read_records(predictions, truth, COCO), COCO.sigmas, most, (SOMEBODY,), ("all",))
    images: list[Any] = [image for image in evaluation.evalImgs if image is not None]
    found = {}
    for name, side in (("false_positives", "dt"), ("false_negatives", "gt")):
        flags = [(np.ravel(image[f"{side}Matches"]) == 0)[np.ravel(image[f"{side}Ignore"]) == 0] for image in images]
        joined = np.concatenate([np.zeros(0, bool), *flags])
        found[name] = float(joined.mean()) if joined.size else float("nan")
    return found


def assert_same(ours: dict[Any, float], theirs: dict[Any, float]) -> None:
    assert ours.keys() == theirs.keys()
    np.testing.assert_allclose(list(ours.values()), list(theirs.values()), rtol=0, atol=1e-12)


def assert_packages_agree(predictions: list[Prediction], truth: GroundTruth, monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are those of either package, which alone matches people of single keypoints, and at OKS .1."""
    for most in LIMITS:
        ours = figures(predictions, truth, most)
        for package in (backend.hotcoco, None):
            monkeypatch.setattr(backend, "hotcoco", package)
            for own, theirs in zip(ours, figures(predictions, truth, most), strict=True):
                assert_same(own, theirs)
            one_by_one = dict(zip(COCO.keypoints, narrowed_ap(predictions, truth, most), strict=True))
            assert_same(ours[1], one_by_one)
            nobody = unmatched(predictions, truth, most)
            assert_same({name: ours[2][name] for name in nobody}, nobody)
        monkeypatch.undo()


@pytest.mark.parametrize("seed", range(6))
def test_people_drawn_by_chance(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("hotcoco")
    assert_packages_agree(*drawn(seed), monkeypatch)


@pytest.mark.parametrize("people", [0, 1])
def test_hardly_anybody(people: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("hotcoco")
    assert_packages_agree(*drawn(7, images=3, most=people), monkeypatch)


def test_published_results_of_real_images(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("hotcoco")
    truth, results = published(shared)
    assert_packages_agree(from_results(results), truth, monkeypatch)


@pytest.mark.parametrize("together", [1, 50])
def test_how_many_are_looked_at_at_once_changes_nothing(together: int, monkeypatch: pytest.MonkeyPatch) -> None:
    predictions, truth = drawn(3)
    judges = (keypoint_ap, breakdown, per_image_oks)
    whole = [judge(predictions, truth, COCO) for judge in judges]
    for module, name in ((errors, "_TOGETHER"), (matched, "_TOGETHER"), (matched, "_AT_ONCE")):
        monkeypatch.setattr(module, name, together)
    for judge, expected in zip(judges, whole, strict=True):
        assert_same(judge(predictions, truth, COCO), expected)


@pytest.mark.parametrize("most", LIMITS)
def test_the_oks_of_an_image_is_the_best_assignment_of_the_packages_similarities(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictions, truth = drawn(5)
    monkeypatch.setattr(backend, "hotcoco", None)  # the other keeps no similarities
    records = read_records(predictions, truth, COCO)
    alike, expected = match(records, COCO.sigmas, most).ious, {}
    for place, image_id in enumerate(records.image_ids):
        counts = ~records.people.of_images(place, place + 1).ignored
        if counts.any():
            similarity = np.asarray(alike[image_id, CATEGORY]).reshape(-1, len(counts))[:, counts]
            best = similarity[linear_sum_assignment(similarity, maximize=True)]
            expected[image_id] = best.sum() / counts.sum()
    assert_same(per_image_oks(predictions, truth, COCO, most), expected)
