"""Whose a cell is, by levels above 0 inside."""

from __future__ import annotations

import numpy as np

from bottomup.grouping.levels import foreground_level, left_by_better, nearer_than_others

RNG = np.random.default_rng(0)


def test_at_most_one_instance_is_nearer_than_all_others() -> None:
    distance = RNG.random((5, 6, 7), np.float32)
    distance[3] = np.inf
    margin = nearer_than_others(distance)
    assert ((margin > 0).sum(0) == 1).all()
    np.testing.assert_array_equal((margin > 0).argmax(0), distance.argmin(0))
    assert (nearer_than_others(distance[:1]) == np.inf).all()


def test_a_cell_is_the_best_instance_s_that_claims_it() -> None:
    level = RNG.random((5, 6, 7), np.float32) * 2 - 1
    left = left_by_better(level)
    claimed = level > 0
    np.testing.assert_array_equal((left > 0).any(0), claimed.any(0))
    assert ((left > 0).sum(0) <= 1).all()
    np.testing.assert_array_equal((left > 0).argmax(0), claimed.argmax(0))  # the first of those that claim it
    assert left_by_better(level[:0]).shape == (0, 6, 7)


def test_a_level_is_zero_at_the_threshold() -> None:
    level = foreground_level(np.array([0.0, 0.35, 0.7, 0.85, 1.0], np.float32), 0.7)
    np.testing.assert_allclose(level, [-1.0, -0.5, 0.0, 0.5, 1.0], atol=1e-6)
