"""Samples are read once, and within ``sharing`` once by all that ask for the same ones."""

from __future__ import annotations

from bottomup.compose import compose_dataset
from bottomup.data.kept import sharing

OPTIONS = {"name": "synthetic", "size": 32, "keep": True}


def test_a_sample_is_read_once() -> None:
    dataset = compose_dataset(OPTIONS, "train", 2)
    assert dataset.sample(0, frozenset()) is dataset.sample(0, frozenset())
    assert dataset.people(0) is dataset.people(0)


def test_only_within_sharing_are_equal_sets_one() -> None:
    with sharing():
        dataset = compose_dataset(OPTIONS, "train", 2)
        assert compose_dataset(dict(OPTIONS), "train", 2) is dataset
        others = [
            (OPTIONS, "val", 2),
            (OPTIONS, "train", 3),
            (OPTIONS | {"size": 48}, "train", 2),
            (OPTIONS | {"keep": False}, "train", 2),
        ]
        assert all(compose_dataset(*other) is not dataset for other in others)
    assert compose_dataset(OPTIONS, "train", 2) is not dataset
    with sharing():
        assert compose_dataset(OPTIONS, "train", 2) is not dataset
