"""What ``bottomup benchmark`` is to do of each combination."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from bottomup.errors import ConfigError
from bottomup.plan.composing import load_config
from bottomup.plan.data import DataPlan
from bottomup.plan.groups import Judging, Measuring
from bottomup.plan.model import ModelPlan
from bottomup.plan.parts import Place, Viewing
from bottomup.plan.training import TrainPlan


@dataclass(frozen=True, kw_only=True)
class BenchmarkPlan:
    """One combination: how it is trained, or whose weights it has, and how it is judged and timed."""

    training: TrainPlan
    viewing: Viewing = field(default_factory=Viewing)
    judge: Judging = field(default_factory=Judging)
    measure: Measuring = field(default_factory=Measuring)
    train: bool = False
    seeds: int = 1
    learning_rates: tuple[float, ...] = ()
    learning_rate_steps: int | None = None
    weights: str | None = None
    oracle: tuple[str, ...] = ()
    max_people: int = 20

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Self:
        """The plan that a configuration makes; ConfigError for what does not fit."""
        if config["train"] and config.get("stages"):
            raise ConfigError("train=true trains at once what this experiment trains in stages; train it first, and give weights=")
        weights = config.get("weights")
        if weights is not None and not isinstance(weights, str):
            raise ConfigError(
                f"weights should be one checkpoint of each combination, got {list(weights)}; give weights=A,B for one of each, and "
                "bottomup evaluate for networks that are joined"
            )
        return cls(
            training=TrainPlan.of(config),
            viewing=Viewing.of(config),
            judge=Judging.of(config["judge"]),
            measure=Measuring.of(config["measure"]),
            train=bool(config["train"]),
            seeds=config["seeds"],
            learning_rates=tuple(float(rate) for rate in config["learning_rates"] or ()),
            learning_rate_steps=config["learning_rate_steps"],
            weights=weights,
            oracle=tuple(config["oracle"]),
            max_people=config["max_people"],
        )

    @property
    def model(self) -> ModelPlan:
        """The model that is measured."""
        return self.training.model

    @property
    def data(self) -> DataPlan:
        """The data set that it is trained and judged on."""
        return self.training.data

    @property
    def place(self) -> Place:
        """Where it writes, and on what it runs."""
        return self.training.place

    def with_model(self, model: ModelPlan) -> Self:
        """The same plan for another model, as a checkpoint's."""
        return replace(self, training=replace(self.training, model=model))

    def plain(self) -> dict[str, Any]:
        """As plain data, from which ``of`` makes it again."""
        names = ("train", "seeds", "learning_rate_steps", "weights", "max_people")
        own = {name: getattr(self, name) for name in names}
        own |= {"learning_rates": list(self.learning_rates) or None, "oracle": list(self.oracle)}
        groups = {"judge": self.judge.plain(), "measure": self.measure.plain()}
        return self.training.plain() | self.viewing.plain() | own | groups


def benchmark_plan(overrides: Sequence[str] = ()) -> BenchmarkPlan:
    """The plan of one combination of ``bottomup benchmark``; ConfigError for what does not fit."""
    return BenchmarkPlan.of(load_config("benchmark", overrides))
