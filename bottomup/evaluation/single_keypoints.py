"""The AP of each keypoint alone, of all images and keypoints at once: COCO's evaluation as arrays of the pairs that may match.

A package that is given records would be given everybody once for each keypoint, which takes five times as long as this.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bottomup.dataset import Record
from bottomup.evaluation.records import Records

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Flags = NDArray[np.bool_]

_THRESHOLDS = np.linspace(0.5, 0.95, 10)
_RECALLS = np.linspace(0.0, 1.0, 101)
_CERTAIN = 1 - 1e-10  # the highest OKS that a match has to have, as rounding may leave less than 1
_FAR = 0.7  # exp(-.7) is an OKS below every threshold
_TOGETHER = 1 << 16  # pairs of which the similarities are computed at once


class Pairs(NamedTuple):
    """Instances and people of one image, and which keypoint may match, one entry each."""

    instance: Indices
    person: Indices
    keypoint: Indices
    oks: Floats


@dataclass(frozen=True)
class Side:
    """All instances, or all people, image by image."""

    image: Indices  # (N,) place of the image
    points: Floats  # (N, K, 2) px
    labelled: Flags  # (N, K): found, or annotated

    @classmethod
    def of(cls, numbers: Floats, image: Indices, keypoints: int, visible: bool) -> Side:
        """Of COCO's numbers (N, 3 K); a keypoint is there by its visibility or, if not ``visible``, by any of its numbers."""
        rows = numbers.reshape(len(image), keypoints, 3)
        return cls(image, rows[..., :2], np.asarray(rows[..., 2] > 0 if visible else rows.any(-1)))


def keypoint_precisions(records: Records, sigmas: Sequence[float], max_people: int) -> list[float]:
    """The AP of each of the K keypoints as if there were no other, NaN where nobody's is labelled.

    People whose keypoint is not labelled, whose ``num_keypoints`` is 0 and crowds are ignored: who matches one is neither right nor
    wrong. Of each image the ``max_people`` best instances that found the keypoint count.
    """
    places = {image_id: place for place, image_id in enumerate(records.image_ids)}
    scores = np.array([instance["score"] for instance in records.instances], np.float64)
    images = np.array([places[instance["image_id"]] for instance in records.instances], np.int64)
    order = np.lexsort((-scores, images))  # image by image, best first, equal ones as they stand
    found = Side.of(records.found[order], images[order], len(sigmas), visible=False)
    shown_in = np.array([places[person["image_id"]] for person in records.people], np.int64)
    people = np.argsort(shown_in, kind="stable")
    truth = Side.of(records.annotated[people], shown_in[people], len(sigmas), visible=True)
    crowd = np.array([person["iscrowd"] for person in records.people], bool)[people]
    nobody = np.array([person["num_keypoints"] == 0 for person in records.people], bool)[people]
    ignored = ~truth.labelled | (crowd | nobody)[:, None]  # (N, K)
    ranks = _ranks(found)
    found.labelled[ranks >= max_people] = False
    pairs = _pairs(found, truth, [records.people[place] for place in people.tolist()], np.array(sigmas))
    matched = _matched(pairs, ranks, ignored, crowd, found.labelled.shape)
    by_score = np.argsort(-scores[order], kind="stable")
    return [
        _average_precision(matched[by_score[found.labelled[by_score, k]], k], int((~ignored[:, k]).sum()))
        for k in range(len(sigmas))
    ]


def _ranks(found: Side) -> Indices:
    """(P, K) how many better instances of the same image found the keypoint."""
    before = np.cumsum(found.labelled, axis=0, dtype=np.int64) - found.labelled
    first = np.searchsorted(found.image, found.image)  # the best of the image
    return np.asarray(before - before[first] if len(first) else before)


