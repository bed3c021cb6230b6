"""Options of components, refused by name and by value where they do not fit, as the constructors' annotations say."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from os import PathLike
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

from bottomup.errors import ConfigError
from bottomup.registry import unknown


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
        if math.isinf(self.high):
            return low if self.open_low else f"{low} on"
        return f"{low} to {'below ' if self.open_high else ''}{self.high:g}"


POSITIVE = Interval(0, open_low=True)  # sizes, sigmas, radii in px, rates
FROM_ZERO = Interval(0)
FRACTION = Interval(0, 1)  # shares and probabilities
BELOW_ONE = Interval(0, 1, open_high=True)  # thresholds on scores, which may let all pass but not nobody; decays
SHARE = Interval(0, 1, open_low=True)  # thresholds on IoU or OKS, factors that shrink
INNER = Interval(0, 1, open_low=True, open_high=True)

Count = Annotated[int, Interval(1)]
Natural = Annotated[int, Interval(0)]
Positive = Annotated[float, POSITIVE]
FromZero = Annotated[float, FROM_ZERO]
Fraction = Annotated[float, FRACTION]
BelowOne = Annotated[float, BELOW_ONE]
Share = Annotated[float, SHARE]

# ---- what a constructor takes --------------------------------------------------------------------------------------------


def check_options(where: str, component: Callable[..., object], options: Mapping[str, Any], extra: Sequence[str] = ()) -> None:
    """Raise ConfigError for an option that is misspelt, missing, or of a value that does not fit its annotation.

    ``component`` is a class or a function, its options are the keyword-only parameters; one that takes ``**others`` judges
    the names of those itself. ``extra`` are names that are read elsewhere.
    """
    parameters = inspect.signature(component).parameters.values()
    known = annotations_of(component)
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        options = {name: value for name, value in options.items() if name in known}
    check_values(where, options, known, extra)
    required = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
    missing = [option for option in required if option not in options]
    if missing:
        raise ConfigError(f"{where} needs {', '.join(missing)}")


def annotations_of(component: Callable[..., object]) -> dict[str, Any]:
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


def check_values(where: str, values: Mapping[str, Any], annotations: Mapping[str, Any], extra: Sequence[str] = ()) -> None:
    """Raise ConfigError for a name that ``annotations`` do not have, or a value that does not fit; ``where`` may be empty."""
    for name, value in values.items():
        if name not in annotations:
            raise ConfigError(f"{where}: " + unknown("option", name, [*annotations, *extra]))
        check_value(f"{where}.{name}" if where else name, value, annotations[name])


def check_value(where: str, value: object, expected: Any) -> None:
    """Raise ConfigError unless ``value`` fits an annotation; of a mapping's entries it names the one that does not."""
    if isinstance(value, Mapping) and is_typeddict(expected):
        check_values(where, value, resolved(expected))
    elif isinstance(value, Mapping) and get_origin(expected) is Mapping:
        for name, entry in value.items():
            check_value(f"{where}.{name}", entry, get_args(expected)[1])
    elif not _finite(value):
        _refuse_not_finite(where, value)
    elif isinstance(value, str) and _choices(expected) and not fits(value, expected):
        raise ConfigError(f"{where}: " + unknown("choice", value, _choices(expected)))
    elif not fits(value, expected):
        raise ConfigError(f"{where} should be {' or '.join(_words(expected, plural=False))}, got {value!r}")


def _refuse_not_finite(where: str, value: object) -> None:
    """Raise ConfigError for the first number in a value that is not finite; of a mapping's entries it names the one."""
    if isinstance(value, Mapping):
        for name, entry in value.items():
            _refuse_not_finite(f"{where}.{name}", entry)
    elif not _finite(value):
        raise ConfigError(f"{where} should be finite, got {value!r}")


def _choices(expected: Any) -> list[str]:
    """The names among which a ``Literal`` lets choose."""
    if get_origin(expected) in (Union, UnionType):
        return [name for entry in get_args(expected) for name in _choices(entry)]
    return [name for name in get_args(expected) if isinstance(name, str)] if get_origin(expected) is Literal else []


def fits(value: object, expected: Any) -> bool:
    """Whether a plain value is of an annotation: finite numbers, text, choices, lists and mappings of such; others let all pass."""
    kind, inside = get_origin(expected), get_args(expected)
    if not _finite(value):
        return False
    if kind is Annotated:
        limits = [limit for limit in inside[1:] if isinstance(limit, Interval)]
        return fits(value, inside[0]) and not any(isinstance(value, Real) and float(value) not in limit for limit in limits)
    if kind in (Union, UnionType):
        return any(fits(value, entry) for entry in inside)
    if kind is Literal:
        return any(type(value) is type(choice) and value == choice for choice in inside)
    if kind in (Sequence, list, tuple):
        return isinstance(value, (list, tuple)) and _entries_fit(value, inside, fixed=kind is tuple and Ellipsis not in inside)
    if kind in (Mapping, dict) or is_typeddict(expected):
        return isinstance(value, Mapping) and all(fits(entry, inside[1]) for entry in value.values() if inside)
    if expected in (int, float):  # true and false are numbers to Python alone
        return isinstance(value, Integral if expected is int else Real) and not isinstance(value, bool)
    if expected is str:
        return isinstance(value, (str, PathLike))
    return isinstance(value, expected) if expected in (bool, NoneType) else True


