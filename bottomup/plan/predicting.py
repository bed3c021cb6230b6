"""What ``bottomup predict`` is to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from bottomup.plan.composing import load_config
from bottomup.plan.model import ModelPlan
from bottomup.plan.parts import Place, Viewing, plain_names


@dataclass(frozen=True, kw_only=True)
class PredictPlan:
    """A model, the images in which it finds people, and how it sees them."""

    model: ModelPlan
    viewing: Viewing = field(default_factory=Viewing)
    place: Place = field(default_factory=Place)
    weights: str | Sequence[str] | None = None  # one, or several that are joined
    others: tuple[ModelPlan, ...] = ()  # of the weights after the first; none: as their checkpoints say
    images: str | None = None  # an image, a folder, a glob or a video
    camera: int | None = None  # instead of images
    limit: int | None = None  # images, the first by name
    annotations: str | None = None  # a COCO file of which images are predicted, with its image ids
    image_info: str | None = None  # the same, of a test split
    draw: bool = True  # the people over each image
    maps: bool = False  # also draw what the network says
    format: Literal["coco", "jsonl", "parquet"] = "coco"  # of the results
    resume: bool = False  # go on with what an interrupted run left
    overwrite: bool = False  # what an earlier run wrote

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Self:
        """The plan that a configuration makes; ConfigError for what does not fit."""
        return cls(
            model=ModelPlan.of(config),
            viewing=Viewing.of(config),
            place=Place.of(config),
            weights=config.get("weights"),
            others=tuple(map(ModelPlan.of, config.get("others") or ())),
            images=config.get("images"),
            camera=config.get("camera"),
            limit=config.get("limit"),
            annotations=config.get("annotations"),
            image_info=config.get("image_info"),
            draw=bool(config["draw"]),
            maps=bool(config["maps"]),
            format=config.get("format", "coco"),
            resume=bool(config.get("resume")),
            overwrite=bool(config.get("overwrite")),
        )

    def plain(self) -> dict[str, Any]:
        """As plain data, from which ``of`` makes it again."""
        names = ("images", "camera", "limit", "annotations", "image_info", "draw", "maps", "format", "resume", "overwrite")
        own = {"weights": plain_names(self.weights)} | {name: getattr(self, name) for name in names}
        own |= {"others": [other.plain() for other in self.others]} if self.others else {}
        return self.model.plain() | self.viewing.plain() | self.place.plain() | own


def predict_plan(overrides: Sequence[str] = ()) -> PredictPlan:
    """The plan of ``bottomup predict`` with overrides; ConfigError for what does not fit."""
    return PredictPlan.of(load_config("predict", overrides))
