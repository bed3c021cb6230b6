"""Matching instances to people by OKS, as COCO does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from bottomup.dataset import GroundTruth
from bottomup.evaluation.backend import evaluated
from bottomup.evaluation.columns import AREAS
from bottomup.evaluation.matched import THRESHOLDS, Matched, matched
from bottomup.evaluation.records import Records, read_records, uncollected
from bottomup.skeletons import Skeleton
from bottomup.types import Prediction


@uncollected()
def match(
    records: Records,
    sigmas: Sequence[float],
    max_people: int,
    thresholds: Sequence[float] = THRESHOLDS,
    areas: Sequence[str] = tuple(AREAS),
) -> Any:
    """Match instances to people, greedily by score, at OKS ``thresholds`` (default COCO's ten, 0.5 to 0.95).

    Of each image the ``max_people`` best instances count. Crowds and people without keypoints are ignored: who matches one
    is neither right nor wrong. The result is evaluated, not yet accumulated.
    """
    sides = (side.records(records.image_ids) for side in (records.people, records.instances))  # one after the other: they are large
    return evaluated(
        records.image_ids,
        sides,
        "keypoints",
        areaRng=[list(AREAS[area]) for area in areas],
        areaRngLbl=list(areas),
        kpt_oks_sigmas=np.asarray(sigmas, dtype=np.float64),
        maxDets=[max_people],
        iouThrs=np.asarray(thresholds, dtype=np.float64),
    )


def per_image_oks(
    predictions: Iterable[Prediction], ground_truth: GroundTruth, skeleton: Skeleton, max_people: int = 20
) -> dict[int, float]:
    """The mean OKS of each image's people with their instances, 0 for a person without one; to pick images to draw.

    An instance serves one person: the assignment is the best of the whole image. Images without annotated people are absent.
    """
    records = read_records(predictions, ground_truth, skeleton)
    return per_image_oks_of(records, matched(records, skeleton.sigmas, max_people))


def per_image_oks_of(records: Records, found: Matched) -> dict[int, float]:
    """``per_image_oks`` of people who were matched."""
    return {records.image_ids[place]: mean for place, mean in found.oks.items()}
