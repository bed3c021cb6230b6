"""Matching instances to people by OKS."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from bottomup.dataset import GroundTruth, Record
from bottomup.evaluation.backend import compared, silence
from bottomup.evaluation.records import Records, by_image, ignored, read_records
from bottomup.skeletons import Skeleton
from bottomup.types import Prediction

AREAS = ("all", "medium", "large")


def match(
    records: Records,
    sigmas: Sequence[float],
    max_people: int,
    thresholds: Sequence[float] | None = None,
    areas: Sequence[str] = AREAS,
) -> Any:
    """Match instances to people, greedily by score, at OKS ``thresholds`` (default COCO's ten, 0.5 to 0.95).

    Of each image the ``max_people`` best instances count. Crowds and people without keypoints are ignored: who matches one
    is neither right nor wrong. The result is evaluated, not yet accumulated.
    """
    with silence():
        evaluation = compared(records.image_ids, records.people, records.instances, "keypoints")
        params = evaluation.params
        chosen = [list(params.areaRngLbl).index(area) for area in areas]
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
    found, sigmas = by_image(records.instances), np.array(skeleton.sigmas)
    means = {}
    for image_id, everybody in by_image(records.people).items():
        people = [person for person in everybody if not ignored(person)]
        if people:
            best = sorted(found.get(image_id, []), key=lambda instance: -instance["score"])[:max_people]
            means[image_id] = mean_assigned(_oks(best, people, sigmas), np.ones(len(people), bool))
    return means


def _oks(instances: list[Record], people: list[Record], sigmas: NDArray[np.float64]) -> NDArray[np.float64]:
    """COCO's similarity (P, N) of instances and people with labelled keypoints."""
    if not instances:
        return np.zeros((0, len(people)))
    found, truth = (
        np.array([one["keypoints"] for one in several], float).reshape(len(several), -1, 3) for several in (instances, people)
    )
    areas = np.array([person["area"] for person in people], float) + np.spacing(1)
    x, y = (found[:, None, :, axis] - truth[None, :, :, axis] for axis in (0, 1))
    far = np.square(x) + np.square(y)
    alike = np.exp(-far / (2 * np.square(2 * sigmas)) / areas[None, :, None])
    labelled = truth[None, :, :, 2] > 0
    return np.asarray((alike * labelled).sum(-1) / labelled.sum(-1))


def mean_assigned(similarity: NDArray[np.float64], counted: NDArray[np.bool_]) -> float:
    """The mean similarity (P, Q) of those of Q people that are ``counted`` (Q,) with their instances, 0 for one without."""
    if similarity.size == 0:
        return 0.0
    similarity = similarity[:, counted]  # (P, people that count)
    rows, columns = linear_sum_assignment(similarity, maximize=True)
    return float(similarity[rows, columns].sum() / similarity.shape[1])
