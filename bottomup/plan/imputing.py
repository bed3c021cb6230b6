"""What ``bottomup impute`` is to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from bottomup.plan.composing import load_config
from bottomup.plan.data import DataPlan
from bottomup.plan.groups import Imputing
from bottomup.plan.parts import Place, Viewing


@dataclass(frozen=True, kw_only=True)
class ImputePlan:
    """A single-person network, and the images whose people it gives the keypoints that nobody annotated."""

    data: DataPlan
    place: Place = field(default_factory=Place)  # whose output is the file that is written
    viewing: Viewing = field(default_factory=Viewing)
    weights: str | None = None
    impute: Imputing = field(default_factory=Imputing)
    limit: int | None = None  # images
    overwrite: bool = False

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Self:
        """The plan that a configuration makes; ConfigError for what does not fit."""
        return cls(
            data=DataPlan.of(config["data"]),
            place=Place.of(config),
            viewing=Viewing.of(config),
            weights=config.get("weights"),
            limit=config.get("limit"),
            overwrite=bool(config.get("overwrite")),
            impute=Imputing.of(config.get("impute")),
        )

    def plain(self) -> dict[str, Any]:
        """As plain data, from which ``of`` makes it again."""
        views = {name: value for name, value in self.viewing.plain().items() if name in ("scales", "precision")}
        own = {"weights": self.weights, "limit": self.limit, "overwrite": self.overwrite}
        return {"data": self.data.plain(), "impute": self.impute.plain()} | views | self.place.plain() | own


def impute_plan(overrides: Sequence[str] = ()) -> ImputePlan:
    """The plan of ``bottomup impute`` with overrides; ConfigError for what does not fit."""
    return ImputePlan.of(load_config("impute", overrides))
