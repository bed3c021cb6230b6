"""Samples are read once, and within ``sharing`` once by all that ask for the same ones."""

from __future__ import annotations

from bottomup.plan.data import DataPlan
from bottomup.samples.kept import sharing

OPTIONS = {"name": "synthetic", "size": 32, "keep": True}


def test_a_sample_is_read_once() -> None:
    dataset = DataPlan.of(OPTIONS | {"split": "train"}).dataset("val", 2)
    assert dataset.sample(0, frozenset()) is dataset.sample(0, frozenset())
    assert dataset.people(0) is dataset.people(0)


def test_only_within_sharing_are_equal_sets_one() -> None:
    with sharing():
        dataset = DataPlan.of(OPTIONS | {"split": "train"}).dataset("val", 2)
        assert DataPlan.of(dict(OPTIONS) | {"split": "train"}).dataset("val", 2) is dataset
        others = [
            (OPTIONS, "val", 2),
            (OPTIONS, "train", 3),
            (OPTIONS | {"size": 48}, "train", 2),
            (OPTIONS | {"keep": False}, "train", 2),
        ]
        for options, split, limit in others:
            assert DataPlan.of(options | {"split": split}).dataset("val", limit) is not dataset  # type: ignore[operator]
    assert DataPlan.of(OPTIONS | {"split": "train"}).dataset("val", 2) is not dataset
    with sharing():
        assert DataPlan.of(OPTIONS | {"split": "train"}).dataset("val", 2) is not dataset
