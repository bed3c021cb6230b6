"""CrowdPose's AP of easy, medium and hard images."""

from __future__ import annotations

import contextlib
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO as Coco
from pycocotools.cocoeval import COCOeval

from bottomup.data.crowdpose import Crowdpose
from bottomup.errors import ConfigError, DataError
from bottomup.evaluation.coco import evaluate_keypoints
from bottomup.evaluation.measure import measures_of
from bottomup.skeletons import CROWDPOSE
from bottomup.types import Prediction
from tests.unit.evaluation.scenes import flawless, poses, predict, scene

INDICES = (0.05, 0.15, 0.5, 0.9)  # of the four images


def crowded(**options: float) -> dict[str, Any]:
    truth = scene(CROWDPOSE, extras=False)
    images = [image | {"crowdIndex": index} for image, index in zip(truth["images"], INDICES, strict=True)]
    return truth | {"images": images, "measures": {"crowd_index": options}}


def judge(truth: dict[str, Any], predictions: list[Prediction]) -> dict[str, float]:
    (measure,) = measures_of(truth, CROWDPOSE, 20)  # type: ignore[arg-type]
    for prediction in predictions:
        measure.add(prediction)
    return measure.metrics


def test_the_people_themselves_score_one_on_every_level() -> None:
    assert judge(crowded(), flawless(crowded())) == pytest.approx({"AP_easy": 1, "AP_medium": 1, "AP_hard": 1})


def test_what_is_missed_counts_on_its_own_level() -> None:
    """Of the two images of medium one is not found: recall .5, of COCO's 101 points 51 at precision 1."""
    found = [prediction for prediction in flawless(crowded()) if prediction.image_id != 11]
    assert judge(crowded(), found) == pytest.approx({"AP_easy": 1, "AP_medium": 51 / 101, "AP_hard": 1})
    only = [prediction for prediction in flawless(crowded()) if prediction.image_id == 10]
    assert judge(crowded(), only) == pytest.approx({"AP_easy": 1, "AP_medium": 0, "AP_hard": 0})


def test_the_levels_end_where_they_are_said_to() -> None:
    found = [prediction for prediction in flawless(crowded()) if prediction.image_id != 11]  # of index .15
    assert judge(crowded(easy=0.2), found) == pytest.approx({"AP_easy": 51 / 101, "AP_medium": 1, "AP_hard": 1})
    assert math.isnan(judge(crowded(hard=0.95), found)["AP_hard"])
    with pytest.raises(ConfigError, match=r"did you mean 'easy'"):
        measures_of(crowded(eazy=0.2), CROWDPOSE, 20)  # type: ignore[arg-type]


def test_a_shift_costs_what_the_authors_oks_says() -> None:
    """By one standard deviation of every keypoint, in a person of area 0.53 w h: OKS exp(-1/2), right at .5, .55 and .6."""
    truth = crowded()
    for annotation in truth["annotations"]:
        annotation["area"] = 0.53 * annotation["bbox"][2] * annotation["bbox"][3]
    areas = {image["id"]: [a["area"] for a in truth["annotations"] if a["image_id"] == image["id"]] for image in truth["images"]}
    deviations = 2 * np.array(CROWDPOSE.sigmas)
    moved = {
        image_id: points + np.sqrt(np.array(areas[image_id]))[:, None, None] * deviations[:, None] * np.array([1, 0])
        for image_id, points in poses(truth).items()
    }
    assert judge(truth, predict(moved)) == pytest.approx({"AP_easy": 0.3, "AP_medium": 0.3, "AP_hard": 0.3})


def test_an_image_without_its_index_is_refused() -> None:
    with pytest.raises(DataError, match="image 10: `crowdIndex` should be a number"):
        measures_of(scene(CROWDPOSE) | {"measures": {"crowd_index": {}}}, CROWDPOSE, 20)  # type: ignore[arg-type]


def test_the_real_file_scores_as_the_published_program_does(shared: Path) -> None:
    file = shared / "data" / "formats" / "crowdpose_val.json"
    ids = [image["id"] for image in json.loads(file.read_text())["images"][:60]]
    dataset = Crowdpose(annotations=str(file), image_ids=ids, easy=0.2)
    truth: Any = dataset.ground_truth()
    assert judge(truth, flawless(truth)) == pytest.approx({"AP_easy": 1, "AP_medium": 1, "AP_hard": 1})
    random = np.random.default_rng(0)
    noisy = predict({image_id: points + random.normal(0, 4, points.shape) for image_id, points in poses(truth).items()})
    metrics = judge(truth, noisy)
    levels = [[], [], []]  # type: list[list[int]]
    for image in truth["images"]:
        levels[0 if image["crowdIndex"] < 0.2 else 1 if image["crowdIndex"] < 0.8 else 2].append(image["id"])
    expected = [published(truth, noisy, level) for level in levels]
    assert list(metrics.values()) == pytest.approx(expected, abs=1e-9) and 0.1 < min(expected) < max(expected) < 0.99
    both = evaluate_keypoints(noisy, truth, CROWDPOSE)["AP"]
    assert min(expected) < both < max(expected)


def published(truth: dict[str, Any], predictions: list[Prediction], image_ids: list[int]) -> float:
    """The mean of the whole table of precisions, of one level's images, with areas of 0.53 of the boxes."""
    people = [a | {"area": 0.53 * a["bbox"][2] * a["bbox"][3]} for a in truth["annotations"]]
    found = [record for prediction in predictions for record in prediction.to_coco(1)]
    with contextlib.redirect_stdout(io.StringIO()):
        file = Coco()
        file.dataset = {**truth, "annotations": people}
        file.createIndex()
        evaluation = COCOeval(file, file.loadRes(found), "keypoints")
        evaluation.params.kpt_oks_sigmas = np.array([79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89, 79, 79]) / 1000
        evaluation.params.imgIds, evaluation.params.areaRng, evaluation.params.areaRngLbl = image_ids, [[0, 1e10]], ["all"]
        evaluation.evaluate()
        evaluation.accumulate()
    return float(evaluation.eval["precision"][:, :, :, 0, :].mean())
