"""What ``bottomup evaluate`` is to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from bottomup.plan.composing import load_config
from bottomup.plan.data import DataPlan
from bottomup.plan.model import ModelPlan
from bottomup.plan.parts import Place, Viewing, plain_names


@dataclass(frozen=True, kw_only=True)
class EvaluatePlan:
    """A model, the images that it is judged on, and how it sees them; a model without heads stands for that of ``weights``."""

    data: DataPlan
    model: ModelPlan = field(default_factory=ModelPlan)
    viewing: Viewing = field(default_factory=Viewing)
    place: Place = field(default_factory=Place)
    weights: str | Sequence[str] | None = None  # one, or several that are joined
    others: tuple[ModelPlan, ...] = ()  # of the weights after the first; none: as their checkpoints say
    oracle: tuple[str, ...] = ()  # heads whose ideal outputs, from the annotations, replace their predictions
    limit: int | None = None  # images
    max_people: int = 20  # instances an image that count
    pictures: int = 6  # of the best and of the worst images each

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Self:
        """The plan that a configuration makes; ConfigError for what does not fit."""
        return cls(
            model=ModelPlan.of(config),
            data=DataPlan.of(config["data"]),
            viewing=Viewing.of(config),
            place=Place.of(config),
            weights=config.get("weights"),
            others=tuple(map(ModelPlan.of, config.get("others") or ())),
            oracle=tuple(config["oracle"]),
            limit=config.get("limit"),
            max_people=config["max_people"],
            pictures=config["pictures"],
        )

    def plain(self) -> dict[str, Any]:
        """As plain data, from which ``of`` makes it again."""
        own: dict[str, Any] = {"weights": plain_names(self.weights), "oracle": list(self.oracle), "limit": self.limit}
        own |= {"max_people": self.max_people, "pictures": self.pictures, "data": self.data.plain()}
        own |= {"others": [other.plain() for other in self.others]} if self.others else {}
        return self.model.plain() | self.viewing.plain() | self.place.plain() | own


def evaluate_plan(overrides: Sequence[str] = ()) -> EvaluatePlan:
    """The plan of ``bottomup evaluate`` with overrides; ConfigError for what does not fit."""
    return EvaluatePlan.of(load_config("evaluate", overrides))
