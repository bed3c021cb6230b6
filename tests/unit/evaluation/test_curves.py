"""Average precision of ranked finds, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from bottomup.evaluation.curves import area_under, eleven_points, mean_of_known, precision_recall


def test_right_wrong_right_of_two() -> None:
    precision, recall = precision_recall([0.9, 0.8, 0.7], [True, False, True], 2)
    assert precision.tolist() == pytest.approx([1, 1 / 2, 2 / 3]) and recall.tolist() == [0.5, 0.5, 1]
    assert area_under(precision, recall) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert eleven_points(precision, recall) == pytest.approx((6 * 1 + 5 * 2 / 3) / 11)


@pytest.mark.parametrize("average", [area_under, eleven_points])
def test_all_found_is_one_and_nothing_found_is_zero(average: object) -> None:
    assert average(*precision_recall([3, 2, 1], [True] * 3, 3)) == pytest.approx(1)  # type: ignore[operator]
    assert average(*precision_recall([3, 2, 1], [False] * 3, 3)) == 0  # type: ignore[operator]
    assert average(*precision_recall([], [], 3)) == 0  # type: ignore[operator]


def test_ten_of_ten_reach_every_point_of_recall() -> None:
    """3 / 10 is not .3 in floats."""
    precision, recall = precision_recall(np.arange(10, 0, -1), [True] * 3 + [False] * 7, 10)
    assert eleven_points(precision, recall) == pytest.approx(4 / 11)


def test_the_order_given_breaks_ties() -> None:
    assert area_under(*precision_recall([1, 1], [True, False], 1)) == 1
    assert area_under(*precision_recall([1, 1], [False, True], 1)) == 0.5


def test_what_is_undefined_is_in_no_mean() -> None:
    assert mean_of_known([1.0, float("nan"), 0.0]) == 0.5 and np.isnan(mean_of_known([float("nan")]))
