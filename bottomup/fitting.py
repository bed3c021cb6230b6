"""Whether a plain value, as YAML writes it, is of an annotation, and in words what would be.

An ``Annotated`` type carries limits, which are objects that hold the values that fit (``value in limit``), and its unit, a text.
"""

from __future__ import annotations

import math
from collections.abc import Container, Mapping, Sequence
from dataclasses import fields, is_dataclass
from numbers import Integral, Real
from os import PathLike
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

_WORDS = {
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    str: ("a text", "texts"),
    bool: ("true or false",) * 2,
    NoneType: ("null",) * 2,
    Any: ("any value", "any values"),
}


def fits(value: object, expected: Any) -> bool:
    """Whether a plain value is of an annotation: finite numbers, text, choices, lists and mappings of such; others let all pass."""
    kind, inside = get_origin(expected), get_args(expected)
    if not finite(value):
        return False
    if kind is Annotated:
        return fits(value, inside[0]) and all(value in limit for limit in _limits(inside))
    if kind in (Union, UnionType):
        return any(fits(value, entry) for entry in inside)
    if kind is Literal:
        return any(type(value) is type(choice) and value == choice for choice in inside)
    if kind in (Sequence, list, tuple):
        return isinstance(value, (list, tuple)) and _entries_fit(value, inside, fixed=kind is tuple and Ellipsis not in inside)
    if kind in (Mapping, dict):
        return isinstance(value, Mapping) and all(fits(entry, inside[1]) for entry in value.values() if inside)
    if expected in (int, float):  # true and false are numbers to Python alone
        return isinstance(value, Integral if expected is int else Real) and not isinstance(value, bool)
    if expected is str:
        return isinstance(value, (str, PathLike))
    return isinstance(value, expected) if expected in (bool, NoneType) or is_dataclass(expected) else True


def finite(value: object) -> bool:
    """Whether no number in a plain value, however deep in lists and mappings, is infinite or not a number."""
    if isinstance(value, Mapping):
        return all(finite(entry) for entry in value.values())
    if isinstance(value, (list, tuple)):
        return all(finite(entry) for entry in value)
    try:
        return not isinstance(value, Real) or math.isfinite(value)
    except OverflowError:  # a whole number beyond all floats
        return False


def choices(expected: Any) -> list[str]:
    """The names among which a ``Literal`` lets choose, however deep in the annotation."""
    if get_origin(expected) is Literal:
        return [name for name in get_args(expected) if isinstance(name, str)]
    return [name for entry in _types(expected) for name in choices(entry)]


def misspelt(value: object, expected: Any) -> str | None:
    """The text in a value, or in a list's entries, that stands where a choice should and is none."""
    kind, inside = get_origin(expected), get_args(expected)
    if kind is Literal:
        return value if isinstance(value, str) and choices(expected) and value not in inside else None
    if kind in (Sequence, list, tuple) and isinstance(value, (list, tuple)):
        return next(filter(None, (misspelt(entry, inside[0]) for entry in value)), None)
    if kind in (Annotated, Union, UnionType):
        return next(filter(None, (misspelt(value, entry) for entry in _types(expected))), None)
    return None


def unit(expected: Any) -> str | None:
    """The unit that an annotation states, however deep."""
    return next((mark for mark in marks(expected) if isinstance(mark, str)), None)


def marks(expected: Any) -> list[Any]:
    """All that the ``Annotated`` types of an annotation carry, the outermost's first."""
    own = get_args(expected)[1:] if get_origin(expected) is Annotated else ()
    return [*own, *(mark for entry in _types(expected) for mark in marks(entry))]


def group(expected: Any) -> type | None:
    """The dataclass of options that an annotation names."""
    if is_dataclass(expected) and isinstance(expected, type):
        return expected
    return next(filter(None, map(group, _types(expected))), None) if get_origin(expected) in (Annotated, Union, UnionType) else None


def words(expected: Any, plural: bool = False) -> list[str]:
    """What would fit an annotation, in words: its alternatives."""
    kind, inside = get_origin(expected), get_args(expected)
    if kind is Annotated:
        stated = [f"({text})" for text in inside[1:] if isinstance(text, str)]
        return [" ".join([" or ".join(words(inside[0], plural)), *map(str, _limits(inside)), *stated])]
    if kind in (Union, UnionType):
        return [text for entry in inside for text in words(entry, plural)]
    if kind is Literal:
        return [str(choice) for choice in inside]
    if kind in (Sequence, list, tuple):
        entries = list(dict.fromkeys(text for entry in inside if entry is not Ellipsis for text in words(entry, plural=True)))
        size = f"{len(inside)} " if kind is tuple and Ellipsis not in inside else ""
        return [f"{'lists' if plural else 'a list'} of {size}{' or '.join(entries)}"]
    if kind in (Mapping, dict):
        entry = " or ".join(words(inside[1])) if inside and get_origin(inside[1]) is Annotated else "value"
        return [f"mappings {{name: {entry}}}" if plural else f"a mapping {{name: {entry}}}"]
    if is_dataclass(expected):
        return [f"a mapping of {', '.join(field.name for field in fields(expected))}"]
    return [_WORDS.get(expected, (getattr(expected, "__name__", str(expected)),) * 2)[plural]]


def _limits(inside: Sequence[Any]) -> list[Container[Any]]:
    """Those of what an ``Annotated`` type carries that say which values fit."""
    return [limit for limit in inside[1:] if isinstance(limit, Container) and not isinstance(limit, str)]


def _types(expected: Any) -> list[Any]:
    """The types that an annotation is made of."""
    kind, inside = get_origin(expected), get_args(expected)
    return [] if kind is Literal else list(inside[:1] if kind is Annotated else inside)


def _entries_fit(values: Sequence[object], inside: Sequence[Any], fixed: bool) -> bool:
    if fixed:
        return len(values) == len(inside) and all(fits(value, entry) for value, entry in zip(values, inside, strict=True))
    return all(fits(value, inside[0]) for value in values)
