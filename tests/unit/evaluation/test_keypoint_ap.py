import contextlib
import dataclasses
import io
import json
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pycocotools import coco
from pycocotools.cocoeval import COCOeval

from bottomup.errors import DataError
from bottomup.evaluation.coco import evaluate_keypoints, keypoint_ap
from bottomup.evaluation.oks import per_image_oks
from bottomup.evaluation.records import subset
from bottomup.skeletons import COCO, CROWDPOSE, Skeleton
from bottomup.types import Instances, Prediction
from tests.unit.evaluation.scenes import FIVE, flawless, poses, predict, scene

NAMES = ["AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75", "ARM", "ARL"]


def noisy(ground_truth: dict[str, Any], scale: float, seed: int = 1) -> list[Prediction]:
    generator = np.random.default_rng(seed)
    return predict({i: points + generator.normal(0, scale, points.shape) for i, points in poses(ground_truth).items()})


@pytest.mark.parametrize("skeleton", [COCO, CROWDPOSE, FIVE], ids=lambda skeleton: skeleton.name)
def test_flawless_predictions_score_one(skeleton: Skeleton) -> None:
    truth = scene(skeleton)
    assert evaluate_keypoints(flawless(truth), truth, skeleton) == pytest.approx(dict.fromkeys(NAMES, 1.0))
    assert keypoint_ap(flawless(truth), truth, skeleton) == pytest.approx(dict.fromkeys(skeleton.keypoints, 1.0))
    assert list(per_image_oks(flawless(truth), truth, skeleton).values()) == pytest.approx([1] * 4)


def test_order_changes_nothing() -> None:
    truth, predictions = scene(), noisy(scene(), 8)
    shuffled_truth, shuffled = json.loads(json.dumps(truth)), list(predictions)
    for entries in (shuffled_truth["images"], shuffled_truth["annotations"], shuffled):
        random.Random(0).shuffle(entries)
    shuffled = [
        dataclasses.replace(prediction, instances=prediction.instances[torch.randperm(len(prediction.instances))])
        for prediction in shuffled
    ]
    for measure in (evaluate_keypoints, keypoint_ap, per_image_oks):
        assert measure(shuffled, shuffled_truth, COCO) == pytest.approx(measure(predictions, truth, COCO), abs=1e-12)


def test_ids_of_annotations_and_categories_do_not_matter() -> None:
    truth, predictions = scene(), noisy(scene(), 8)
    other = json.loads(json.dumps(truth))
    other["categories"][0]["id"] = 1
    for annotation in other["annotations"]:
        annotation.update(category_id=1, id=0)
    assert evaluate_keypoints(predictions, other, COCO) == evaluate_keypoints(predictions, truth, COCO)


def test_what_is_given_stays_as_it_is() -> None:
    truth = scene()
    before = json.dumps(truth)
    evaluate_keypoints(flawless(truth), truth, COCO)
    assert json.dumps(truth) == before


def test_a_larger_shift_never_scores_more() -> None:
    truth = scene()
    scores = [
        evaluate_keypoints(predict({i: points + shift for i, points in poses(truth).items()}), truth, COCO)["AP"]
        for shift in (0, 4, 8, 16, 32, 64)
    ]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == pytest.approx(1) and scores[-1] < 0.2


def test_wider_sigmas_forgive_more() -> None:
    truth, predictions = scene(), noisy(scene(), 8)
    wide = dataclasses.replace(COCO, sigmas=tuple(2 * sigma for sigma in COCO.sigmas))
    narrow, forgiving = evaluate_keypoints(predictions, truth, COCO), evaluate_keypoints(predictions, truth, wide)
    assert all(forgiving[name] >= narrow[name] for name in NAMES)
    assert forgiving["AP"] > narrow["AP"]


def test_nobody_predicted_scores_zero() -> None:
    truth = scene()
    empty = [Prediction(Instances.empty(17), (500, 6000), image_id=image["id"]) for image in truth["images"]]
    for predictions in ([], empty):
        assert evaluate_keypoints(predictions, truth, COCO) == dict.fromkeys(NAMES, 0.0)
        assert set(keypoint_ap(predictions, truth, COCO).values()) == {0.0}
        assert set(per_image_oks(predictions, truth, COCO).values()) == {0.0}


@pytest.mark.parametrize("images", [0, 2])
def test_nobody_annotated_is_undefined(images: int) -> None:
    truth = scene(images=images, people=0, extras=False)
    metrics = evaluate_keypoints([], truth, COCO)
    assert list(metrics) == NAMES
    assert all(math.isnan(value) for value in (*metrics.values(), *keypoint_ap([], truth, COCO).values()))
    assert per_image_oks([], truth, COCO) == {}


def test_only_the_best_people_of_an_image_count() -> None:
    truth = scene(images=1, people=3, extras=False)
    (prediction,) = flawless(truth)
    false = dataclasses.replace(prediction.instances, keypoints=prediction.instances.keypoints + 9000)
    better = dataclasses.replace(false, scores=prediction.instances.scores + 1)
    worse = dataclasses.replace(false, scores=prediction.instances.scores * 0.01)

    def recall(first: Instances, then: Instances) -> float:
        names = [f.name for f in dataclasses.fields(first) if getattr(first, f.name) is not None]
        joined = {name: torch.cat((getattr(first, name), getattr(then, name))) for name in names}
        one = dataclasses.replace(prediction, instances=Instances(**joined))
        return evaluate_keypoints([one], truth, COCO, max_people=3)["AR"]

    assert recall(worse, prediction.instances) == pytest.approx(1)
    assert recall(prediction.instances, better) == 0


