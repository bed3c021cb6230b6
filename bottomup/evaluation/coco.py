"""Average precision and recall of keypoints, as COCO defines them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from bottomup.dataset import GroundTruth
from bottomup.evaluation.backend import accumulated
from bottomup.evaluation.matched import Matched, matched
from bottomup.evaluation.oks import match
from bottomup.evaluation.records import read_records
from bottomup.evaluation.single_keypoints import keypoint_precisions
from bottomup.skeletons import Skeleton
from bottomup.types import Prediction

MetricTable = dict[str, tuple[str, float | None, str]]  # name -> (which of COCOeval's tables, threshold or all ten, area range)

KEYPOINT_METRICS: MetricTable = {
    "AP": ("precision", None, "all"),
    "AP50": ("precision", 0.5, "all"),
    "AP75": ("precision", 0.75, "all"),
    "APM": ("precision", None, "medium"),
    "APL": ("precision", None, "large"),
    "AR": ("recall", None, "all"),
    "AR50": ("recall", 0.5, "all"),
    "AR75": ("recall", 0.75, "all"),
    "ARM": ("recall", None, "medium"),
    "ARL": ("recall", None, "large"),
}


def evaluate_keypoints(
    predictions: Iterable[Prediction], ground_truth: GroundTruth, skeleton: Skeleton, max_people: int = 20
) -> dict[str, float]:
    """COCO's ten keypoint metrics, in [0, 1]: AP, AP50, AP75, APM, APL, AR, AR50, AR75, ARM, ARL.

    ``predictions`` are in image px, each with its ``image_id``; ``ground_truth`` is a COCO dictionary, and every image it
    lists counts, predicted or not (see ``records.subset``). OKS uses the skeleton's sigmas and the annotated areas. Of each
    image the ``max_people`` best instances count. APM and the like are over people of 32² to 96² px², APL of more; an
    unmatched instance falls under them by the area of its box. A metric over a range without annotated people is NaN:
    undefined, not zero (null in JSON, see ``report.write_metrics``). Raises DataError as ``records.read_records`` does.

    Source: COCO's keypoint evaluation, by hotcoco or pycocotools, but for ``summarize``, which knows only 20 people per image.
    """
    evaluation = match(read_records(predictions, ground_truth, skeleton), skeleton.sigmas, max_people)
    return read_metrics(accumulated(evaluation), KEYPOINT_METRICS)


def read_metrics(evaluation: Any, table: MetricTable) -> dict[str, float]:
    """The metrics of an accumulated COCOeval of one category and one limit, for the area ranges that it has."""
    known = list(evaluation.params.areaRngLbl)
    return {
        name: _mean(evaluation, kind, threshold, known.index(area))
        for name, (kind, threshold, area) in table.items()
        if area in known
    }


def keypoint_ap(
    predictions: Iterable[Prediction], ground_truth: GroundTruth, skeleton: Skeleton, max_people: int = 20
) -> dict[str, float]:
    """The AP of each keypoint alone: keypoint name -> AP as if the skeleton had no other keypoint.

    People whose keypoint is not labelled are ignored, instances that did not find it do not count, and instances are ranked
    by their score as a whole. NaN where nobody's is labelled. Arguments and errors as of ``evaluate_keypoints``.
    """
    return keypoint_ap_of(matched(read_records(predictions, ground_truth, skeleton), skeleton.sigmas, max_people), skeleton)


def keypoint_ap_of(found: Matched, skeleton: Skeleton) -> dict[str, float]:
    """``keypoint_ap`` of people who were matched."""
    return dict(zip(skeleton.keypoints, keypoint_precisions(found), strict=True))


def _mean(evaluation: Any, table: str, threshold: float | None, area: int) -> float:
    values = np.asarray(evaluation.eval[table])[..., 0, area, 0]  # (thresholds, recalls) or (thresholds,): one category, one limit
    if threshold is not None:
        values = values[np.isclose(evaluation.params.iouThrs, threshold)]
    defined = values[values > -1]  # -1 stands for nobody to find
    return float(defined.mean()) if defined.size else float("nan")
