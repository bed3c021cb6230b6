"""People and the instances that serve them best, all of an image together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment


def mean_assigned(similarity: NDArray[np.float64]) -> float:
    """The mean similarity (P, N) of N people with their instances, each of one person; 0 for one without."""
    if similarity.size == 0:
        return 0.0
    rows, columns = linear_sum_assignment(similarity, maximize=True)
    return float(similarity[rows, columns].sum() / similarity.shape[1])