def _finite(value: object) -> bool:
    """Whether no number in a plain value, however deep in lists and mappings, is infinite or not a number."""
    if isinstance(value, Mapping):
        return all(_finite(entry) for entry in value.values())
    if isinstance(value, (list, tuple)):
        return all(_finite(entry) for entry in value)
    return not isinstance(value, Real) or math.isfinite(value)


def _entries_fit(values: Sequence[object], inside: Sequence[Any], fixed: bool) -> bool:
    if fixed:
        return len(values) == len(inside) and all(fits(value, entry) for value, entry in zip(values, inside, strict=True))
    return all(fits(value, inside[0]) for value in values)


_WORDS = {
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    str: ("a text", "texts"),
    bool: ("true or false",) * 2,
    NoneType: ("null",) * 2,
}


def _words(expected: Any, plural: bool) -> list[str]:
    """What would fit an annotation, in words: its alternatives."""
    kind, inside = get_origin(expected), get_args(expected)
    if kind is Annotated:
        return [f"{words} {limit}" for words in _words(inside[0], plural) for limit in inside[1:]]
    if kind in (Union, UnionType):
        return [words for entry in inside for words in _words(entry, plural)]
    if kind is Literal:
        return [str(choice) for choice in inside]
    if kind in (Sequence, list, tuple):
        entries = list(dict.fromkeys(words for entry in inside if entry is not Ellipsis for words in _words(entry, plural=True)))
        size = f"{len(inside)} " if kind is tuple and Ellipsis not in inside else ""
        return [f"{'lists' if plural else 'a list'} of {size}{' or '.join(entries)}"]
    if kind in (Mapping, dict) or is_typeddict(expected):
        entry = " or ".join(_words(inside[1], plural=False)) if inside and get_origin(inside[1]) is Annotated else "value"
        return [f"mappings {{name: {entry}}}" if plural else f"a mapping {{name: {entry}}}"]
    return [_WORDS.get(expected, (getattr(expected, "__name__", str(expected)),) * 2)[plural]]


def in_words(expected: Any) -> str:
    """What fits an annotation, as people say it: "a whole number from 1 on or null"."""
    return " or ".join(_words(expected, plural=False))


# ---- what annotations cannot say -----------------------------------------------------------------------------------------


class Options:
    """Checks of one component's options; each raises ConfigError that names ``component`` ("decoder personlab")."""

    def __init__(self, component: str) -> None:
        self.component = component

    def check(self, option: str, given: object, fits: bool, expected: str) -> None:
        """Refuse ``given`` unless it ``fits`` what is ``expected``."""
        if not fits:
            raise ConfigError(f"{self.component}: {option} should be {expected}, got {given}")

    def number(self, option: str, given: object, interval: Interval) -> None:
        """Refuse what is no finite number of an interval."""
        self._value(option, given, Annotated[float, interval])

    def number_or_none(self, option: str, given: object, interval: Interval) -> None:
        """Refuse what is neither None nor a finite number of an interval."""
        self._value(option, given, Annotated[float, interval] | None)

    def numbers(self, option: str, given: object, interval: Interval, count: int | None = None) -> None:
        """Refuse what is no list of finite numbers of an interval: of ``count`` of them, else of at least one."""
        self._value(option, given, Sequence[Annotated[float, interval]])
        assert isinstance(given, Sequence)
        words = "at least one number" if count is None else f"{count} numbers"
        self.check(option, list(given), bool(given) if count is None else len(given) == count, words)

    def _value(self, option: str, given: object, expected: Any) -> None:
        """Refuse a value that does not fit an annotation."""
        if not _finite(given) or not fits(given, expected):
            self.check(option, given, False, " or ".join(_words(expected, plural=False)))

    def whole(self, option: str, given: object, least: int = 1) -> None:
        """Refuse what is no whole number of at least ``least``."""
        fits = isinstance(given, int) and not isinstance(given, bool) and given >= least
        self.check(option, given, fits, f"a whole number, at least {least}")

    def window(self, option: str, given: object) -> None:
        """Refuse what is no side of a neighbourhood that has a middle."""
        fits = isinstance(given, int) and given % 2 == 1 and given >= 3
        self.check(option, given, fits, "an odd number of cells, at least 3")

    def choice(self, option: str, given: str, choices: Any) -> None:
        """Refuse what is none of the ``choices``, a ``Literal``."""
        if given not in get_args(choices):
            raise ConfigError(f"{self.component}: " + unknown(f"{option} option", given, list(get_args(choices))))
