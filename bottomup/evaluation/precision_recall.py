"""Precision against recall of keypoints, at each OKS and over each range of sizes, as COCO's evaluation has them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bottomup.dataset import GroundTruth
from bottomup.evaluation.backend import accumulated
from bottomup.evaluation.columns import AREAS
from bottomup.evaluation.oks import match
from bottomup.evaluation.records import read_records
from bottomup.skeletons import Skeleton
from bottomup.types import Prediction


@dataclass(frozen=True)
class PrecisionRecall:
    """Curves at T thresholds of OKS, read at R evenly spaced recalls; the mean of one is the AP at that threshold."""

    thresholds: NDArray[np.float64]  # (T,)
    recalls: NDArray[np.float64]  # (R,)
    precision: dict[str, NDArray[np.float64]]  # "all", "medium", "large" -> (T, R); NaN where nobody is of that size

    def ap(self, area: str) -> NDArray[np.float64]:
        """(T,) the AP at each threshold, NaN where nobody is of that size."""
        return np.asarray(self.precision[area].mean(1))

    def plain(self) -> dict[str, object]:
        """As plain data, thresholds as text: ``{"recall": [...], "all": {"0.50": [...]}}``."""
        curves = {
            area: {f"{threshold:.2f}": row.tolist() for threshold, row in zip(self.thresholds, rows, strict=True)}
            for area, rows in self.precision.items()
        }
        return {"recall": self.recalls.round(4).tolist(), **curves}


def keypoint_curves(
    predictions: Iterable[Prediction], ground_truth: GroundTruth, skeleton: Skeleton, max_people: int = 20
) -> PrecisionRecall:
    """The curves whose means are the metrics of ``evaluation.coco.evaluate_keypoints``, with its arguments and errors.

    The precision at a recall is the best at that one or a higher one, 0 beyond the last that is reached.
    """
    return curves_of(accumulated(match(read_records(predictions, ground_truth, skeleton), skeleton.sigmas, max_people)))


def curves_of(evaluation: Any) -> PrecisionRecall:
    """``keypoint_curves`` of an accumulated COCOeval."""
    precision = evaluation.eval["precision"][:, :, 0, :, 0]  # (T, R, areas): one category, one limit
    precision = np.where(precision < 0, np.nan, precision)  # -1 stands for nobody to find
    return PrecisionRecall(
        np.asarray(evaluation.params.iouThrs, np.float64),
        np.asarray(evaluation.params.recThrs, np.float64),
        {area: np.asarray(precision[:, :, place], np.float64) for place, area in enumerate(AREAS)},
    )
