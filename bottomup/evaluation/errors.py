"""What kinds of error keypoints and instances have."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from bottomup.dataset import GroundTruth
from bottomup.evaluation.columns import Flags, Floats, Indices, People, Side
from bottomup.evaluation.matched import APART, NOBODY, Matched, matched
from bottomup.evaluation.pairs import neighbours
from bottomup.evaluation.records import read_records
from bottomup.skeletons import Skeleton
from bottomup.types import Prediction

KINDS = ("good", "jitter", "inversion", "swap", "miss")

_NEAR = 0.5  # keypoint similarity from which a keypoint lies on an annotated one
_EXACT = 0.85  # keypoint similarity from which annotators disagree as much
_TOGETHER = 1 << 14  # pairs that are looked at at once: few of them are near


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
    return breakdown_of(matched(read_records(predictions, ground_truth, skeleton), skeleton.sigmas, max_people), skeleton)


def breakdown_of(found: Matched, skeleton: Skeleton) -> dict[str, float]:
    """``breakdown`` of people who were matched."""
    counts = np.bincount(_kinds(found, skeleton), minlength=len(KINDS))
    fractions = {name: _ratio(count, counts.sum()) for name, count in zip(KINDS, counts, strict=True)}
    people = ~found.people.ignored
    missed = np.delete(people, found.person[found.person >= 0])
    return fractions | {
        "false_positives": _ratio((found.person == NOBODY).sum(), (found.person != APART).sum()),
        "false_negatives": _ratio(missed.sum(), people.sum()),
    }


def _kinds(found: Matched, skeleton: Skeleton) -> NDArray[np.int64]:
    """The kind, an index into KINDS, of every labelled keypoint of every matched person."""
    chosen, posed = np.flatnonzero(found.person >= 0), ~found.people.ignored
    instances, there, people = found.found[chosen], found.there[:, chosen], found.people[posed]
    whose = (np.cumsum(posed) - 1)[found.person[chosen]]  # (P,)
    labelled, apart = people.labelled.T, _Apart(instances, people, skeleton)
    close = _Close(instances, there, people, apart.far)
    kinds = [np.zeros(0, np.int64)]
    for instance, person in neighbours(instances, people, _TOGETHER):
        own = np.arange(instance[0], instance[-1] + 1)  # each is in a pair with its own person at least
        nearest = np.full((3, len(there), len(own)), np.inf)
        nearest[:2] = apart.of(own, whose[own])
        near, theirs = close.among(instance, person)
        first = np.flatnonzero(np.diff(near, prepend=-1))
        if len(first):
            anybody = np.minimum(*apart.of(near, theirs))  # the matched person too, but an earlier row is as near
            nearest[2][:, near[first] - own[0]] = np.minimum.reduceat(anybody, first, axis=1)
        nearest[:, ~there[:, own]] = np.inf
        kinds.append(_classify(nearest)[labelled[:, whose[own]]])
    return np.concatenate(kinds)


class _Apart:
    """How far keypoints of instances lie from those of people: the exponents of their similarity, infinite from unlabelled ones."""

    def __init__(self, instances: Side, people: People, skeleton: Skeleton) -> None:
        self._found, self._flipped = instances.axes, list(skeleton.flip_order)
        self._people = tuple(np.where(people.labelled.T, axis, np.inf) for axis in people.axes)
        areas = people.areas + np.spacing(1)
        self._scales = 2 * areas * np.square(2 * np.array(skeleton.sigmas))[:, None]  # (K, N) px²
        self.far = np.sqrt(self._scales.max(0) * -np.log(_NEAR))  # (N,) px from which on nothing is near

    def of(self, instance: Indices, person: Indices) -> Floats:
        """(2, K, pairs) from the same and from the mirrored keypoint, in the scale of the same."""
        total = np.zeros((2, len(self._scales), len(instance)))
        for found, annotated in zip(self._found, self._people, strict=True):
            place = np.take(annotated, person, axis=1)
            apart = np.stack((place, place[self._flipped])) - np.take(found, instance, axis=1)
            total += np.square(apart, out=apart)
        total /= np.take(self._scales, person, axis=1)
        return total


class _Close:
    """Which people have any keypoint near one of an instance, as far as the boxes around them tell."""

    def __init__(self, instances: Side, there: Flags, people: People, far: Floats) -> None:
        spans = [_spans(side, own) for side, own in ((instances, there), (people, people.labelled.T))]
        self._found, self._people = spans[0], [(low - far, high + far) for low, high in spans[1]]

    def among(self, instance: Indices, person: Indices) -> tuple[Indices, Indices]:
        """Those of some pairs."""
        near = np.ones(len(instance), bool)
        for (low, high), (least, most) in zip(self._found, self._people, strict=True):
            near &= (low[instance] <= most[person]) & (high[instance] >= least[person])
        return instance[near], person[near]


def _spans(side: Side, there: Flags) -> list[tuple[Floats, Floats]]:
    """The least and the greatest x, and y, of the keypoints that are there."""
    return [(np.where(there, axis, np.inf).min(0), np.where(there, axis, -np.inf).max(0)) for axis in side.axes]


def _classify(nearest: Floats) -> NDArray[np.int64]:
    """Exponents (3, K, P) of the similarity to the own, the own mirrored and anybody's keypoint -> indices (K, P) into KINDS."""
    best, where = np.exp(-nearest.min(0)), nearest.argmin(0)  # the first of equals
    own = np.where(best >= _EXACT, KINDS.index("good"), KINDS.index("jitter"))
    foreign = np.where(where == 1, KINDS.index("inversion"), KINDS.index("swap"))
    return np.where(best < _NEAR, KINDS.index("miss"), np.where(where == 0, own, foreign))


def _ratio(count: int, total: int) -> float:
    return float(count / total) if total else float("nan")
