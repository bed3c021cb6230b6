"""Values fit the annotations that constructors have, and what does not is named in words."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

import pytest

from bottomup.contracts import BACKBONES, DECODERS, HEADS, NECKS
from bottomup.dataset import DATASETS
from bottomup.errors import ConfigError
from bottomup.options import Count, Interval, Natural, annotations_of, check_options, check_value, fits
from bottomup.samples.augment import Augment


class Size(TypedDict, total=False):
    limit: Count | None


FITTING: list[tuple[Any, list[Any], list[Any]]] = [
    (int, [3, -1], [True, 2.0, "3", None, [3]]),
    (float, [3, 0.5], [False, "0.5", None]),
    (str, ["", Path("there")], [3, None, ["a"]]),
    (bool, [True, False], [0, 1, "true", None]),
    (int | None, [3, None], ["null"]),
    (Natural, [0, 7], [-1, 0.5, True]),
    (Annotated[float, Interval(0.5)], [0.5, 1], [0.4, "1"]),
    (Literal["a", "b"] | None, ["a", None], ["c", 1]),
    (Literal[8, 16], [8], [8.0, "8", 4]),
    (Sequence[float], [[], [1, 0.5], (1,)], [2, "12", ["a"], {"a": 1}]),
    (Sequence[int] | str, [[1], "file.json"], [5, [0.5]]),
    (tuple[float, float], [[0.9, 0.99], (1, 2)], [[0.9], [1, 2, 3], 0.9]),
    (tuple[str, ...], [[], ["a", "b"]], ["a", [1]]),
    (Mapping[str, float], [{}, {"a": 1}], [3, {"a": "b"}, ["a"]]),
    (Sequence[Mapping[str, Any]], [[{"name": 3}]], [["name"]]),
    (float | Mapping[str, float], [1, {"pull": 0.1}], ["abc", {"pull": "abc"}]),
    (Size, [{}, {"limit": None}], [{"limit": 0}, {"limt": 3}, 3]),
    (Any, [3, None, "a"], []),
    (Callable[..., int], [3, None], []),  # of what YAML cannot write nothing is known
]


@pytest.mark.parametrize(("annotation", "good", "bad"), FITTING, ids=lambda value: str(value)[:40])
def test_values_fit_their_annotations(annotation: Any, good: list[Any], bad: list[Any]) -> None:
    for value in good:
        check_value("here", value, annotation)
    for value in bad:
        with pytest.raises(ConfigError, match="here"):
            check_value("here", value, annotation)


@pytest.mark.parametrize(
    ("annotation", "value", "words"),
    [
        (Sequence[int] | str | None, 5, "here should be a list of whole numbers or a text or null, got 5"),
        (Count, 0, "here should be a whole number from 1 on, got 0"),
        (Mapping[str, Mapping[str, Any]], {"heatmap": 3}, "here.heatmap should be a mapping {name: value}, got 3"),
        (Literal["quarter", "none"], "quater", "here: no choice named 'quater'; did you mean 'quarter'? (known: quarter, none)"),
        (Mapping[str, Natural], {"a": -1}, "here.a should be a whole number from 0 on, got -1"),
        (Mapping[str, Any], {"a": {"b": math.nan}}, "here.a.b should be finite, got nan"),
        (
            float | Mapping[str, Natural],
            {"a": -1},
            "here should be a number or a mapping {name: a whole number from 0 on}, got {'a': -1}",
        ),
        (Annotated[float, Interval(0, 1, open_low=True)], 0, "here should be a number above 0 to 1, got 0"),
        (Annotated[float, Interval(0, 1, open_high=True)], 1, "here should be a number from 0 to below 1, got 1"),
        (tuple[float, float], [1], "here should be a list of 2 numbers, got [1]"),
    ],
)
def test_what_does_not_fit_is_said_in_words(annotation: Any, value: Any, words: str) -> None:
    with pytest.raises(ConfigError) as error:
        check_value("here", value, annotation)
    assert str(error.value) == words


def test_options_are_what_stands_after_the_star() -> None:
    def build(source: int, *, size: int, name: str = "a") -> None: ...

    def build_others(*, size: int, **others: object) -> None: ...

    check_options("here", build, {"size": 3})
    check_options("here", build_others, {"size": 3, "momentum": "any"})
    for options, words in (({"sise": 3}, "did you mean 'size'"), ({}, "here needs size"), ({"size": "a"}, "here.size should be")):
        with pytest.raises(ConfigError, match=words):
            check_options("here", build, options)
    with pytest.raises(ConfigError, match="did you mean 'neck'"):
        check_options("here", build, {"nek": 3, "size": 3}, extra=("neck",))


@pytest.mark.parametrize(
    "component", [Augment, *(r[name] for r in (BACKBONES, NECKS, HEADS, DECODERS, DATASETS) for name in r.names())]
)
def test_every_default_fits_its_own_annotation(component: type) -> None:
    parameters = inspect.signature(component).parameters.values()
    known = annotations_of(component)
    defaults = {p.name: p.default for p in parameters if p.name in known and p.default is not p.empty}
    assert not [name for name, default in defaults.items() if not fits(default, known[name])]
