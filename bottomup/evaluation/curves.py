"""Average precision from ranked finds, as PASCAL VOC defines it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

_POINTS = np.linspace(0, 1, 11)  # of recall


def precision_recall(
    scores: Sequence[float] | NDArray[np.float64], correct: Sequence[bool] | NDArray[np.bool_], positives: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Precision and recall (n,) after each of n finds, best score first, of equal scores the first given.

    ``correct`` says which finds are right, each of another of the ``positives``.
    """
    ranked = np.asarray(correct, bool)[np.argsort(-np.asarray(scores, np.float64), kind="stable")]
    hits = ranked.cumsum()
    return hits / np.arange(1, len(ranked) + 1), hits / max(positives, 1)


def mean_of_known(values: Iterable[float]) -> float:
    """The mean of those that are numbers; NaN where none is: what nobody annotated is undefined, not zero."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def area_under(precision: NDArray[np.float64], recall: NDArray[np.float64]) -> float:
    """The area under the curve whose precision is the best at that recall or a higher one: PASCAL VOC's since 2010."""
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float((np.diff(recall, prepend=0.0) * best).sum())


def eleven_points(precision: NDArray[np.float64], recall: NDArray[np.float64]) -> float:
    """The mean of the best precision at recall 0, .1, …, 1 or higher: PASCAL VOC's until 2009."""
    best = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return float(best[np.searchsorted(recall, _POINTS - 1e-9)].mean())  # .3 is not 3 / 10 in floats
