"""Precision-recall curves are those whose means are COCO's figures."""

from __future__ import annotations

import numpy as np
import pytest

from bottomup.dataset import GroundTruth
from bottomup.evaluation.coco import evaluate_keypoints
from bottomup.evaluation.precision_recall import keypoint_curves
from bottomup.report.curves import draw_precision_recall
from bottomup.skeletons import COCO
from bottomup.types import Prediction
from tests.unit.evaluation.scenes import poses, predict, scene

AREAS = {"all": "", "medium": "M", "large": "L"}


def inexact() -> tuple[list[Prediction], GroundTruth]:
    """People whose keypoints are found some px off, some of them nowhere near."""
    truth, rng = scene(images=6), np.random.default_rng(1)
    spread = {
        key: points + rng.normal(0, rng.choice([4, 9, 90], (len(points), 1, 1)), points.shape)
        for key, points in poses(truth).items()
    }
    return predict(spread), truth


def test_the_means_of_the_curves_are_the_figures() -> None:
    predictions, truth = inexact()
    metrics, curves = evaluate_keypoints(predictions, truth, COCO), keypoint_curves(predictions, truth, COCO)
    assert 0 < metrics["AP"] < 1
    for area, name in AREAS.items():
        assert np.mean(curves.ap(area)) == pytest.approx(metrics[f"AP{name}"], nan_ok=True)
        falling = curves.precision[area]
        if not np.isnan(falling).any():
            assert (np.diff(falling, axis=1) <= 1e-12).all() and (
                np.diff(falling.mean(1)) <= 1e-12
            ).all()  # and a higher OKS is harder
    at = dict(zip(curves.thresholds.round(2).tolist(), curves.ap("all").tolist(), strict=True))
    assert (at[0.5], at[0.75]) == (pytest.approx(metrics["AP50"]), pytest.approx(metrics["AP75"]))


def test_the_picture_has_a_panel_for_each_range_and_a_line_for_each_oks() -> None:
    predictions, truth = inexact()
    curves = keypoint_curves(predictions, truth, COCO)
    svg = draw_precision_recall(curves)
    shown = [area for area in AREAS if not np.isnan(curves.precision[area]).all()]
    for area in shown:
        assert f"{area}, AP {np.mean(curves.ap(area)):.3f}" in svg
    assert svg.count("0.95: ") == len(shown) and svg == draw_precision_recall(curves)
    plain = curves.plain()
    assert len(plain["recall"]) == 101 and plain["all"].keys() >= {"0.50", "0.95"}  # type: ignore[arg-type, attr-defined]
