"""The groups among the keys that commands read themselves: their annotations say what fits, in YAML and in Python alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal, Self

from bottomup.options import BelowOne, Count, Fraction, Natural, NotEmpty, Positive, checked


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


@checked("refine")
@dataclass(frozen=True, kw_only=True)
class Refining(_Group):
    """How poses are refined by a single-person network, if they are."""

    weights: str | None = None  # of the network; None refines nothing
    scale: Positive = 1.3  # of a pose's box: the sides of its crop
    sizes: Annotated[Sequence[Positive], NotEmpty()] = (1.0,)  # of the network's own input size, at which a crop is seen
    rule: Literal["surer", "threshold"] = "surer"  # a keypoint moves where the network is surer of it, or above the threshold
    threshold: BelowOne = 0.15  # above which score a keypoint that was found moves
    agreement: Fraction = 0.2  # of a pose's keypoints that the network finds in their place, or its crop is rejected
    distance: Annotated[Positive, "px of the network's input"] = 10.0  # that is still the place


@checked("impute")
@dataclass(frozen=True, kw_only=True)
class Imputing(_Group):
    """Which keypoints a single-person network gives to people who have none."""

    scale: Positive = 1.3  # of a person's box: the sides of its crop
    threshold: BelowOne = 0.15  # above which score a keypoint is imputed


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
