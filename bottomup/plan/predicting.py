"""What ``bottomup predict`` is to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from bottomup.plan.composing import load_config
from bottomup.plan.model import ModelPlan
from bottomup.plan.parts import Place, Viewing


@dataclass(frozen=True, kw_only=True)
class PredictPlan:
    """A model, the images in which it finds people, and how it sees them."""

    model: ModelPlan
    viewing: Viewing = field(default_factory=Viewing)
    place: Place = field(default_factory=Place)
    weights: str | None = None
    images: str | None = None  # an image, a folder or a glob
    maps: bool = False  # also draw what the network says

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Self:
        """The plan that a configuration makes; ConfigError for what does not fit."""
        return cls(
            model=ModelPlan.of(config),
            viewing=Viewing.of(config),
            place=Place.of(config),
            weights=config.get("weights"),
            images=config.get("images"),
            maps=bool(config["maps"]),
        )

    def plain(self) -> dict[str, Any]:
        """As plain data, from which ``of`` makes it again."""
        own = {"weights": self.weights, "images": self.images, "maps": self.maps}
        return self.model.plain() | self.viewing.plain() | self.place.plain() | own


def predict_plan(overrides: Sequence[str] = ()) -> PredictPlan:
    """The plan of ``bottomup predict`` with overrides; ConfigError for what does not fit."""
    return PredictPlan.of(load_config("predict", overrides))
