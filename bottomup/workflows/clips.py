"""People in a video's frames, with or without identities, written as they are found: what is held does not grow with the video."""

from __future__ import annotations

import contextlib
import json
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from bottomup.base_predictor import BasePredictor
from bottomup.drawing.poses import draw_instances
from bottomup.drawing.videos import Writer, video_writer
from bottomup.paths import path_of, write_json
from bottomup.tracking import Tracker
from bottomup.types import Prediction
from bottomup.videos import Clip, Picture, av_package

VIDEO = "video.mp4"


@dataclass(frozen=True)
class Following:
    """How a clip is gone through: who finds people, who follows them, and what is written where."""

    predictor: BasePredictor
    tracker: Tracker | None
    lines: Path  # the file of JSON lines
    video: Path | None  # the file that is drawn
    category_ids: Sequence[int] = (1,)  # by label


@dataclass
class Told:
    """What a run has come to so far."""

    frames: int = 0
    instances: int = 0
    identities: int = 0

    def add(self, prediction: Prediction) -> None:
        """Count a frame."""
        ids = prediction.instances.track_ids
        self.frames, self.instances = self.frames + 1, self.instances + len(prediction.instances)
        if ids is not None and len(ids):
            self.identities = max(self.identities, int(ids.max()))


def check_drawing(draw: bool) -> None:
    """Raise ConfigError where a video is to be drawn and cannot be, before anything else is done."""
    if draw:
        av_package("the video with people drawn over it (draw=false: results alone)")


def follow_clip(clip: Clip, how: Following, told: Told | None = None) -> Told:
    """Find people in every frame and write each frame's line, and picture, when it is done; ``told`` counts them.

    A camera ends by Ctrl-C. Whatever ends it early, what was written stays, and the video plays.
    """
    told = told or Told()
    with contextlib.ExitStack() as open_files:
        lines = open_files.enter_context(path_of(how.lines).open("w", encoding="utf-8"))
        draw = None if how.video is None else open_files.enter_context(video_writer(how.video, clip.frame_rate))
        if clip.live:
            open_files.enter_context(contextlib.suppress(KeyboardInterrupt))
        bar = open_files.enter_context(tqdm(total=clip.length, unit="frame", dynamic_ncols=True, disable=None, file=sys.stderr))
        for frame, prediction in people_along(clip, how.predictor, how.tracker):
            lines.write(json.dumps(_line(told.frames, prediction, clip.frame_rate, how.category_ids), allow_nan=False) + "\n")
            lines.flush()
            if draw is not None:
                _draw(draw, frame, prediction)
            told.add(prediction)
            bar.update()
    return told


def people_along(clip: Clip, predictor: BasePredictor, tracker: Tracker | None) -> Iterator[tuple[Picture, Prediction]]:
    """Each frame with its people, those of a tracker with their identities; a batch and a few frames more are held."""
    waiting: deque[Picture] = deque()

    def kept() -> Iterator[Picture]:
        for frame in clip:
            waiting.append(frame)
            yield frame

    predictions = predictor.stream(kept())
    for prediction in predictions if tracker is None else tracker.follow(predictions):
        yield waiting.popleft(), prediction


def _line(number: int, prediction: Prediction, frame_rate: float, category_ids: Sequence[int]) -> dict[str, object]:
    """One frame as a line: its number from 0 on, its time in seconds, its size and its instances as COCO's results."""
    records = replace(prediction, image_id=number + 1).to_coco(category_ids)
    height, width = prediction.size
    time = round(number / frame_rate, 4)
    return {"frame": number, "time": time, "height": height, "width": width, "instances": records}


def _draw(write: Writer, frame: Picture, prediction: Prediction) -> None:
    threshold = prediction.keypoint_threshold
    pixels = np.ascontiguousarray(frame.transpose(2, 0, 1))
    write(draw_instances(pixels, prediction.instances, prediction.skeleton, keypoint_threshold=threshold))


def read_lines(path: Path) -> Callable[[], Iterator[dict[str, object]]]:
    """What reads a file of JSON lines, one line at a time, as often as it is asked to."""

    def lines() -> Iterator[dict[str, object]]:
        with path.open(encoding="utf-8") as file:
            yield from map(json.loads, file)

    return lines


def write_summary(output: Path, told: Told, tracked: bool) -> dict[str, int]:
    """Write ``metrics.json``; returns what stands in it."""
    summary = {"frames": told.frames, "instances": told.instances}
    summary |= {"identities": told.identities} if tracked else {}
    write_json(output / "metrics.json", summary)
    return summary
