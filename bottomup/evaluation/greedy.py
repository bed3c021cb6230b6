"""COCO's greedy matching, of all images and thresholds at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bottomup.evaluation.columns import Flags, Floats, Indices

Bits = NDArray[np.uint16]  # bit t: at the t-th threshold

_CERTAIN = 1 - 1e-10  # the highest similarity that a match has to have, as rounding may leave less than 1


@dataclass(frozen=True)
class Candidates:
    """Who may take whom, one entry each: those of a chooser together, of equally similar ones the preferred first."""

    chooser: Indices  # (M,)
    sought: Indices  # (M,)
    similarity: Floats  # (M,)

    def __getitem__(self, index: Indices | Flags) -> Candidates:
        return Candidates(self.chooser[index], self.sought[index], self.similarity[index])

    @classmethod
    def joined(cls, parts: Iterable[Candidates]) -> Candidates:
        """All of them, part by part; none of no parts."""
        none = np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
        columns = zip(none, *((part.chooser, part.sought, part.similarity) for part in parts), strict=True)
        return cls(*(np.concatenate(column) for column in columns))


class Taken(NamedTuple):
    """Candidates, and at which thresholds each is taken."""

    candidates: Candidates
    at: Bits  # (M,)


def take(
    counted: Candidates, ignored: Candidates, ranks: Indices, shared: Flags, thresholds: Sequence[float]
) -> tuple[Taken, Taken]:
    """Who is taken of those who count and of those who are ignored, at up to 16 ascending thresholds.

    Choosers choose in the order of their ``ranks``; those of the same rank seek nobody in common. Each takes the most similar one
    that is free, and one that is ignored only where no other is near enough; whoever is ``shared`` is always free.
    """
    (counted, first), (ignored, then) = preferred(counted), preferred(ignored)
    every = Candidates.joined((counted, ignored))
    place = np.concatenate((first, then))
    kind = np.repeat((0, 1), (len(first), len(then)))
    turn = (ranks[every.chooser] * 2 + kind) * (place.max(initial=0) + 1) + place
    order = np.argsort(turn.astype(np.min_scalar_type(turn.max(initial=0))), kind="stable")  # of short numbers by radix
    ends = np.flatnonzero(np.diff(turn[order], prepend=-1, append=-1))
    choosers, everybody, at = every.chooser[order], every.sought[order], reached(every.similarity, thresholds)[order]
    lasting = np.where(shared, 0, 0xFFFF).astype(np.uint16)[everybody]
    settled, gone = np.zeros(len(ranks), np.uint16), np.zeros(len(shared), np.uint16)
    for start, stop in pairwise(ends.tolist()):
        chooser, sought, bits = choosers[start:stop], everybody[start:stop], at[start:stop]
        before, away = settled[chooser], gone[sought]
        bits &= ~(before | away)  # in ``at``
        settled[chooser] = before | bits
        gone[sought] = away | (bits & lasting[start:stop])
    given = np.empty_like(at)
    given[order] = at
    return Taken(counted, given[: len(first)]), Taken(ignored, given[len(first) :])


def reached(similarity: Floats, thresholds: Sequence[float]) -> Bits:
    """At which of the thresholds a similarity is a match."""
    count = np.searchsorted(np.minimum(thresholds, _CERTAIN), similarity, side="right")
    return np.asarray((1 << count) - 1, np.uint16)


def preferred(candidates: Candidates) -> tuple[Candidates, Indices]:
    """Each chooser's candidates, most similar first, and how many of them its chooser prefers to each."""
    chooser, similarity = candidates.chooser, candidates.similarity
    same = np.zeros(len(chooser), bool)
    same[1:] = chooser[1:] == chooser[:-1]
    group = np.cumsum(~same) - 1
    unordered = np.zeros(len(chooser), bool)
    unordered[group[1:][same[1:] & (similarity[1:] > similarity[:-1])]] = True  # few groups
    wrong = np.flatnonzero(unordered[group])
    order = np.arange(len(chooser))
    order[wrong] = wrong[np.lexsort((-similarity[wrong], group[wrong]))]
    return candidates[order], np.arange(len(chooser)) - np.flatnonzero(~same)[group]
