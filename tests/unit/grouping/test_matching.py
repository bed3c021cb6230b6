"""Matching is one-to-one, through allowed pairs only, and best."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from bottomup.grouping.matching import assign


@pytest.mark.parametrize("shape", [(4, 4), (3, 5), (5, 3), (1, 4), (0, 3), (3, 0), (0, 0)])
@pytest.mark.parametrize("density", [0.0, 0.4, 1.0])
def test_matches_are_allowed_and_one_to_one(shape: tuple[int, int], density: float) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        allowed = rng.random(shape) < density
        cost = np.where(allowed, rng.normal(size=shape), np.nan)
        rows, columns = assign(cost, allowed)
        assert len(rows) == len(columns) == len(set(rows)) == len(set(columns))
        assert allowed[rows, columns].all()
        assert not np.delete(np.delete(allowed, rows, 0), columns, 1).any(), "no allowed pair is left alone"


def test_the_whole_is_the_cheapest() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        cost = rng.random((4, 4))
        rows, columns = assign(cost, np.ones((4, 4), bool))
        cheapest = min(cost[range(4), order].sum() for order in permutations(range(4)))
        assert np.isclose(cost[rows, columns].sum(), cheapest)


def test_a_stray_row_takes_no_column_from_a_far_better_one() -> None:
    cost = np.array([[0.0, 100.0], [100.0, 500.0]])
    rows, columns = assign(cost, cost < 200)
    assert (rows.tolist(), columns.tolist()) == ([0], [0])
