"""Instances and the people of their images, pair by pair, some thousands at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from bottomup.evaluation.columns import Floats, Found, Indices, People, Side


def neighbours(side: Side, other: Side, together: int) -> Iterator[tuple[Indices, Indices]]:
    """Indices of the two of each pair of one image, some ``together``: ascending in ``side``, descending in ``other``.

    All pairs of one of ``side`` are in one portion.
    """
    first, last = (np.searchsorted(other.image, side.image, side=edge) for edge in ("left", "right"))
    count = last - first
    ends = np.searchsorted(np.cumsum(count), np.arange(0, count.sum() + together, together), side="left")
    for start, stop in pairwise(np.unique(np.append(ends, len(side))).tolist()):
        own = count[start:stop]
        instance = np.repeat(np.arange(start, stop), own)
        yield instance, np.repeat(last[start:stop] + np.cumsum(own) - own, own) - np.arange(own.sum()) - 1


class Exponents:
    """How far keypoints of instances lie from those of people, as exponents of COCO's similarity: d² / (2 s² (2 sigma)²).

    A person whose keypoint is not labelled has it anywhere in a box thrice as wide as the person's, as COCO's evaluation has it.
    """

    def __init__(self, found: Found, people: People, sigmas: Sequence[float]) -> None:
        labelled, sides = people.labelled.T, people.boxes[:, 2:]
        low, high = (people.boxes[:, :2] - sides).T, (people.boxes[:, :2] + 2 * sides).T
        self._found = found.axes
        self._least, self._most = (
            [np.where(labelled, place, end) for place, end in zip(people.axes, ends, strict=True)] for ends in (low, high)
        )
        self._scales = 2 * np.square(2 * np.array(sigmas))[:, None]  # (K, 1)
        self._areas = people.areas + np.spacing(1)

    def of(self, instance: Indices, person: Indices) -> Floats:
        """(K, pairs) those of pairs."""
        total = np.zeros((len(self._scales), len(instance)))
        for found, least, most in zip(self._found, self._least, self._most, strict=True):
            place = np.take(found, instance, axis=1)
            apart = np.clip(place, np.take(least, person, axis=1), np.take(most, person, axis=1))  # the nearest there is
            apart -= place
            total += np.square(apart, out=apart)
        total /= self._scales
        total /= self._areas[person]
        return total
