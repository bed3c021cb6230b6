"""PoseTrack18's files: people of a video's frames with identities, written from frames that are read one at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from bottomup.paths import written_whole
from bottomup.skeletons import POSETRACK18, Skeleton

_ADDED = ("head_bottom", "head_top")  # what PoseTrack annotates and other data sets of bodies do not

Frames = Callable[[], Iterable[dict[str, Any]]]  # each frame's ``height``, ``width`` and ``instances``: COCO results with track_id


def write_posetrack(path: str | Path, frames: Frames, skeleton: Skeleton, *, video: str, video_id: int = 1) -> Path:
    """Write one video's file as PoseTrack18 has it, whole or not at all; whoever has no identity is left out.

    ``frames`` gives the frames in their order, anew at each call, so that no video is too long for memory. Bodies that have all of
    PoseTrack's keypoints but the ends of the head are written in its order, with those as not found; any other skeleton in its own.
    """
    is_body = set(POSETRACK18.keypoints) - set(_ADDED) <= set(skeleton.keypoints)
    names = POSETRACK18.keypoints if is_body else skeleton.keypoints
    places = [skeleton.index(name) if name in skeleton.keypoints else None for name in names]
    category = {"id": 1, "name": "person", "supercategory": "person", "keypoints": list(names), "skeleton": []}
    count = sum(1 for _ in frames())
    with written_whole(path) as file:

        def write_all(key: str, records: Iterator[dict[str, Any]]) -> None:
            file.write(f'"{key}": ['.encode())
            for number, record in enumerate(records):
                file.write(((",\n" if number else "\n") + json.dumps(record, allow_nan=False)).encode())
            file.write(b"]")

        file.write(b"{")
        write_all("images", _images(frames, video, video_id, count))
        file.write(b",\n")
        write_all("annotations", _annotations(frames, places, video_id))
        file.write(b",\n")
        write_all("categories", iter([category]))
        file.write(b"}\n")
    return Path(path)


def _images(frames: Frames, video: str, video_id: int, count: int) -> Iterator[dict[str, Any]]:
    for number, frame in enumerate(frames()):
        yield {
            "id": _image_id(video_id, number),
            "file_name": f"images/{video}/{number:06d}.jpg",
            "vid_id": f"{video_id:06d}",
            "frame_id": _image_id(video_id, number),
            "nframes": count,
            "is_labeled": True,
            "has_no_densepose": True,
            "height": frame["height"],
            "width": frame["width"],
        }


def _annotations(frames: Frames, places: list[int | None], video_id: int) -> Iterator[dict[str, Any]]:
    for number, frame in enumerate(frames()):
        image_id, people = _image_id(video_id, number), 0
        for instance in frame["instances"]:
            if instance["track_id"] < 1:
                continue
            points, scores = _keypoints(instance["keypoints"], places)
            yield {
                "id": image_id * 100 + people,
                "image_id": image_id,
                "category_id": 1,
                "track_id": instance["track_id"],
                "bbox": instance["bbox"],
                "keypoints": points,
                "scores": scores,
            }
            people += 1


def _keypoints(flat: list[float], places: list[int | None]) -> tuple[list[float], list[float]]:
    """Keypoints as x, y and 1 where one was found, and their scores, in another order; what has no place was not found."""
    points, scores = list[float](), list[float]()
    for place in places:
        x, y, score = (0.0, 0.0, 0.0) if place is None else flat[3 * place : 3 * place + 3]
        points += [x, y, 1 if score > 0 else 0]
        scores.append(score)
    return points, scores


def _image_id(video_id: int, number: int) -> int:
    """PoseTrack18's: 1, the video in six digits, the frame in four."""
    return 10**10 + video_id * 10**4 + number
