"""How a model is trained, checked before anything is built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from bottomup.errors import ConfigError
from bottomup.registry import unknown

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Settings:
    """How a model is trained; ``batch_size`` counts the images of one step over all ranks and accumulation steps.

    ``accumulate`` cuts a rank's share of a step into micro-batches. ``average_from`` is the step from which weights are
    averaged. Intervals are in steps; 0 switches off.
    """

    steps: int
    batch_size: int
    accumulate: int = 1
    precision: str = "fp32"
    channels_last: bool = True
    compile: bool = False
    clip: float | None = None  # of the gradient's norm
    optimiser: Mapping[str, Any] = field(default_factory=dict)
    schedule: Mapping[str, Any] = field(default_factory=dict)
    average: Mapping[str, Any] | None = None
    average_from: int = 0
    validate_every: int = 0
    checkpoint_every: int = 1000
    log_every: int = 20
    tensorboard: bool = True
    best: str = "AP"  # the validation figure that chooses best.pt

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """Settings from a configuration; ConfigError for a misspelt option."""
        known = list(cls.__dataclass_fields__)
        for option in options:
            if option not in known:
                raise ConfigError("engine: " + unknown("option", option, known))
        return cls(**options)

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise ConfigError("engine: " + unknown("precision", self.precision, list(PRECISIONS)))
        for name in ("steps", "batch_size", "accumulate"):
            if getattr(self, name) < 1:
                raise ConfigError(f"engine.{name} should be at least 1, got {getattr(self, name)}")

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
