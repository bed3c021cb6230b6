"""Whom evaluation leaves out for having no keypoints: the file says it, as pycocotools goes by it."""

from __future__ import annotations

from typing import Any

import pytest

from bottomup.evaluation.coco import evaluate_keypoints
from bottomup.evaluation.oks import per_image_oks
from bottomup.evaluation.records import read_records
from bottomup.skeletons import COCO
from tests.unit.evaluation.scenes import flawless, scene
from tests.unit.evaluation.test_keypoint_ap import noisy, summarized


def truth_with(count: int | None) -> dict[str, Any]:
    """Everybody labelled, the first of each image with ``num_keypoints`` of ``count``; None: not said of anybody."""
    truth = scene(seed=3, extras=False)
    seen = set()
    for number, annotation in enumerate(truth["annotations"], start=1):
        annotation["id"] = number
        if count is None:
            del annotation["num_keypoints"]
        elif annotation["image_id"] not in seen:
            annotation["num_keypoints"] = count
        seen.add(annotation["image_id"])
    return truth


@pytest.mark.parametrize("count", [0, 1, 5])
def test_the_files_number_counts_as_it_does_for_pycocotools(count: int) -> None:
    truth = truth_with(count)
    records = read_records([], truth, COCO)
    assert records.people.num_keypoints.tolist() == [annotation["num_keypoints"] for annotation in truth["annotations"]]
    assert records.people.ignored.sum() == (len(truth["images"]) if count == 0 else 0)
    predictions = noisy(truth, 9)
    results = [record for prediction in predictions for record in prediction.to_coco(7)]
    found, official = evaluate_keypoints(predictions, truth, COCO), summarized(truth, results)
    defined = {name for name, value in official.items() if value >= 0}  # its -1 is our NaN
    assert {name: found[name] for name in defined} == pytest.approx({name: official[name] for name in defined}, abs=1e-12)
    assert {"AP", "APL", "AR"} <= defined


def test_whom_the_file_leaves_out_may_be_found_or_missed() -> None:
    truth = truth_with(0)
    left_out = {annotation["id"] for annotation in truth["annotations"] if annotation["num_keypoints"] == 0}
    fewer = {**truth, "annotations": [entry for entry in truth["annotations"] if entry["id"] not in left_out]}
    for predictions in (flawless(truth), flawless(fewer)):
        assert evaluate_keypoints(predictions, truth, COCO)["AP"] == pytest.approx(1)
        assert list(per_image_oks(predictions, truth, COCO).values()) == pytest.approx([1] * len(truth["images"]))


def test_where_the_file_says_none_the_labelled_are_counted() -> None:
    truth = truth_with(None)
    counts = read_records([], truth, COCO).people.num_keypoints.tolist()
    for count, annotation in zip(counts, truth["annotations"], strict=True):
        assert count == sum(visibility > 0 for visibility in annotation["keypoints"][2::3])
