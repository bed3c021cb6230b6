"""``bottomup track``: people along a video, and who is who.

Each frame's people are written as they are found, a line of JSON, and drawn into a video, each in a colour of their own; at the end
everybody's way stands in one file as PoseTrack18 has them. Networks, views and thresholds are as of ``bottomup predict``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bottomup.base_predictor import BasePredictor
from bottomup.commands.predict import check_asked, clip_of, ready
from bottomup.errors import counted
from bottomup.image_files import ImageReader
from bottomup.images import find_images
from bottomup.plan.tracking import TrackPlan, track_plan
from bottomup.tracking.posetrack import write_posetrack
from bottomup.videos import Clip, frame_folder
from bottomup.workflows.clips import VIDEO, Following, Told, check_drawing, follow_clip, read_lines, write_summary
from bottomup.workflows.folders import alone, check_results_folder, write_config
from bottomup.workflows.models import seen


def run(overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Track as the overrides say; returns ``{"frames": …, "instances": …, "identities": …}``."""
    plan = track_plan(overrides)
    check_asked(plan.predicting, "a video, or a folder of its frames")
    check_drawing(plan.predicting.draw)
    clip = _clip(plan)
    predicting, predictor = ready(plan.predicting, overrides)
    plan = replace(plan, predicting=predicting)
    output = predicting.place.folder("track")
    check_results_folder(output, overwrite=predicting.overwrite)
    with alone(output):
        write_config(output, plan.plain())
        return _track(plan, clip, predictor, output)


def _clip(plan: TrackPlan) -> Clip:
    """The frames that are asked for; DataError where there are none."""
    asked = plan.predicting
    clip = clip_of(asked)
    if clip is None:
        reader = ImageReader(asked.viewing.orientation or "upright", asked.viewing.bit_depth)
        clip = frame_folder(find_images(str(asked.images)), reader).first(asked.limit)
    return clip if plan.frame_rate is None else replace(clip, frame_rate=plan.frame_rate)


def _track(plan: TrackPlan, clip: Clip, predictor: BasePredictor, output: Path) -> dict[str, Any]:
    frames = max((stack.last.frames for _, stack in predictor.model.stacks()), default=1)
    tracker = plan.make_tracker(predictor.skeleton, clip.frame_rate, frames)
    numbers = tuple(range(1, len(predictor.model.task.categories) + 1))
    lines, video = output / "tracks.jsonl", output / VIDEO if plan.predicting.draw else None
    told = Told()
    try:
        follow_clip(clip, Following(predictor, tracker, lines, video, numbers), told)
    finally:  # whatever ends it early, nothing found so far is lost
        written = [path for path in (lines, video) if path is not None]
        if predictor.skeleton is not None:
            written.append(
                write_posetrack(output / "posetrack.json", read_lines(lines), predictor.skeleton, video=Path(clip.name).stem)
            )
        summary = write_summary(output, told, tracked=True)
    identities, instances = counted(told.identities, "identity", "identities"), counted(told.instances, "instance")
    found = f"{identities}, {instances} in {counted(told.frames, 'frame')}, {seen(predictor)}"
    print(f"{found}: {', '.join(map(str, written))}")
    return summary
