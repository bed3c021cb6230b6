"""What ``bottomup export`` is to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from bottomup.plan.composing import load_config
from bottomup.plan.model import ModelPlan
from bottomup.plan.parts import Viewing


@dataclass(frozen=True, kw_only=True)
class ExportPlan:
    """A model, what is worth showing of what it finds, and the file that is written."""

    model: ModelPlan
    viewing: Viewing = field(default_factory=Viewing)  # one view; its thresholds alone count
    weights: str | None = None
    output: str | None = None
    format: Literal["onnx", "torch"] = "onnx"
    sides: tuple[int, int] | None = None
    overwrite: bool = False  # what an earlier run wrote

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Self:
        """The plan that a configuration makes; ConfigError for what does not fit."""
        sides, output = config.get("sides"), config.get("output")
        return cls(
            model=ModelPlan.of(config),
            viewing=Viewing(score_threshold=config.get("score_threshold"), keypoint_threshold=config.get("keypoint_threshold")),
            weights=config.get("weights"),
            output=None if output is None else str(output),
            format=config["format"],
            sides=None if sides is None else (sides[0], sides[1]),
            overwrite=bool(config.get("overwrite")),
        )

    def plain(self) -> dict[str, Any]:
        """As plain data, from which ``of`` makes it again."""
        own = {name: getattr(self, name) for name in ("weights", "output", "format", "overwrite")}
        thresholds = {name: getattr(self.viewing, name) for name in ("score_threshold", "keypoint_threshold")}
        return self.model.plain() | thresholds | own | {"sides": None if self.sides is None else list(self.sides)}


def export_plan(overrides: Sequence[str] = ()) -> ExportPlan:
    """The plan of ``bottomup export`` with overrides; ConfigError for what does not fit."""
    return ExportPlan.of(load_config("export", overrides))
