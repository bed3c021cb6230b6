"""``data=synthetic_video``: clips of drawn people who walk, meet and hide, with exact identities; no file is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Annotated, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from bottomup.data._backgrounds import draw_background
from bottomup.data._figures import SEGMENTS, make_figure, paint
from bottomup.data._scenes import Actor, annotate, record, seen
from bottomup.data._walks import Walk, draw_meeting, draw_walks
from bottomup.data.synthetic import SPLITS, Split
from bottomup.dataset import DATASETS, Clips, Dataset, GroundTruth, Record
from bottomup.options import Ascending, Count, Fraction, Natural, Positive
from bottomup.skeletons import COCO
from bottomup.types import People, Sample, Task

_KEPT_CLIPS = 64  # scripts in memory, 50 kB each


class Wall(NamedTuple):
    """What people hide behind, px and RGB."""

    left: int
    right: int
    top: int
    colour: tuple[int, int, int]


class Script(NamedTuple):
    """What happens in one clip."""

    background: NDArray[np.uint8]  # (H, W, 3)
    walks: list[Walk]  # far to near
    walls: list[Wall]


class Shot(NamedTuple):
    """One frame: its image (H, W, 3), whose segment is seen where, its people, and how much of each one's silhouette shows."""

    image: NDArray[np.uint8]
    labels: NDArray[np.int16]
    cast: list[Actor]
    shares: list[float]


