"""Options of components: a constructor's signature says which there are, of what kind and unit, and one check reads it.

``sigma: Annotated[Positive, "input px"] = 8.0`` is a finite number above 0 in input px. The options are the parameters after the
star; choices are a ``Literal``, a group of options is a frozen dataclass, whose name takes a mapping in YAML. What an option means
stands in the docstring, in the sentence that names it in double backticks.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from bottomup.errors import ConfigError, unknown
from bottomup.fitting import choices, finite, fits, group, marks, misspelt, words

T = TypeVar("T")
C = TypeVar("C", bound=Callable[..., Any])


@dataclass(frozen=True)
class Interval:
    """The values that fit, of a number that is ``Annotated`` with it: from ``low`` to ``high``, without those that are open."""

    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False

    def __contains__(self, value: float) -> bool:
        """Whether a value lies in it; not a number lies in none."""
        above = value > self.low if self.open_low else value >= self.low
        return above and (value < self.high if self.open_high else value <= self.high)

    def __str__(self) -> str:
        low = f"{'above' if self.open_low else 'from'} {self.low:g}"
        if math.isinf(self.low) and not math.isinf(self.high):
            return f"{'below' if self.open_high else 'up to'} {self.high:g}"
        if math.isinf(self.high):
            return low if self.open_low else f"{low} on"
        return f"{low} to {'below ' if self.open_high else ''}{self.high:g}"


@dataclass(frozen=True)
class Odd:
    """Whole numbers that have a middle."""

    def __contains__(self, value: int) -> bool:
        return value % 2 == 1

    def __str__(self) -> str:
        return "that is odd"


@dataclass(frozen=True)
class MultipleOf:
    """Whole numbers that ``factor`` divides."""

    factor: int

    def __contains__(self, value: int) -> bool:
        return value % self.factor == 0

    def __str__(self) -> str:
        return f"that {self.factor} divides"


@dataclass(frozen=True)
class NotEmpty:
    """Lists with at least one entry."""

    def __contains__(self, values: Sized) -> bool:
        return len(values) > 0

    def __str__(self) -> str:
        return "with at least one entry"


@dataclass(frozen=True)
class Ascending:
    """Lists of two that name a range."""

    def __contains__(self, values: Sequence[float]) -> bool:
        return values[0] <= values[1]

    def __str__(self) -> str:
        return "as [low, high]"


@dataclass(frozen=True)
class Formerly:
    """The name that an option had before it moved; whoever still gives it hears the new path."""

    name: str


POSITIVE = Interval(0, open_low=True)  # sizes, sigmas, radii in px, rates
FROM_ZERO = Interval(0)
FRACTION = Interval(0, 1)  # shares and probabilities
BELOW_ONE = Interval(0, 1, open_high=True)  # thresholds on scores, which may let all pass but not nobody; decays
SHARE = Interval(0, 1, open_low=True)  # thresholds on IoU or OKS, factors that shrink
INNER = Interval(0, 1, open_low=True, open_high=True)

Count = Annotated[int, Interval(1)]
Natural = Annotated[int, Interval(0)]
Window = Annotated[int, Interval(3), Odd(), "cells"]  # the side of a neighbourhood
Positive = Annotated[float, POSITIVE]
FromZero = Annotated[float, FROM_ZERO]
Fraction = Annotated[float, FRACTION]
BelowOne = Annotated[float, BELOW_ONE]
Share = Annotated[float, SHARE]
Inner = Annotated[float, INNER]

# ---- what a constructor takes --------------------------------------------------------------------------------------------


def checked(who: str, within: str = "") -> Callable[[C], C]:
    """Let a class or function check its options by its own signature before it runs, whoever calls it.

    A mapping given for a group of options becomes that group. ConfigError, which begins with ``who`` ("head heatmap"), for an
    option that is not there or does not fit; ``within`` is the group that a dataclass of options is.
    """

    def judged(component: C) -> C:
        inner = component.__init__ if isinstance(component, type) else component  # type: ignore[misc]  # of this very class

        @functools.wraps(inner)
        def call(*given: Any, **options: Any) -> Any:
            known = annotations_of(component)
            try:
                check_values(within, _judged_here(component, options), known)
            except ConfigError as error:
                raise ConfigError(f"{who}: {error}") from None
            return inner(*given, **{name: _grouped(value, known.get(name)) for name, value in options.items()})

        if not isinstance(component, type):
            return call  # type: ignore[return-value]  # of the same signature
        component.__init__ = call  # type: ignore[misc]
        return component

    return judged


def unchecked(component: Callable[..., T], *wiring: object, **options: Any) -> T:
    """What a ``checked`` class or function makes of options that were checked before."""
    known = annotations_of(component)
    options = {name: _grouped(value, known.get(name)) for name, value in options.items()}
    if not isinstance(component, type):
        return getattr(component, "__wrapped__", component)(*wiring, **options)
    made_here: T = object.__new__(component)
    initialise = component.__init__  # type: ignore[misc]  # of this very class
    getattr(initialise, "__wrapped__", initialise)(made_here, *wiring, **options)
    return made_here


def check_options(where: str, component: Callable[..., object], options: Mapping[str, object], extra: Sequence[str] = ()) -> None:
    """Raise ConfigError for an option that is misspelt, missing, or of a value that does not fit its annotation.

    ``component`` is a class or a function, its options are the keyword-only parameters; one that takes ``**others`` judges
    the names of those itself. ``extra`` are names that are read elsewhere.
    """
    check_values(where, _judged_here(component, options), annotations_of(component), extra)
    parameters = inspect.signature(component).parameters.values()
    required = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
    missing = [option for option in required if option not in options]
    if missing:
        raise ConfigError(f"{where} needs {', '.join(missing)}")


def made(component: Callable[..., T], *wiring: object, options: Mapping[str, object]) -> T:
    """What a component makes of its ``wiring`` and of ``options`` that are plain data, which its own check judges."""
    return component(*wiring, **options)


def moved(component: Callable[..., object], options: Mapping[str, object]) -> dict[str, Any]:
    """Options that were saved under their former names, by those that they have now; others stay as they are."""
    known, paths = annotations_of(component), former_paths(annotations_of(component))
    found = dict[str, Any]()
    for name, value in options.items():
        here = name in known and (group(known[name]) is None or isinstance(value, Mapping))
        where, _, option = ("" if here else paths.get(name, "")).rpartition(".")
        if where:
            found[where] = found.get(where, {}) | {option: value}
        else:
            found[name] = value
    return found


def _judged_here(component: Callable[..., object], options: Mapping[str, object]) -> Mapping[str, object]:
    """The options whose names the signature judges: not what stands before the star, nor others where it takes such."""
    parameters = inspect.signature(component).parameters.values()
    others = any(p.kind is p.VAR_KEYWORD for p in parameters)
    wiring = {p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD}
    known = annotations_of(component)
    return {name: value for name, value in options.items() if name in known or not (others or name in wiring)}


def _grouped(value: Any, expected: Any) -> Any:
    """A mapping as the group of options that is expected."""
    kind = group(expected)
    return kind(**value) if kind is not None and isinstance(value, Mapping) else value


def annotations_of(component: Callable[..., object]) -> Mapping[str, object]:
    """The options of a class or function with their annotations."""
    function = component.__init__ if isinstance(component, type) else component  # type: ignore[misc]  # of this very class
    hints = resolved(function)
    parameters = inspect.signature(component).parameters.values()
    return {p.name: hints.get(p.name, Any) for p in parameters if p.kind is p.KEYWORD_ONLY}


def resolved(annotated: Any) -> dict[str, Any]:
    """The annotations of a function or class; none where one is of a name that only type checkers import."""
    try:
        return get_type_hints(annotated, include_extras=True)
    except NameError:
        return {}


# ---- values --------------------------------------------------------------------------------------------------------------


def check_values(where: str, values: Mapping[str, object], annotations: Mapping[str, object], extra: Sequence[str] = ()) -> None:
    """Raise ConfigError for a name that ``annotations`` do not have, or a value that does not fit; ``where`` may be empty."""
    for name, value in values.items():
        if name not in annotations:
            said = unknown("option", name, [*annotations, *extra], meant=former_paths(annotations).get(name))
            raise ConfigError(f"{where}: {said}" if where else said)
        check_value(f"{where}.{name}" if where else name, value, annotations[name])


def check_value(where: str, value: object, expected: Any) -> None:
    """Raise ConfigError unless ``value`` fits an annotation; of a mapping's entries it names the one that does not."""
    options = group(expected)
    if isinstance(value, Mapping) and options is not None:
        check_options(where, options, value)
    elif isinstance(value, Mapping) and (entries := _entries(expected)) is not None:
        for name, entry in value.items():
            check_value(f"{where}.{name}", entry, entries)
    elif not finite(value):
        _refuse_not_finite(where, value)
    elif not fits(value, expected):
        if (name := misspelt(value, expected)) is not None:
            raise ConfigError(f"{where}: " + unknown("choice", name, choices(expected)))
        own = former_paths(annotations_of(options)).get(where.rpartition(".")[2]) if options is not None else None
        meant = f"; did you mean {where}.{own}?" if own else ""
        raise ConfigError(f"{where} should be {' or '.join(words(expected))}, got {_shown(value)}{meant}")


