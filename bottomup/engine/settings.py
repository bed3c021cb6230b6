"""How a model is trained, checked before anything is built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Annotated, Self

import numpy as np
import torch
from numpy.typing import NDArray

from bottomup.engine.objective import LOSS
from bottomup.engine.optim import Average, Optimiser, Schedule
from bottomup.errors import ConfigError
from bottomup.options import Count, Natural, Positive, check_options, checked, made
from bottomup.precision import Asked, precision_on


@checked("engine")
@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a model is trained; ``batch_size`` counts the images of one step over all ranks and accumulation steps.

    ``steps`` of the optimiser are taken; fewer where ``stop_after`` validations in a row bring nothing better. ``accumulate`` cuts
    a rank's share of a step into micro-batches. ``precision`` is the number format that the network runs in, "auto" bf16 where the
    device has instructions for it and fp32 elsewhere; ``channels_last`` is the memory layout in which convolutions are fastest;
    ``compile`` lets torch compile the model. ``clip`` is what the gradient's norm is cut to. ``average_from`` is the step from
    which weights are averaged. ``validate_every``, ``checkpoint_every`` and ``log_every`` say how often the model is judged, is
    saved, and its losses are written; 0 is never. ``tensorboard`` writes them for TensorBoard, too. ``best`` names the validation
    figure that chooses best.pt, and of which plateaux are: of losses the least, of all others the greatest. ConfigError for what
    does not fit.
    """

    steps: Count
    batch_size: Annotated[Count, "images"]
    accumulate: Count = 1
    precision: Asked = "fp32"
    channels_last: bool = True
    compile: bool = False
    clip: Positive | None = None
    optimiser: Optimiser = field(default_factory=Optimiser)
    schedule: Schedule = field(default_factory=Schedule)
    average: Average | None = None
    average_from: Annotated[Natural, "steps"] = 0
    validate_every: Annotated[Natural, "steps"] = 0
    checkpoint_every: Annotated[Natural, "steps"] = 1000
    log_every: Annotated[Natural, "steps"] = 20
    tensorboard: bool = True
    best: str = "AP"
    stop_after: Annotated[Count, "validations"] | None = None

    @classmethod
    def of(cls, options: Mapping[str, object]) -> Self:
        """Settings from a configuration; ConfigError for a misspelt option."""
        check_options("engine", cls, options)
        return made(cls, options=options)

    def plain(self) -> dict[str, object]:
        """As plain data, from which ``of`` makes them again."""
        own = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        average = self.average.plain() if self.average else None
        return own | {"optimiser": self.optimiser.plain(), "schedule": self.schedule.plain(), "average": average}

    def on(self, device: torch.device) -> Self:
        """The same with the precision that a device runs in."""
        return replace(self, precision=precision_on(device, self.precision))

    def at_rate(self, rate: float) -> Self:
        """The same at another learning rate."""
        return replace(self, optimiser=self.optimiser.at_rate(rate))

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
