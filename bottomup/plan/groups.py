"""The groups among the keys that commands read themselves: their annotations say what fits, in YAML and in Python alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from bottomup.options import Count, Natural, checked


@dataclass(frozen=True, kw_only=True)
class _Group:
    """A group of keys."""

    @classmethod
    def of(cls, given: Mapping[str, Any] | None) -> Self:
        """The group that a configuration says; ConfigError for what does not fit."""
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in (given or {}).items()})

    def plain(self) -> dict[str, Any]:
        """As plain data, from which ``of`` makes it again."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


@checked("validation")
@dataclass(frozen=True, kw_only=True)
class Validating(_Group):
    """How a training run is judged on the way."""

    limit: Count | None = None  # images
    flip: bool = False
    max_people: Count = 20  # instances an image that count


@checked("judge")
@dataclass(frozen=True, kw_only=True)
class Judging(_Group):
    """The images that a benchmark's figures are of."""

    split: str | int | None = None  # default: data.val_split
    limit: Count | None = None


@checked("measure")
@dataclass(frozen=True, kw_only=True)
class Measuring(_Group):
    """How a benchmark takes times, and how many pictures it shows."""

    runs: Count | None = 20  # None times nothing
    batch_sizes: Sequence[Count] = (1, 8)
    training_steps: Natural = 5
    pictures: Natural = 4
    compile: bool = False  # before timing