def _pairs(found: Side, truth: Side, people: Sequence[Record], sigmas: Floats) -> Pairs:
    """Every instance's keypoint with those of the people in its image, where OKS comes to the least threshold."""
    boxes = np.array([person["bbox"] for person in people], np.float64).reshape(-1, 4)
    wide = np.concatenate((boxes[:, :2] - boxes[:, 2:], boxes[:, :2] + 2 * boxes[:, 2:]), axis=1)  # thrice as wide about it
    areas = np.array([person["area"] for person in people], np.float64) + np.spacing(1)
    variances = np.square(2 * sigmas)
    far = np.sqrt(2 * _FAR * variances.max() * areas)[:, None]
    low, high = extent(found)
    near_low, near_high = extent(truth)
    near_low, near_high = np.minimum(near_low, wide[:, :2]) - far, np.maximum(near_high, wide[:, 2:]) + far
    parts = []
    for instance, person in neighbours(found.image, truth.image):
        close = ((low[instance] <= near_high[person]) & (high[instance] >= near_low[person])).all(1)
        instance, person = instance[close], person[close]
        apart = found.points[instance] - truth.points[person]  # (pairs, K, 2)
        unknown, keypoint = np.nonzero(~truth.labelled[person])
        points, box = found.points[instance[unknown], keypoint], wide[person[unknown]]
        apart[unknown, keypoint] = np.maximum(box[:, :2] - points, 0) + np.maximum(points - box[:, 2:], 0)
        np.square(apart, out=apart)
        exponent = (apart[..., 0] + apart[..., 1]) / variances / areas[person, None] / 2
        near, keypoint = np.nonzero(found.labelled[instance] & (exponent < _FAR))
        oks = np.exp(-exponent[near, keypoint])
        parts.append(Pairs(instance[near], person[near], keypoint, oks))
    nothing = Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    return Pairs(*(np.concatenate(column) for column in zip(nothing, *parts, strict=True)))


def extent(side: Side) -> tuple[Floats, Floats]:
    """The least and the greatest x, y (N, 2) of the keypoints that are there."""
    there = side.labelled[..., None]
    return np.where(there, side.points, np.inf).min(1), np.where(there, side.points, -np.inf).max(1)


def neighbours(images: Indices, others: Indices) -> Iterator[tuple[Indices, Indices]]:
    """Indices of the two of each pair of one image, some thousands at a time; ``images`` and ``others`` ascend."""
    first, last = np.searchsorted(others, images), np.searchsorted(others, images, side="right")
    count = last - first
    ends = np.searchsorted(np.cumsum(count), np.arange(0, count.sum() + _TOGETHER, _TOGETHER), side="left")
    for start, stop in pairwise(np.unique(np.append(ends, len(images)))):
        own = count[start:stop]
        instance = np.repeat(np.arange(start, stop), own)
        yield instance, np.arange(own.sum()) - np.repeat(np.cumsum(own) - own, own) + np.repeat(first[start:stop], own)


def _matched(pairs: Pairs, ranks: Indices, ignored: Flags, crowd: Flags, shape: tuple[int, ...]) -> NDArray[np.int8]:
    """(P, K, thresholds): 1 right, 0 wrong, -1 neither; instances choose in the order of their ranks.

    Each takes the most similar person who is free, of equals the last, and an ignored one only where no other is near enough; a
    crowd is always free.
    """
    left_out = ignored[pairs.person, pairs.keypoint]
    rank = ranks[pairs.instance, pairs.keypoint]
    place = ((rank * shape[0] + pairs.instance) * shape[1] + pairs.keypoint) * 2 + left_out
    order = np.lexsort((-pairs.person, -pairs.oks, place))
    instance, person, keypoint, oks = (column[order] for column in pairs)
    rank, kind = rank[order], np.where(left_out[order], -1, 1).astype(np.int8)
    sought, chooser, shared = person * shape[1] + keypoint, instance * shape[1] + keypoint, crowd[person]
    taken = np.zeros((len(_THRESHOLDS), ignored.size), bool)
    outcome = np.zeros((len(_THRESHOLDS), shape[0] * shape[1]), np.int8)
    turns = np.searchsorted(rank, np.arange(int(rank.max(initial=-1)) + 2))
    for start, stop in pairwise(turns.tolist()):
        for level, threshold in enumerate(np.minimum(_THRESHOLDS, _CERTAIN)):
            turn = slice(start, stop)
            able = start + np.flatnonzero((oks[turn] >= threshold) & (shared[turn] | ~taken[level, sought[turn]]))
            chosen = able[np.diff(chooser[able], prepend=-1) != 0]  # the first of each
            taken[level, sought[chosen]] = True
            outcome[level, chooser[chosen]] = kind[chosen]
    return outcome.T.reshape(*shape, len(_THRESHOLDS))


def _average_precision(outcome: NDArray[Any], positives: int) -> float:
    """The mean precision over recalls and thresholds of what was found (P, thresholds), best first, of so many people."""
    if not positives:
        return float("nan")
    right, wrong = (np.cumsum(outcome == kind, axis=0, dtype=np.float64) for kind in (1, 0))
    recall, precision = right / positives, right / (right + wrong + np.spacing(1))
    precision = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    total = 0.0
    for level in range(len(_THRESHOLDS)):
        reached = np.searchsorted(recall[:, level], _RECALLS, side="left")
        total += float(precision[reached[reached < len(precision)], level].sum())
    return total / (len(_THRESHOLDS) * len(_RECALLS))
