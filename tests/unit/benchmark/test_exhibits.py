"""Exhibits hold everybody, with what says who of them is worth showing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import torch

from bottomup.benchmark.exhibits import catalogue, described
from bottomup.ops.shown import shown
from bottomup.report.page import page
from bottomup.report.rows import read_results
from bottomup.skeletons import COCO
from bottomup.thresholds import Thresholds
from bottomup.types import Instances, Prediction
from tests.unit.report.results import row, show, written
from tests.unit.report.test_page import data_of

THRESHOLDS = Thresholds(score=0.3, keypoint=0.25, alike=0.5)


def people() -> Instances:
    """Two people, the first found twice, the second of a low score; one keypoint of everybody's was not found."""
    points = torch.rand(2, 17, 2, generator=torch.Generator().manual_seed(0)) * 40 + torch.tensor((0.0, 50.0))[:, None, None]
    points[:, 3] = torch.nan
    scores = torch.full((2, 17), 0.2)
    scores[:, 3] = 0.0
    found = Instances.of_keypoints(points[[0, 0, 1]], scores[[0, 0, 1]], torch.tensor([0.9, 0.8, 0.1]))
    return replace(found, keypoint_presence=torch.where(found.keypoint_scores > 0, 0.75, 0.0))


def test_exhibits_say_of_everybody_whether_a_better_one_is_the_same() -> None:
    told = described(Prediction(people(), (100, 100)), THRESHOLDS, COCO)["people"]
    assert [person["again"] for person in told] == [False, True, False]
    assert all(person["keypoints"][3] is None and person["keypoints"][0][2] == 0.75 for person in told)
    shown_here = [person["score"] for person in told if person["score"] >= THRESHOLDS.score and not person["again"]]
    as_predicted = shown(Prediction(people(), (100, 100)), THRESHOLDS, COCO.sigmas).instances.scores
    torch.testing.assert_close(torch.tensor(shown_here), as_predicted)


def test_the_page_has_the_thresholds_of_each_decoder_and_none_of_results_that_have_none(tmp_path: Path) -> None:
    written(tmp_path, [row("new"), row("old")])
    for name in ("new", "old"):
        show(tmp_path / name, 100)
    exhibits = tmp_path / "new" / "exhibits.json"
    images = json.loads(exhibits.read_text())["images"]
    exhibits.write_text(json.dumps(catalogue(COCO, THRESHOLDS, images)))
    new, old = data_of(page(read_results([tmp_path]), "title"))["exhibits"]
    assert new["thresholds"] == {"score": 0.3, "keypoint": 0.25, "alike": 0.5} and old["thresholds"] == {}
