"""What ``bottomup track`` is to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from bottomup.options import made
from bottomup.plan.composing import load_config
from bottomup.plan.predicting import PredictPlan
from bottomup.skeletons import Skeleton
from bottomup.tracking import Tracker

_NOT_OF_TRACKING = ("maps", "annotations", "image_info")  # keys of prediction


@dataclass(frozen=True, kw_only=True)
class TrackPlan:
    """How people are found in the frames of a video, and how they are followed."""

    predicting: PredictPlan
    tracker: Mapping[str, Any] = field(default_factory=dict)  # options of Tracker
    smooth: bool = False  # keypoints along time
    frame_rate: float | None = None  # Hz; None: the video's own

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Self:
        """The plan that a configuration makes; ConfigError for what does not fit."""
        plan = cls(
            predicting=PredictPlan.of({**config, "maps": False}),
            tracker=dict(config["tracker"]),
            smooth=bool(config["smooth"]),
            frame_rate=config["frame_rate"],
        )
        plan.make_tracker(None, 1.0)  # says what does not fit before a network is fetched
        return plan

    def make_tracker(self, skeleton: Skeleton | None, frame_rate: float, frames: int = 1) -> Tracker:
        """The tracker of a video of a frame rate in Hz; tags have a say where they were trained over several ``frames``."""
        smoothing = {"smoothing": self.tracker.get("smoothing") or {}} if self.smooth else {}
        cues = {"cues": {"tags": float(frames > 1), **(self.tracker.get("cues") or {})}}
        return made(Tracker, skeleton, options={"frame_rate": frame_rate, **self.tracker, **cues, **smoothing})

    def plain(self) -> dict[str, Any]:
        """As plain data, from which ``of`` makes it again."""
        found = {name: value for name, value in self.predicting.plain().items() if name not in _NOT_OF_TRACKING}
        return found | {"tracker": dict(self.tracker), "smooth": self.smooth, "frame_rate": self.frame_rate}


def track_plan(overrides: Sequence[str] = ()) -> TrackPlan:
    """The plan of ``bottomup track`` with overrides; ConfigError for what does not fit."""
    return TrackPlan.of(load_config("track", overrides))
