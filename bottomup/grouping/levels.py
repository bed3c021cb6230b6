"""Which cells are whose, by levels above 0 inside: PersonLab §3.2."""

from __future__ import annotations

import numpy as np

from bottomup.grouping.found import Floats


def nearer_than_others(distance: Floats) -> Floats:
    """(P, h, w) by how much each instance of ``distance`` (P, h, w) is nearer to a cell than all others; inf where alone."""
    if len(distance) < 2:
        return np.full_like(distance, np.inf)
    best, second = np.partition(distance, 1, axis=0)[:2]
    other = np.where(distance == best, second, best)
    near = ~np.isinf(distance)
    return np.where(near, other - np.where(near, distance, 0), -np.inf).astype(np.float32)


def left_by_better(level: Floats) -> Floats:
    """(P, h, w) what is left of the levels (P, h, w) of instances, best first, above 0 inside, outside all better ones."""
    better = np.maximum.accumulate(level[:-1])
    return np.concatenate((level[:1], np.minimum(level[1:], -better)))


def foreground_level(foreground: Floats, threshold: float) -> Floats:
    """A probability in [0, 1] as a level in [-1, 1] that is 0 at ``threshold``, of the same shape."""
    above = foreground - np.float32(threshold)
    return np.where(above > 0, above / np.float32(1 - threshold), above / np.float32(threshold))