def test_a_keypoint_is_judged_alone() -> None:
    truth, moved = scene(), poses(scene())
    for points in moved.values():
        points[:, COCO.index("left_wrist")] += 500
        points[:, COCO.index("nose")] = np.nan
    found = keypoint_ap(predict(moved), truth, COCO)
    assert {name for name, value in found.items() if value < 0.5} == {"left_wrist", "nose"}
    assert all(value == pytest.approx(1) for name, value in found.items() if name not in ("left_wrist", "nose"))


def test_an_instance_serves_one_person() -> None:
    truth = scene(images=1, people=2, extras=False)
    truth["annotations"][1] = {**truth["annotations"][0], "id": 1}
    everyone = poses(truth)
    assert per_image_oks(predict(everyone), truth, COCO)[10] == pytest.approx(1)
    assert per_image_oks(predict({10: everyone[10][:1]}), truth, COCO)[10] == pytest.approx(0.5)


def test_an_instance_without_keypoints_is_a_false_positive() -> None:
    truth, everyone = scene(extras=False), poses(scene(extras=False))
    nothing = np.full_like(everyone[10][:1], np.nan)
    predictions = predict({**everyone, 10: np.concatenate((everyone[10], nothing))})
    for prediction in predictions:
        prediction.instances.scores[3:] = 2  # the best of all
    metrics = evaluate_keypoints(predictions, truth, COCO)
    assert metrics["AP"] < 1 and metrics["AR"] == pytest.approx(1)
    assert all(0 < value <= 1 for value in metrics.values())


def test_subset_keeps_the_rest_out() -> None:
    truth = scene()
    few = [prediction for prediction in flawless(truth) if prediction.image_id in (10, 12)]
    assert evaluate_keypoints(few, truth, COCO)["AR"] < 0.9
    assert evaluate_keypoints(few, subset(truth, [10, 12]), COCO)["AR"] == pytest.approx(1)


def scored(score: float, image_id: int | None) -> Prediction:
    instances = Instances.of_keypoints(torch.ones(1, 17, 2), torch.ones(1, 17), torch.tensor([score]))
    return Prediction(instances, (500, 6000), image_id=image_id)


def without(name: str) -> dict[str, Any]:
    truth = scene()
    del truth["annotations"][0][name]
    return truth


@pytest.mark.parametrize(
    ("truth", "predictions", "message"),
    [
        (without("area"), [], "no `area`"),
        (without("bbox"), [], "no `bbox`"),
        (scene(FIVE), [], "15 keypoint numbers"),
        (scene(), flawless(scene(images=5)), "image 14"),
        (scene(), flawless(scene()) * 2, "twice"),
        (scene(), flawless(scene(FIVE)), "5 keypoints"),
        (scene(), [scored(0.5, image_id=None)], "image None"),
        (scene(), [scored(math.nan, image_id=10)], "score nan"),
        ({**scene(), "categories": []}, [], "one category"),
    ],
)
def test_what_cannot_be_judged_is_named(truth: dict[str, Any], predictions: list[Prediction], message: str) -> None:
    with pytest.raises(DataError, match=message):
        evaluate_keypoints(predictions, truth, COCO)


def test_nothing_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    evaluate_keypoints(flawless(scene()), scene(), COCO)
    assert capsys.readouterr().out == ""


def summarized(truth: dict[str, Any], results: list[dict[str, Any]]) -> dict[str, float]:
    """What pycocotools itself says."""
    with contextlib.redirect_stdout(io.StringIO()):
        annotated = coco.COCO()
        annotated.dataset = json.loads(json.dumps(truth))
        annotated.createIndex()
        evaluation = COCOeval(annotated, annotated.loadRes(json.loads(json.dumps(results))), "keypoints")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return dict(zip(NAMES, evaluation.stats.tolist(), strict=True))


def test_agrees_with_pycocotools() -> None:
    truth, predictions = scene(seed=3), noisy(scene(seed=3), 9)
    for number, annotation in enumerate(truth["annotations"], start=1):
        annotation["id"] = number
    results = [record for prediction in predictions for record in prediction.to_coco(7)]
    assert evaluate_keypoints(predictions, truth, COCO) == pytest.approx(summarized(truth, results), abs=1e-12)


def published(shared: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The annotations and the PoseNet results of 120 images of COCO's val2017."""
    names = ("data/coco_person/annotations/person_keypoints_val.json", "reference/posenet513_val120_results.json")
    for path in (shared / name for name in (*names, "reference/val120_image_ids.json")):
        if not path.exists():
            pytest.skip(f"{path} is not there")
    annotations, results = (json.loads((shared / name).read_text()) for name in names)
    return subset(annotations, json.loads((shared / "reference/val120_image_ids.json").read_text())), results


def from_results(results: list[dict[str, Any]]) -> list[Prediction]:
    grouped: dict[int, list[dict[str, Any]]] = {}
    for record in results:
        grouped.setdefault(record["image_id"], []).append(record)
    return [_read(image_id, records) for image_id, records in grouped.items()]


def _read(image_id: int, records: list[dict[str, Any]]) -> Prediction:
    keypoints = torch.tensor([record["keypoints"] for record in records], dtype=torch.float32).view(len(records), 17, 3)
    scores = torch.tensor([record["score"] for record in records], dtype=torch.float64)
    found = keypoints[..., 2].clamp(min=1e-3)  # the file rounds small scores to 0
    return Prediction(Instances.of_keypoints(keypoints[..., :2] + 0.5, found, scores), (0, 0), image_id=image_id)


def test_agrees_with_pycocotools_on_published_results(shared: Path) -> None:
    truth, results = published(shared)
    assert evaluate_keypoints(from_results(results), truth, COCO) == pytest.approx(summarized(truth, results), abs=1e-9)
