"""What kinds of error keypoints and instances have."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bottomup.dataset import GroundTruth, Record
from bottomup.evaluation.oks import match
from bottomup.evaluation.records import Records, ignored, read_records, uncollected
from bottomup.evaluation.single_keypoints import Indices, Side, extent, neighbours
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


@uncollected()
def breakdown_of(records: Records, skeleton: Skeleton, max_people: int) -> dict[str, float]:
    """``breakdown`` of records."""
    evaluation = match(records, skeleton.sigmas, max_people, thresholds=(_MATCH,), areas=("all",))
    images = [image for image in evaluation.evalImgs if image is not None]  # of hotcoco each look makes them anew
    counts = np.bincount(_kinds(records, _pairs(images), skeleton), minlength=len(KINDS))
    fractions = {name: _ratio(count, counts.sum()) for name, count in zip(KINDS, counts, strict=True)}
    return fractions | _unmatched(images)


def _pairs(images: Sequence[Any]) -> dict[int, int]:
    """Instance id -> person id, of the matches that count."""
    return {
        instance: int(person)
        for image in images
        for instance, person, skip in zip(image["dtIds"], image["dtMatches"][0], image["dtIgnore"][0], strict=True)
        if person and not skip
    }


def _unmatched(images: Sequence[Any]) -> dict[str, float]:
    fractions = {}
    for name, side in (("false_positives", "dt"), ("false_negatives", "gt")):
        both = [[np.ravel(image[f"{side}{what}"]) for what in ("Matches", "Ignore")] for image in images]
        alone = [(matches == 0)[left_out == 0] for matches, left_out in both]
        flags = np.concatenate(alone) if alone else np.zeros(0, dtype=bool)
        fractions[name] = _ratio(flags.sum(), flags.size)
    return fractions


def _kinds(records: Records, pairs: Mapping[int, int], skeleton: Skeleton) -> NDArray[np.int64]:
    """The kind, an index into KINDS, of every labelled keypoint of every matched person."""
    places = {image_id: place for place, image_id in enumerate(records.image_ids)}
    person_index, person_image = _by_image(records.people, places, lambda person: not ignored(person))
    instance_index, instance_image = _by_image(records.instances, places, lambda instance: instance["id"] in pairs)
    people = [records.people[index] for index in person_index.tolist()]
    found = Side.of(records.found[instance_index], instance_image, len(skeleton), visible=False)
    truth = Side.of(records.annotated[person_index], person_image, len(skeleton), visible=True)
    order = {person["id"]: index for index, person in enumerate(people)}
    matched = np.array([order[pairs[records.instances[index]["id"]]] for index in instance_index.tolist()], np.int64)  # (P,)
    areas = np.array([person["area"] for person in people], np.float64) + np.spacing(1)
    scales = 2 * areas[:, None] * (2 * np.array(skeleton.sigmas)) ** 2  # (N, K) px²
    points = np.where(truth.labelled[..., None], truth.points, np.inf)
    nearest = [np.zeros((3, 0, len(skeleton)))]
    (low, high), (near_low, near_high) = extent(found), extent(truth)
    far = np.sqrt(scales.max(1, initial=0.0) * -np.log(_NEAR))[:, None]  # from which on nothing is near
    near_low, near_high = near_low - far, near_high + far
    for instance, person in neighbours(found.image, truth.image):
        near = ((low[instance] <= near_high[person]) & (high[instance] >= near_low[person])).all(1)
        near |= person == matched[instance]
        instance, person = instance[near], person[near]
        own = _distances(found.points[instance], points[person], scales[person])
        mirrored = _distances(found.points[instance], points[person][:, skeleton.flip_order], scales[person])
        mine = person == matched[instance]
        first = np.flatnonzero(np.diff(instance, prepend=-1))
        anybody = np.minimum.reduceat(np.minimum(own, mirrored), first)  # the matched person too, but an earlier row is as near
        nearest.append(np.stack((own[mine], mirrored[mine], anybody)))
    similarity = np.where(found.labelled, np.exp(-np.concatenate(nearest, axis=1)), 0.0)
    return _classify(similarity)[truth.labelled[matched]]


def _by_image(records: list[Record], places: Mapping[int, int], wanted: Callable[[Record], bool]) -> tuple[Indices, Indices]:
    """Indices of the records that are ``wanted``, image by image, and the places of their images."""
    index = np.array([place for place, record in enumerate(records) if wanted(record)], np.int64)
    image = np.array([places[records[place]["image_id"]] for place in index.tolist()], np.int64)
    order = np.argsort(image, kind="stable")
    return index[order], image[order]


def _classify(nearest: Floats) -> NDArray[np.int64]:
    """Similarities (3, P, K) to the own, the own mirrored and anybody's keypoint -> indices (P, K) into KINDS."""
    best, where = nearest.max(0), nearest.argmax(0)  # the first of equals
    own = np.where(best >= _EXACT, KINDS.index("good"), KINDS.index("jitter"))
    foreign = np.where(where == 1, KINDS.index("inversion"), KINDS.index("swap"))
    return np.where(best < _NEAR, KINDS.index("miss"), np.where(where == 0, own, foreign))


def _distances(found: Floats, truth: Floats, scales: Floats) -> Floats:
    """How far points (pairs, K, 2) lie apart: the exponents (pairs, K) of their keypoint similarity."""
    apart = found - truth
    np.square(apart, out=apart)
    distance = apart[..., 0] + apart[..., 1]
    return np.divide(distance, scales, out=distance)


def _ratio(count: int, total: int) -> float:
    return float(count / total) if total else float("nan")
