"""Values fit the annotations that constructors have, and what does not is named in words."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from bottomup.contracts import BACKBONES, DECODERS, HEADS, NECKS
from bottomup.dataset import DATASETS
from bottomup.errors import ConfigError
from bottomup.fitting import fits
from bottomup.options import (
    Ascending,
    Count,
    Formerly,
    Fraction,
    Interval,
    MultipleOf,
    Natural,
    NotEmpty,
    Odd,
    Positive,
    Window,
    annotations_of,
    check_options,
    check_value,
    checked,
)
from bottomup.registry import Registry
from bottomup.samples.augment import Augment


@dataclass(frozen=True, kw_only=True)
class Size:
    limit: Count | None = None


@checked("thing made", within="reach")
@dataclass(frozen=True, kw_only=True)
class Reach:
    radius: Annotated[Positive, "input px", Formerly("far")] = 8.0
    cells: Window = 3


@checked("thing made")
class Made:
    def __init__(self, source: int, *, size: Count = 1, reach: Reach = Reach()) -> None:
        self.source, self.size, self.reach = source, size, reach


@checked("thing put")
def put(source: int, *, share: Fraction = 0.5, **others: object) -> dict[str, object]:
    return {"source": source, "share": share, **others}


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
    (Annotated[Literal[8, 16], "px"], [8], [4, "8"]),
    (Annotated[int, Odd()], [3], [2, 3.0]),
    (Annotated[int, MultipleOf(4)], [4, 0], [6, "4"]),
    (Annotated[Sequence[int], NotEmpty()], [[1]], [[], 1, ["a"]]),
    (Annotated[tuple[Positive, Positive], Ascending()], [[1, 2], (0.5, 0.5)], [[2, 1], [0, 1], [1], [1, "2"]]),
    (Sequence[Literal["a", "b"]], [[], ["a"]], [["c"], "a"]),
    (Reach, [{}, {"radius": 3}, Reach()], [{"radius": 0}, {"radios": 3}, 3, None]),
    (Reach | None, [None, {"cells": 5}], [{"cells": 4}, 3]),
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
            "here.a should be a whole number from 0 on, got -1",
        ),
        (Annotated[float, Interval(0, 1, open_low=True)], 0, "here should be a number above 0 to 1, got 0"),
        (Annotated[int, Interval(high=-1)], 0, "here should be a whole number up to -1, got 0"),
        (Annotated[float, Interval(0, 1, open_high=True)], 1, "here should be a number from 0 to below 1, got 1"),
        (Annotated[Positive, "input px"] | None, 0, "here should be a number above 0 (input px) or null, got 0"),
        (Annotated[Literal[8, 16], "px"], 4, "here should be 8 or 16 (px), got 4"),
        (Window, 4, "here should be a whole number from 3 on that is odd (cells), got 4"),
        (
            Annotated[tuple[Positive, Positive], Ascending()],
            (2.0, 1.0),
            "here should be a list of 2 numbers above 0 as [low, high], got [2.0, 1.0]",
        ),
        (Annotated[Sequence[float], NotEmpty()], [], "here should be a list of numbers with at least one entry, got []"),
        (
            Sequence[Literal["crowd", "padding"]],
            ["crowd", "pading"],
            "here: no choice named 'pading'; did you mean 'padding'? (known: crowd, padding)",
        ),
        (Reach, {"radius": math.inf}, "here.radius should be finite, got inf"),
        (Reach, {"far": 3}, "here: no option named 'far'; did you mean 'radius'? (known: radius, cells)"),
        (Reach, 3, "here should be a mapping of radius, cells, got 3"),
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


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"size": 0}, "size should be a whole number from 1 on, got 0"),
    ({"size": math.nan}, "size should be finite, got nan"),
    ({"sise": 3}, "no option named 'sise'; did you mean 'size'? (known: size, reach)"),
    ({"reach": {"cells": 2}}, "reach.cells should be a whole number from 3 on that is odd (cells), got 2"),
    ({"cells": 3}, "no option named 'cells'; did you mean 'reach.cells'? (known: size, reach)"),
    ({"far": 3}, "no option named 'far'; did you mean 'reach.radius'? (known: size, reach)"),
]


@pytest.mark.parametrize(("options", "words"), WRONG, ids=str)
def test_what_python_gives_is_checked_as_what_yaml_does(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as error:
        Made(1, **options)
    assert str(error.value) == f"thing made: {words}"
    with pytest.raises(ConfigError) as error:
        check_options("things.made", Made, options)
    assert str(error.value) == ("things.made: " if words.startswith("no ") else "things.made.") + words


def test_a_group_of_options_is_given_as_what_it_is_or_as_a_mapping() -> None:
    for given in (Reach(radius=2.0), {"radius": 2.0}):
        made = Made(source=1, reach=given)  # type: ignore[arg-type]
        assert made.reach == Reach(radius=2.0) and made.source == 1
    with pytest.raises(ConfigError, match=r"^thing made: reach\.radius should be"):
        Reach(radius=0.0)


def test_a_function_is_checked_too_but_for_others_that_it_judges_itself() -> None:
    assert put(1, share=1.0, more="any") == {"source": 1, "share": 1.0, "more": "any"}
    with pytest.raises(ConfigError, match=r"^thing put: share should be a number from 0 to 1, got 2"):
        put(1, share=2)
    with pytest.raises(TypeError, match="source"):
        put()  # type: ignore[call-arg]


def test_a_registered_component_is_checked_under_its_name() -> None:
    registry: Registry[object] = Registry("thing", "bottomup.heads")

    @registry.register_as("grown")
    class Grown:
        """``size`` is its own."""

        def __init__(self, *, size: Count = 1) -> None:
            self.size = size

    assert isinstance(registry["grown"](size=2), Grown)  # type: ignore[call-arg]
    with pytest.raises(ConfigError, match=r"^thing grown: size should be a whole number from 1 on, got 0"):
        Grown(size=0)


@pytest.mark.parametrize(
    "component", [Augment, *(r[name] for r in (BACKBONES, NECKS, HEADS, DECODERS, DATASETS) for name in r.names())]
)
def test_every_default_fits_its_own_annotation(component: type) -> None:
    parameters = inspect.signature(component).parameters.values()
    known = annotations_of(component)
    defaults = {p.name: p.default for p in parameters if p.name in known and p.default is not p.empty}
    assert not [name for name, default in defaults.items() if not fits(default, known[name])]
