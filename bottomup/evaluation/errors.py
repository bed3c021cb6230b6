"""What kinds of error keypoints and instances have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bottomup.dataset import GroundTruth, Record
from bottomup.evaluation.oks import match
from bottomup.evaluation.records import Records, by_image, ignored, read_records
from bottomup.skeletons import Skeleton
from bottomup.types import Prediction

KINDS = ("good", "jitter", "inversion", "swap", "miss")

_MATCH = 0.1  # OKS from which an instance is a faulty find of a person and not a false positive
_NEAR = 0.5  # keypoint similarity from which a keypoint lies on an annotated one
_EXACT = 0.85  # keypoint similarity from which annotators disagree as much

Floats = NDArray[np.float64]


def breakdown(
    predictions: Iterable[Prediction], ground_truth: GroundTruth, skeleton: Skeleton, max_people: int = 20
) -> dict[str, float]:
    """What became of the labelled keypoints of matched people, and who was matched with nobody; all fractions in [0, 1].

    Instances are matched to people as COCO does, at OKS 0.1. Each predicted keypoint is then compared with the same and the
    mirrored keypoint of every person in the image by the keypoint similarity ks = exp(-d² / (2 s² (2 sigma)²)), where d is
    the distance in px, s² the annotated person's area and sigma the predicted keypoint's; the nearest (highest ks) decides:

    * ``good``: nearest its own place, ks >= 0.85; ``jitter``: nearest its own place, 0.5 <= ks < 0.85;
    * ``inversion``: nearest the mirrored keypoint of the same person, ks >= 0.5;
    * ``swap``: nearest the same or the mirrored keypoint of another person, ks >= 0.5;
    * ``miss``: not found, or ks < 0.5 everywhere.

    These five sum to 1. ``false_positives`` is the fraction of instances matched to nobody, ``false_negatives`` the fraction
    of people matched by nobody. Crowds and people without keypoints count nowhere. NaN where there is nothing to count.
    Arguments and errors as of ``evaluate_keypoints``.

    Source: Ronchi and Perona, Benchmarking and Error Diagnosis in Multi-Instance Pose Estimation, ICCV 2017, §3; where
    several of its definitions hold at once, the nearest decides, as in the authors' published analysis.
    """
    return breakdown_of(read_records(predictions, ground_truth, skeleton), skeleton, max_people)


def breakdown_of(records: Records, skeleton: Skeleton, max_people: int) -> dict[str, float]:
    """``breakdown`` of records."""
    evaluation = match(records, skeleton.sigmas, max_people, thresholds=(_MATCH,), areas=("all",))
    counts = np.bincount(_kinds(records, _pairs(evaluation), skeleton), minlength=len(KINDS))
    fractions = {name: _ratio(count, counts.sum()) for name, count in zip(KINDS, counts, strict=True)}
    return fractions | _unmatched(evaluation)


def _pairs(evaluation: Any) -> dict[int, int]:
    """Instance id -> person id, of the matches that count."""
    return {
        instance: int(person)
        for image in evaluation.evalImgs
        if image is not None
        for instance, person, skip in zip(image["dtIds"], image["dtMatches"][0], image["dtIgnore"][0], strict=True)
        if person and not skip
    }


def _unmatched(evaluation: Any) -> dict[str, float]:
    images = [image for image in evaluation.evalImgs if image is not None]
    fractions = {}
    for name, side in (("false_positives", "dt"), ("false_negatives", "gt")):
        both = [[np.ravel(image[f"{side}{what}"]) for what in ("Matches", "Ignore")] for image in images]
        alone = [(matches == 0)[left_out == 0] for matches, left_out in both]
        flags = np.concatenate(alone) if alone else np.zeros(0, dtype=bool)
        fractions[name] = _ratio(flags.sum(), flags.size)
    return fractions


def _kinds(records: Records, pairs: Mapping[int, int], skeleton: Skeleton) -> NDArray[np.int64]:
    """The kind, an index into KINDS, of every labelled keypoint of every matched person."""
    people = by_image(person for person in records.people if not ignored(person))
    instances = by_image(instance for instance in records.instances if instance["id"] in pairs)
    kinds = [_kinds_of_image(group, people[image_id], pairs, skeleton) for image_id, group in instances.items()]
    return np.concatenate([np.zeros(0, dtype=np.int64), *kinds])


def _kinds_of_image(
    instances: list[Record], people: list[Record], pairs: Mapping[int, int], skeleton: Skeleton
) -> NDArray[np.int64]:
    truth, found = _keypoints(people), _keypoints(instances)  # (N, K, 3), (P, K, 3)
    areas, sigmas = np.array([person["area"] for person in people], dtype=np.float64), np.array(skeleton.sigmas)
    similarity = _similarity(found, truth, areas, sigmas)  # (P, N, K)
    mirrored = _similarity(found, truth[:, skeleton.flip_order], areas, sigmas)
    order = {person["id"]: index for index, person in enumerate(people)}
    matched = np.array([order[pairs[instance["id"]]] for instance in instances])  # (P,)
    rows = np.arange(len(instances))
    anybody = np.maximum(similarity, mirrored).max(1)  # the matched person too, but then an earlier entry is as near
    nearest = np.stack((similarity[rows, matched], mirrored[rows, matched], anybody))  # (3, P, K)
    return _classify(nearest)[truth[matched, :, 2] > 0]


def _classify(nearest: Floats) -> NDArray[np.int64]:
    """Similarities (3, P, K) to the own, the own mirrored and anybody's keypoint -> indices (P, K) into KINDS."""
    best, where = nearest.max(0), nearest.argmax(0)  # the first of equals
    own = np.where(best >= _EXACT, KINDS.index("good"), KINDS.index("jitter"))
    foreign = np.where(where == 1, KINDS.index("inversion"), KINDS.index("swap"))
    return np.where(best < _NEAR, KINDS.index("miss"), np.where(where == 0, own, foreign))


def _similarity(found: Floats, truth: Floats, areas: Floats, sigmas: Floats) -> Floats:
    """Keypoint similarity (P, N, K); 0 where the keypoint is not found or not labelled."""
    x, y = (np.subtract(found[:, None, :, axis], truth[None, :, :, axis]) for axis in (0, 1))
    squared = np.square(x, out=x) + np.square(y, out=y)
    scale = 2 * (areas[:, None] + np.spacing(1)) * (2 * sigmas) ** 2  # (N, K) px²
    exists = np.any(found, axis=-1)[:, None] & (truth[..., 2] > 0)  # not found is written 0, 0, 0
    return np.where(exists, np.exp(-squared / scale), 0.0)


def _keypoints(records: list[Record]) -> Floats:
    return np.array([record["keypoints"] for record in records], dtype=np.float64).reshape(len(records), -1, 3)


def _ratio(count: int, total: int) -> float:
    return float(count / total) if total else float("nan")
