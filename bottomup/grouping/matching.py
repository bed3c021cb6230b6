"""One-to-one matching."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

_ALONE = 1.0  # anything positive: no allowed pair may be as dear as no pair


def assign(cost: NDArray[np.floating], allowed: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Match rows to columns at the least total cost, each at most once, through ``allowed`` pairs only.

    ``cost`` and ``allowed`` are (R, C); costs of forbidden pairs are never read and may be NaN. A row and a column left alone
    cost ``_ALONE`` more than the dearest allowed pair: a match is better than none, unless it costs the other matches as
    much. Returns the matched rows and their columns, (S,) each.
    """
    if not allowed.any():
        nothing = np.zeros(0, np.intp)
        return nothing, nothing
    alone = np.where(allowed, cost, -np.inf).max() + _ALONE
    rows, columns = linear_sum_assignment(np.where(allowed, cost, alone))
    matched = allowed[rows, columns]
    return rows[matched], columns[matched]
