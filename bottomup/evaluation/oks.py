"""Matching instances to people by OKS, through pycocotools."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from scipy.optimize import linear_sum_assignment

from bottomup.dataset import GroundTruth, Record
from bottomup.evaluation.records import CATEGORY, Records, by_image, ignored, read_records
from bottomup.skeletons import Skeleton
from bottomup.types import Prediction

AREAS = ("all", "medium", "large")


def match(
    records: Records,
    sigmas: Sequence[float],
    max_people: int,
    thresholds: Sequence[float] | None = None,
    areas: Sequence[str] = AREAS,
) -> COCOeval:
    """Match instances to people, greedily by score, at OKS ``thresholds`` (default COCO's ten, 0.5 to 0.95).

    Of each image the ``max_people`` best instances count. Crowds and people without keypoints are ignored: who matches one
    is neither right nor wrong. The result is evaluated, not yet accumulated.
    """
    with silence():
        images = [{"id": image_id} for image_id in records.image_ids]
        evaluation = COCOeval(indexed(images, records.people), indexed(images, records.instances), "keypoints")
        params = evaluation.params
        chosen = [params.areaRngLbl.index(area) for area in areas]
        params.areaRng, params.areaRngLbl = [params.areaRng[index] for index in chosen], list(areas)
        params.kpt_oks_sigmas = np.asarray(sigmas, dtype=np.float64)
        params.maxDets = [max_people]
        if thresholds is not None:
            params.iouThrs = np.asarray(thresholds, dtype=np.float64)
        evaluation.evaluate()
    return evaluation


def per_image_oks(
    predictions: Iterable[Prediction], ground_truth: GroundTruth, skeleton: Skeleton, max_people: int = 20
) -> dict[int, float]:
    """The mean OKS of each image's people with their instances, 0 for a person without one; to pick images to draw.

    An instance serves one person: the assignment is the best of the whole image. Images without annotated people are absent.
    """
    records = read_records(predictions, ground_truth, skeleton)
    similarity = match(records, skeleton.sigmas, max_people, thresholds=(0.5,), areas=("all",)).ious  # whatever the threshold
    means = {}
    for image_id, people in by_image(records.people).items():
        counted = np.array([not ignored(person) for person in people])
        if counted.any():
            means[image_id] = mean_assigned(np.asarray(similarity[image_id, CATEGORY]), counted)
    return means


def silence() -> contextlib.redirect_stdout[io.StringIO]:
    """Swallow what pycocotools prints."""
    return contextlib.redirect_stdout(io.StringIO())


def mean_assigned(similarity: NDArray[np.float64], counted: NDArray[np.bool_]) -> float:
    """The mean similarity (P, Q) of those of Q people that are ``counted`` (Q,) with their instances, 0 for one without."""
    if similarity.size == 0:
        return 0.0
    similarity = similarity[:, counted]  # (P, people that count)
    rows, columns = linear_sum_assignment(similarity, maximize=True)
    return float(similarity[rows, columns].sum() / similarity.shape[1])


def indexed(images: Iterable[Record], annotations: Iterable[Record]) -> COCO:
    """Index copies of records: pycocotools writes into what it is given, and its loadRes fails on no results."""
    coco = COCO()
    coco.dataset = {
        "images": [dict(image) for image in images],
        "annotations": [dict(annotation) for annotation in annotations],
        "categories": [{"id": CATEGORY}],
    }
    coco.createIndex()
    return coco