@DATASETS.register
class SyntheticVideo(Dataset, Clips):
    """People who walk before a still background and meet, COCO's keypoints; every frame a function of (seed, split, clip, frame).

    Two by two they come from either side, and where they meet they pass one another or, the share ``turning`` of the pairs, both
    turn round; at the share ``hiding`` of the meetings that is behind a wall. ``clips`` is how many there are (None: 1,000 of
    "train", 20 of the others), each of ``frames``; ``size`` is the side of the square frames in px, ``people`` the range of their
    number, ``height`` the range of their standing height as a fraction of the side, ``seed`` where chance begins; ``split`` "val"
    and "test" have other clips than "train".

    Annotations have a ``track_id``, the same in all frames of a clip, and ``visible_share``, how much of the silhouette shows;
    images have ``vid_id`` and ``frame_id``. Who does not show at all is not annotated in that frame.
    """

    def __init__(
        self,
        *,
        split: Split = "train",
        clips: Count | None = None,
        frames: Count = 60,
        size: Annotated[Count, "px"] = 128,
        people: Annotated[tuple[Count, Count], Ascending()] = (2, 3),
        height: Annotated[tuple[Positive, Positive], Ascending(), "sides of the image"] = (0.55, 0.8),
        turning: Fraction = 0.5,
        hiding: Fraction = 0.5,
        seed: Natural = 0,
    ) -> None:
        self.task = Task(COCO)
        self.split, self.size, self.seed, self.frames = split, size, seed, frames
        self.number, self.height, self.turning, self.hiding = tuple(people), tuple(height), turning, hiding
        self.clips = clips if clips is not None else 1000 if split == "train" else 20
        self.image_ids = list(range(1, self.clips * frames + 1))
        self._script = lru_cache(_KEPT_CLIPS)(self._drawn_script)

    def clip(self, number: int) -> range:
        """The indices of the frames of a clip, counted from 0."""
        return range(number * self.frames, (number + 1) * self.frames)

    def sample(self, index: int, maps: frozenset[str]) -> Sample:
        """Draw one frame with its people."""
        return self._sample(index, self._shot(index), maps)

    def _sample(self, index: int, shot: Shot, maps: frozenset[str]) -> Sample:
        people, instances = annotate(shot.cast, shot.labels)
        numbers = np.array(seen(shot.cast, shot.labels), np.int64)
        people = replace(people, tracks=index // self.frames * self.number[1] + numbers)
        return Sample(
            image=shot.image.transpose(2, 0, 1),
            people=people,
            ignore=dict.fromkeys(maps - {"instances", "padding"}, np.zeros((self.size, self.size), bool)),
            instances=instances if "instances" in maps else None,
            image_id=self.image_ids[index],
            file_size=(self.size, self.size),
            to_input=np.eye(2, 3),
        )

    def in_clips(self, together: int, seed: int) -> list[int]:
        """As every data set of clips; frames of a group are drawn from all of their clip, and what makes no group is left out."""
        rng = np.random.default_rng(seed)
        groups = [rng.permutation(self.clip(clip))[: self.frames // together * together] for clip in range(self.clips)]
        chunks = np.concatenate([group.reshape(-1, together) for group in groups])
        return [int(index) for index in rng.permutation(chunks).ravel()]

    def people(self, index: int) -> People:
        """The people of one frame; it is drawn, as who covers whom decides what is visible."""
        return self.sample(index, frozenset()).people

    def track_ids(self, index: int) -> NDArray[np.int64]:
        """(N,) who each of a frame's people is, from 1 on."""
        shot = self._shot(index)
        return np.array(seen(shot.cast, shot.labels), np.int64) + 1

    def image_size(self, index: int) -> tuple[int, int]:
        """The (H, W) of every frame in px; nothing is drawn for it."""
        return self.size, self.size

    def ground_truth(self, indices: Sequence[int] | None = None) -> GroundTruth:
        """The frames' annotations in COCO's format with identities, masks as compressed RLE; every frame is drawn for it."""
        images: list[Record] = []
        annotations: list[Record] = []
        for index in range(len(self)) if indices is None else indices:
            clip, frame = divmod(index, self.frames)
            shot = self._shot(index)
            sample = self._sample(index, shot, frozenset({"instances"}))
            name = f"{self.split}_{clip:04d}/{frame:06d}.png"
            own = {"vid_id": clip + 1, "frame_id": frame, "is_labeled": True, "nframes": self.frames}
            images.append({"id": sample.image_id, "width": self.size, "height": self.size, "file_name": name, **own})
            for n, person in enumerate(seen(shot.cast, shot.labels)):
                who = {"track_id": person + 1, "visible_share": shot.shares[person]}
                annotations.append(record(sample, n, len(annotations) + 1) | who)
        category = {"id": 1, "name": "person", "keypoints": list(COCO.keypoints), "skeleton": []}
        return {"images": images, "annotations": annotations, "categories": [category]}

    def _drawn_script(self, clip: int) -> Script:
        rng = np.random.default_rng((self.seed, SPLITS[self.split], clip))
        (fewest, most), (low, high) = self.number, self.height
        number = int(rng.integers(fewest, most + 1))
        meetings = [draw_meeting(rng, self.size, self.frames, self.turning) for _ in range((number + 1) // 2)]
        heights = (low + (high - low) * rng.random(number)) * self.size
        walls = [self._wall(rng, meeting.place) for meeting in meetings if rng.random() < self.hiding]
        return Script(draw_background(rng, self.size), draw_walks(rng, meetings, heights, self.size, self.frames), walls)

    def _wall(self, rng: np.random.Generator, place: float) -> Wall:
        """A wall before a place, wide and high enough for somebody to hide behind it."""
        half = (0.09 + 0.05 * rng.random()) * self.size
        red, green, blue = rng.integers(30, 220, 3).tolist()
        return Wall(round(place - half), round(place + half), round((0.05 + 0.1 * rng.random()) * self.size), (red, green, blue))

    def _shot(self, index: int) -> Shot:
        clip, frame = divmod(index, self.frames)
        script, key = self._script(clip), (self.seed, SPLITS[self.split], clip)
        cast = []
        for person, walk in enumerate(script.walks):
            clothes = np.random.default_rng((*key, 0, person))  # the same in every frame
            centre = walk.centre(frame)
            cast.append(Actor(make_figure(clothes, centre, walk.height, walk.pose(frame)), centre, walk.height))
        image, labels = script.background.copy(), np.zeros((self.size, self.size), np.int16)
        areas = []
        for person, actor in enumerate(cast):
            paint(actor.figure, image, labels, person)
            areas.append(int((labels - 1 >= person * SEGMENTS).sum()))  # nothing nearer is painted yet
        for wall in script.walls:
            window = slice(wall.top, None), slice(max(wall.left, 0), wall.right)
            image[window], labels[window] = wall.colour, 0
        noise = np.random.default_rng((*key, 1, frame)).integers(0, 24, (self.size, self.size, 1), dtype=np.uint8)
        image = np.asarray(cv2.subtract(image, np.repeat(noise, 3, axis=2)), dtype=np.uint8)
        shown = np.bincount(((labels - 1) // SEGMENTS + 1).ravel(), minlength=len(cast) + 1)[1:]
        return Shot(image, labels, cast, (shown / np.maximum(areas, 1)).tolist())
