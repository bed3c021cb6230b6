"""How a model is trained, checked before anything is built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from bottomup.engine.objective import LOSS
from bottomup.engine.optim import make_average, make_optimiser, make_schedule
from bottomup.errors import ConfigError
from bottomup.options import Count, Natural, Positive, check_options
from bottomup.precision import PRECISIONS, Precision
from bottomup.registry import unknown


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a model is trained; ``batch_size`` counts the images of one step over all ranks and accumulation steps.

    ``accumulate`` cuts a rank's share of a step into micro-batches. ``average_from`` is the step from which weights are
    averaged. Intervals are in steps; 0 switches off. ConfigError for what does not fit.
    """

    steps: Count
    batch_size: Count
    accumulate: Count = 1
    precision: Precision = "fp32"
    channels_last: bool = True
    compile: bool = False
    clip: Positive | None = None  # of the gradient's norm
    optimiser: Mapping[str, Any] = field(default_factory=dict)
    schedule: Mapping[str, Any] = field(default_factory=dict)
    average: Mapping[str, Any] | None = None
    average_from: Natural = 0
    validate_every: Natural = 0
    checkpoint_every: Natural = 1000
    log_every: Natural = 20
    tensorboard: bool = True
    best: str = "AP"  # the validation figure that chooses best.pt: of losses the least, of all others the greatest

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """Settings from a configuration; ConfigError for a misspelt option."""
        check_options("engine", cls, options)
        return cls(**options)

    def __post_init__(self) -> None:
        check_options("engine", type(self), vars(self))
        if self.precision not in PRECISIONS:
            raise ConfigError("engine: " + unknown("precision", self.precision, list(PRECISIONS)))
        check_options("engine.optimiser", make_optimiser, self.optimiser)
        check_options("engine.schedule", make_schedule, self.schedule)
        if self.average is not None:
            check_options("engine.average", make_average, self.average)

    @property
    def best_is_least(self) -> bool:
        """Whether the figure that chooses best.pt is a loss."""
        return self.best == LOSS or self.best.startswith(f"{LOSS}/")

    def micro_batch(self, world: int) -> int:
        """How many images one rank sees at once; ConfigError where a step does not divide."""
        parts = world * self.accumulate
        if self.batch_size % parts:
            raise ConfigError(
                f"engine.batch_size {self.batch_size} does not divide into {world} ranks x {self.accumulate} accumulation steps"
            )
        return self.batch_size // parts


@dataclass(frozen=True)
class Validation:
    """What a validation found: figures, and pictures (H, W, 3) RGB for the log."""

    metrics: dict[str, float]
    pictures: dict[str, NDArray[np.uint8]] = field(default_factory=dict)
