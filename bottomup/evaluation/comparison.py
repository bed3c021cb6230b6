"""Predicted people beside annotated ones, for whoever wants several figures of them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

from bottomup.dataset import GroundTruth
from bottomup.evaluation.backend import accumulated
from bottomup.evaluation.coco import KEYPOINT_METRICS, keypoint_ap_of, read_metrics
from bottomup.evaluation.errors import breakdown_of
from bottomup.evaluation.matched import Matched, matched
from bottomup.evaluation.oks import match, per_image_oks_of
from bottomup.evaluation.precision_recall import PrecisionRecall, curves_of
from bottomup.evaluation.records import read_records
from bottomup.skeletons import Skeleton
from bottomup.types import Prediction


class Comparison:
    """All figures of poses: people are read once, and matched once by COCO's evaluation and once keypoint by keypoint.

    What no figure was asked of is not computed. Arguments and errors as of ``evaluation.coco.evaluate_keypoints``.
    """

    def __init__(
        self, predictions: Iterable[Prediction], ground_truth: GroundTruth, skeleton: Skeleton, max_people: int = 20
    ) -> None:
        self._skeleton, self._max_people = skeleton, max_people
        self._records = read_records(predictions, ground_truth, skeleton)

    @cached_property
    def _coco(self) -> Any:
        return accumulated(match(self._records, self._skeleton.sigmas, self._max_people))

    @cached_property
    def _matched(self) -> Matched:
        return matched(self._records, self._skeleton.sigmas, self._max_people)

    def metrics(self) -> dict[str, float]:
        """As ``evaluation.coco.evaluate_keypoints``."""
        return read_metrics(self._coco, KEYPOINT_METRICS)

    def curves(self) -> PrecisionRecall:
        """As ``evaluation.precision_recall.keypoint_curves``."""
        return curves_of(self._coco)

    def keypoint_ap(self) -> dict[str, float]:
        """As ``evaluation.coco.keypoint_ap``."""
        return keypoint_ap_of(self._matched, self._skeleton)

    def breakdown(self) -> dict[str, float]:
        """As ``evaluation.errors.breakdown``."""
        return breakdown_of(self._matched, self._skeleton)

    def per_image_oks(self) -> dict[int, float]:
        """As ``evaluation.oks.per_image_oks``."""
        return per_image_oks_of(self._records, self._matched)
