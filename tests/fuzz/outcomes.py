"""What became of fuzzed input: read, refused by one sentence of ours, or skipped and counted; anything else fails a test."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

from bottomup.errors import BottomupError

T = TypeVar("T")

COUNTS: dict[str, Counter[str]] = {}  # of each kind of input, by outcome


def outcome(kind: str, read: Callable[[], T]) -> T | None:
    """What ``read`` gives; None where it refuses by an error of ours, which has one line. Any other exception goes on."""
    counts = COUNTS.setdefault(kind, Counter())
    told = ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = read()
    except BottomupError as error:
        told, found = str(error), None
    assert "\n" not in told, f"no one sentence: {told}"
    counts["refused" if told else "read"] += 1
    return found


def table() -> list[str]:
    """A line for each kind of input."""
    return [f"{kind}: {', '.join(f'{n} {name}' for name, n in sorted(counts.items()))}" for kind, counts in COUNTS.items()]


def paths_of(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value within plain data."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, entry in inner for found in [(*path, key), *paths_of(entry, (*path, key))]]


def put(data: Any, path: tuple[Any, ...], value: Any) -> None:
    """Put a value at a path of plain data."""
    for key in path[:-1]:
        data = data[key]
    data[path[-1]] = value
