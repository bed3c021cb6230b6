"""Instances matched to people, whole and keypoint by keypoint, in one walk over all pairs of an image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from bottomup.evaluation.assigned import mean_assigned
from bottomup.evaluation.columns import Flags, Floats, Found, Indices, People
from bottomup.evaluation.greedy import Bits, Candidates, take
from bottomup.evaluation.pairs import Exponents, neighbours
from bottomup.evaluation.records import Records

THRESHOLDS: tuple[float, ...] = tuple(np.linspace(0.5, 0.95, 10).tolist())  # COCO's
SOMEBODY = 0.1  # OKS from which an instance is a faulty find of a person and not a false positive
NOBODY, APART = -1, -2

_FAR = 0.7  # exp(-.7) is a similarity below every threshold
_NOTHING = 60.0  # exp(-60) is nothing beside an OKS that counts, and a processor takes its time over yet smaller ones
_AT_ONCE = 1 << 12  # pairs of which the similarities are computed at once: they stay near the processor
_TOGETHER = 1 << 16  # pairs that are matched at once: some hundred images


class Matched(NamedTuple):
    """What became of instances (P) and people (N), among ``found`` and ``people``."""

    found: Found  # those that count, whole or by some keypoint
    people: People
    there: Flags  # (K, P) keypoints that were found, and by few enough better ones to count
    right: Bits  # (K, P) the thresholds at which the keypoint found that of a person who counts
    settled: Bits  # (K, P) those at which it found anybody's
    person: Indices  # (P,) who was found at SOMEBODY; NOBODY; APART: neither right nor wrong
    oks: dict[int, float]  # the place of an image where people count -> their mean OKS, 0 for one without an instance


def matched(records: Records, sigmas: Sequence[float], max_people: int) -> Matched:
    """Match at most ``max_people`` instances of an image, the best, of each keypoint the best that found it."""
    there = records.instances.there.T
    there = there & (better(records.instances, there) < max_people)
    counts = there.any(0) | (records.instances.ranks < max_people)
    found, there, people = records.instances[counts], there[:, counts], records.people
    parts, oks = [], dict[int, float]()
    for first, stop in _blocks(found, people, len(records.image_ids)):
        start, end = np.searchsorted(found.image, (first, stop)).tolist()
        block = _Block(found.of_images(first, stop), people.of_images(first, stop), there[:, start:end], sigmas, max_people)
        person = block.persons()
        person[person >= 0] += np.searchsorted(people.image, first)
        parts.append((*block.keypoints(), person))
        oks |= block.mean_oks()
    right, settled, person = (np.concatenate(column, axis=-1) for column in zip(*parts, strict=True))
    return Matched(found, people, there, right, settled, person, oks)


def better(found: Found, there: Flags) -> Indices:
    """(K, P) how many better instances of the same image have a keypoint that is ``there`` (K, P)."""
    before: Indices = np.cumsum(there, axis=1) - there
    return before - before[:, np.searchsorted(found.image, found.image)]  # the best of the image


def _blocks(found: Found, people: People, images: int) -> Iterator[tuple[int, int]]:
    """Places of images from which to which, with not many more pairs each than are matched at once; one at least."""
    pairs = np.cumsum(np.bincount(found.image, minlength=images) * np.bincount(people.image, minlength=images))
    ends = np.searchsorted(pairs, np.arange(_TOGETHER, pairs.max(initial=0), _TOGETHER)) + 1
    return pairwise(np.unique(np.concatenate(([0], ends, [images]))).tolist()) if images else iter([(0, 0)])


class _Block:
    """The instances and people of some images."""

    def __init__(self, found: Found, people: People, there: Flags, sigmas: Sequence[float], max_people: int) -> None:
        self._found, self._people, self._there, self._max_people = found, people, there, max_people
        self._ignored, self._labelled = people.ignored, people.labelled.T
        self._unknown = self._ignored | ~self._labelled  # (K, N) who is ignored
        self._anything = self._labelled | ~self._labelled.any(0)  # (K, N) what counts of OKS
        exponents = Exponents(found, people, sigmas)
        parts = [self._portion(*pair, exponents.of(*pair)) for pair in neighbours(found, people, _AT_ONCE)]
        self._whole, self._counted, self._left_out = (Candidates.joined(part[kind] for part in parts) for kind in range(3))

    def _portion(self, instance: Indices, person: Indices, exponents: Floats) -> tuple[Candidates, Candidates, Candidates]:
        """The OKS of pairs, and their keypoints that may match: of those who count, and of those who are ignored."""
        close, oks = np.flatnonzero(exponents.min(0) < _NOTHING), np.zeros(len(person))
        mine, theirs, exponents = instance[close], person[close], exponents[:, close]
        near = exponents < _FAR
        near &= np.take(self._there, mine, axis=1)
        unknown = np.take(self._unknown, theirs, axis=1)

        def single(chosen: Flags) -> Candidates:
            keypoint, pair = np.divmod(np.flatnonzero(chosen), len(close))
            chooser = keypoint * len(self._found) + mine[pair]
            return Candidates(chooser, keypoint * len(self._people) + theirs[pair], np.exp(-exponents[keypoint, pair]))

        counted, left_out = single(near & ~unknown), single(near & unknown)
        np.negative(np.minimum(exponents, _NOTHING, out=exponents), out=exponents)
        alike = np.exp(exponents, out=exponents)
        alike *= np.take(self._anything, theirs, axis=1)
        oks[close] = alike.sum(0) / self._anything.sum(0)[theirs]
        return Candidates(instance, person, oks), counted, left_out

    def keypoints(self) -> tuple[Bits, Bits]:
        """(K, P) each: at which thresholds a keypoint found that of a person who counts, and anybody's."""
        ranks = better(self._found, self._there).ravel()
        shared = np.broadcast_to(self._people.crowd, self._unknown.shape).ravel()
        kinds = take(self._counted, self._left_out, ranks, shared, THRESHOLDS)
        right, ignored = (
            np.bincount(kind.candidates.chooser, kind.at, len(ranks)).astype(np.uint16).reshape(self._there.shape)
            for kind in kinds  # of a chooser's candidates one is taken at each threshold
        )
        return right, right | ignored

    def persons(self) -> Indices:
        """(P,) whom each instance found at SOMEBODY, or NOBODY; who found one who is ignored, or does not count, stands APART."""
        ranks = self._found.ranks
        near = self._whole[(ranks[self._whole.chooser] < self._max_people) & (self._whole.similarity >= SOMEBODY)]
        left_out = self._ignored[near.sought]
        counted, ignored = take(near[~left_out], near[left_out], ranks, self._people.crowd, (SOMEBODY,))
        person = np.where((ranks < self._max_people) & self._found.counted, NOBODY, APART)
        person[ignored.candidates.chooser[ignored.at > 0]] = APART
        mine = counted.candidates[counted.at > 0]
        person[mine.chooser] = mine.sought
        return person

    def mean_oks(self) -> dict[int, float]:
        """The mean OKS of each image's people who count with the best instances, 0 for one without, by the image's place.

        An instance serves one person: the assignment is the best of the whole image.
        """
        best = self._found.ranks < self._max_people
        chosen = best[self._whole.chooser] & ~self._ignored[self._whole.sought]
        images, people = np.unique(self._people.image[~self._ignored], return_counts=True)
        instances = np.bincount(self._found.image[best], minlength=images.max(initial=-1) + 1)[images]
        ends = np.cumsum(people * instances)
        similarity = self._whole.similarity[chosen]
        return {
            image: mean_assigned(similarity[end - rows * columns : end].reshape(rows, columns))
            for image, rows, columns, end in zip(*(column.tolist() for column in (images, instances, people, ends)), strict=True)
        }
