"""What ``bottomup page`` is to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from bottomup.plan.composing import load_config
from bottomup.plan.model import ModelPlan
from bottomup.plan.overrides import key_of
from bottomup.plan.parts import Viewing, names_of

_OF_MODEL = ("decoder", "heads", "necks", "backbone", "side", "method")  # what ``bottomup.load`` takes as overrides


@dataclass(frozen=True, kw_only=True)
class PagePlan:
    """The networks of a page, how each is shown, and the file that is written."""

    model: ModelPlan
    viewing: Viewing = field(default_factory=Viewing)  # one view; its thresholds alone count
    weights: tuple[str, ...] = ()
    output: str | None = None
    overwrite: bool = False  # what an earlier run wrote
    title: str = ""
    images: str | None = None  # examples that the page offers
    hover: tuple[str, ...] = ()
    stored_as: Literal["int20", "float32"] = "int20"
    onnxruntime_web: str | None = None

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Self:
        """The plan that a configuration makes; ConfigError for what does not fit."""
        texts = {name: None if config[name] is None else str(config[name]) for name in ("output", "images", "onnxruntime_web")}
        return cls(
            model=ModelPlan.of(config),
            viewing=Viewing(score_threshold=config.get("score_threshold"), keypoint_threshold=config.get("keypoint_threshold")),
            weights=tuple(names_of(config["weights"])),
            overwrite=bool(config["overwrite"]),
            title=str(config["title"]),
            hover=tuple(config["hover"]),
            stored_as=config["stored_as"],
            **texts,
        )

    def options(self, overrides: Sequence[str]) -> dict[str, Any]:
        """With which options ``bottomup.load`` does what the page does, of what was typed; input sizes are the networks' own."""
        thresholds = {name: getattr(self.viewing, name) for name in ("score_threshold", "keypoint_threshold")}
        typed = [override for override in overrides if key_of(override).partition(".")[0] in _OF_MODEL]
        return {name: value for name, value in thresholds.items() if value is not None} | ({"overrides": typed} if typed else {})


def page_plan(overrides: Sequence[str] = ()) -> PagePlan:
    """The plan of ``bottomup page`` with overrides; ConfigError for what does not fit."""
    return PagePlan.of(load_config("page", overrides))