def _entries(expected: Any) -> Any:
    """What the entries of a mapping should be, where an annotation is of one or lets choose it; else None."""
    if get_origin(expected) is Mapping:
        return get_args(expected)[1]
    alternatives = get_args(expected) if get_origin(expected) in (Union, UnionType) else ()
    return next((entries for one in alternatives if (entries := _entries(one)) is not None), None)


def _shown(value: object) -> str:
    """A value as YAML has it: tuples are lists there."""
    return repr(list(value) if isinstance(value, tuple) else value)


def _refuse_not_finite(where: str, value: object) -> None:
    """Raise ConfigError for the first number in a value that is not finite; of a mapping's entries it names the one."""
    if isinstance(value, Mapping):
        for name, entry in value.items():
            _refuse_not_finite(f"{where}.{name}", entry)
    elif not finite(value):
        raise ConfigError(f"{where} should be finite, got {_shown(value)}")


def former_paths(annotations: Mapping[str, object]) -> dict[str, str]:
    """The paths of options by their former names, and of those in groups by their own."""
    paths = list(_paths(annotations))
    own = {name: path for path, name, _ in reversed(paths)}  # of several groups' the first
    return own | {mark.name: path for path, _, expected in paths for mark in marks(expected) if isinstance(mark, Formerly)}


def _paths(annotations: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str, Any]]:
    """Path, name and annotation of every option, those in groups among them."""
    for name, expected in annotations.items():
        kind = group(expected)
        yield f"{prefix}{name}", name, expected
        if kind is not None:
            yield from _paths(annotations_of(kind), f"{prefix}{name}.")
