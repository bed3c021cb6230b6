"""``data=synthetic``: drawn people with exact keypoints, masks and boxes; no file is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from bottomup.data._backgrounds import draw_background, draw_occluder
from bottomup.data._figures import SEGMENTS, Figure, make_figure, paint, visibility
from bottomup.data._poses import draw_pose
from bottomup.data._scenes import Actor, annotate, record
from bottomup.data._things import Thing, make_thing
from bottomup.dataset import DATASETS, Dataset, GroundTruth, Record
from bottomup.options import Ascending, Count, Fraction, FromZero, Natural, Positive
from bottomup.skeletons import COCO
from bottomup.types import People, Sample, Task

Split = Literal["train", "val", "test"]

SPLITS = {"train": 0, "val": 1, "test": 2}  # part of the seed
_ATTEMPTS = 12  # images drawn before whoever is hidden is sent away
_FEWEST_KEYPOINTS = 3
_FEW = 1.7  # 1: all numbers of people are equally frequent
_REACH = 0.2  # in heights: how far apart the pelvises of two overlapping people stand
_SMALLEST_SHARE = 0.25  # of a person's own silhouette that must stay visible
_SMALLEST_AREA = 0.02  # of the squared height; a whole silhouette has 0.1 to 0.15


class Scene(NamedTuple):
    """A drawn image (H, W, 3), whose segment is seen where (``figures.paint``), its people far to near and who shows enough."""

    image: NDArray[np.uint8]
    labels: NDArray[np.int16]
    cast: list[Actor]
    seen: list[bool]


@DATASETS.register
class Synthetic(Dataset):
    """Articulated people before textured backgrounds, COCO's keypoints; every image a function of (seed, split, index).

    ``split`` "val" and "test" have other people than "train"; ``images`` is how many there are (None: 20,000 of "train", 300 of
    the others), ``seed`` where chance begins. ``size`` is the side of the square images in px; ``people`` the range of their
    number; ``height`` the range of their standing height as a fraction of the side; ``overlap`` the share of people placed close
    before or behind another; ``inside`` how far (in heights) a pelvis keeps from the border, or [x, y] from the sides and from top
    and bottom; ``occluders`` the share of people with an object before them; ``turned`` and ``lying`` the shares of those who do
    not face the viewer or do not stand. Few people are more frequent than many.

    ``things`` are kinds of objects that are drawn among the people, each a category of its own after "person", without keypoints:
    of each ``thing_count`` in an image, all numbers alike frequent, ``thing_size`` as a fraction of the side.
    """

    def __init__(
        self,
        *,
        split: Split = "train",
        images: Natural | None = None,
        size: Annotated[Count, "px"] = 128,
        people: Annotated[tuple[Count, Count], Ascending()] = (1, 3),
        height: Annotated[tuple[Positive, Positive], Ascending(), "sides of the image"] = (0.5, 0.95),
        overlap: Fraction = 0.2,
        inside: FromZero | tuple[FromZero, FromZero] = 0.3,
        occluders: Fraction = 0.15,
        turned: Fraction = 0.5,
        lying: Fraction = 0.1,
        things: Sequence[Thing] = (),
        thing_count: Annotated[tuple[Natural, Natural], Ascending()] = (1, 2),
        thing_size: Annotated[tuple[Positive, Positive], Ascending(), "sides of the image"] = (0.15, 0.35),
        seed: Natural = 0,
    ) -> None:
        self.things, self.thing_count, self.thing_size = tuple(dict.fromkeys(things)), tuple(thing_count), tuple(thing_size)
        self.task = Task(COCO, ("person", *self.things))
        self.split, self.size, self.seed = split, size, seed
        self.number, self.height = tuple(people), tuple(height)
        self.overlap, self.inside, self.occluders = overlap, _across_and_along(inside), occluders
        self.turned, self.lying = turned, lying
        count = images if images is not None else 20000 if split == "train" else 300
        self.image_ids = list(range(1, count + 1))

    def sample(self, index: int, maps: frozenset[str]) -> Sample:
        """Draw one image with its people."""
        scene = self._scene(index)
        people, instances = annotate(scene.cast, scene.labels)
        nothing = np.zeros((self.size, self.size), bool)
        return Sample(
            image=scene.image.transpose(2, 0, 1),
            people=people,
            ignore=dict.fromkeys(maps - {"instances", "padding"}, nothing),
            instances=instances if "instances" in maps else None,
            image_id=self.image_ids[index],
            file_size=(self.size, self.size),
            to_input=np.eye(2, 3),
        )

    def people(self, index: int) -> People:
        """The people of one image; it is drawn, as who covers whom decides what is visible."""
        return self.sample(index, frozenset()).people

    def image_size(self, index: int) -> tuple[int, int]:
        """The (H, W) of every image in px; nothing is drawn for it."""
        return self.size, self.size

    def ground_truth(self, indices: Sequence[int] | None = None) -> GroundTruth:
        """The images' annotations in COCO's format, masks as compressed RLE; every image is drawn for it."""
        images: list[Record] = []
        annotations: list[Record] = []
        for index in range(len(self)) if indices is None else indices:
            image_id = self.image_ids[index]
            sample = self.sample(index, frozenset({"instances"}))
            images.append(
                {"id": image_id, "width": self.size, "height": self.size, "file_name": f"{self.split}_{image_id:06d}.png"}
            )
            for n in range(len(sample.people)):
                annotations.append(record(sample, n, len(annotations) + 1))
        category = {"id": 1, "name": "person", "keypoints": list(COCO.keypoints), "skeleton": []}
        things = [{"id": number, "name": name} for number, name in enumerate(self.things, start=2)]
        return {"images": images, "annotations": annotations, "categories": [category, *things]}

    def _scene(self, index: int) -> Scene:
        rng = np.random.default_rng((self.seed, SPLITS[self.split], index))
        fewest, most = self.number
        number = fewest + int((most + 1 - fewest) * rng.random() ** _FEW)
        for _ in range(_ATTEMPTS):
            cast = self._cast(rng, number)
            scene = self._draw(rng, self._with_things(rng, cast) if self.things else cast, self.occluders)
            if all(scene.seen):
                return scene
        while len(scene.cast) > 1 and not all(scene.seen):
            scene = self._draw(rng, _fewer(scene), occluders=0.0)
        return scene

    def _draw(self, rng: np.random.Generator, cast: list[Actor], occluders: float) -> Scene:
        image, labels = draw_background(rng, self.size), np.zeros((self.size, self.size), np.int16)
        areas = []
        for person, (figure, centre, height, _) in enumerate(cast):
            paint(figure, image, labels, person)
            areas.append(int((labels - 1 >= person * SEGMENTS).sum()))  # nothing nearer is painted yet
            if rng.random() < occluders:
                draw_occluder(rng, image, labels, centre, height)
        noise = rng.integers(0, 24, (self.size, self.size, 1), dtype=np.uint8)
        image = np.asarray(cv2.subtract(image, np.repeat(noise, 3, axis=2)), dtype=np.uint8)
        return Scene(image, labels, cast, _seen(cast, labels, areas))

    def _cast(self, rng: np.random.Generator, number: int) -> list[Actor]:
        """People far to near: taller ones are nearer."""
        low, high = self.height
        heights = np.sort(low + (high - low) * rng.random(number) ** 1.5)
        centres: list[tuple[float, float, float]] = []
        for height in (heights * self.size).tolist():
            centres.append((*self._place(rng, height, centres), height))
        return [Actor(self._figure(rng, (x, y), height), (x, y), height) for x, y, height in centres]

    def _with_things(self, rng: np.random.Generator, people: list[Actor]) -> list[Actor]:
        """The cast with things at random places in it, before some of the people and behind others."""
        cast, (fewest, most), (low, high) = list(people), self.thing_count, self.thing_size
        for label, kind in enumerate(self.things, start=1):
            for _ in range(int(rng.integers(fewest, most + 1))):
                size = float(rng.uniform(low, high)) * self.size
                inside = min(size, self.size) / 2
                x, y = rng.uniform(inside, self.size - inside, 2).tolist()
                thing = Actor(make_thing(rng, kind, (x, y), size), (x, y), size, label)
                cast.insert(int(rng.integers(0, len(cast) + 1)), thing)
        return cast

    def _figure(self, rng: np.random.Generator, centre: tuple[float, float], height: float) -> Figure:
        return make_figure(rng, centre, height, draw_pose(rng, self.turned, self.lying))

    def _place(self, rng: np.random.Generator, height: float, placed: list[tuple[float, float, float]]) -> tuple[float, float]:
        low = np.minimum(self.inside * height, 0.48 * self.size)
        high = self.size - low
        if placed and rng.random() < self.overlap:
            x, y, other = placed[-1]  # the closest in height, so that boxes overlap well
            reach = _REACH * (height + other) / 2
            angle = 2 * np.pi * rng.random()
            x, y = x + reach * (0.6 + 0.8 * rng.random()) * np.cos(angle), y + 0.5 * reach * np.sin(angle)
            x, y = np.clip((x, y), low, high)
            return float(x), float(y)
        tries = low + (high - low) * rng.random((4, 2))
        if not placed:
            return float(tries[0, 0]), float(tries[0, 1])
        apart = np.abs(tries[:, None] - np.array(placed)[None, :, :2]).max(-1).min(1)
        best = int(apart.argmax())
        return float(tries[best, 0]), float(tries[best, 1])


def _across_and_along(inside: float | tuple[float, float]) -> NDArray[np.float64]:
    both = [inside] * 2 if isinstance(inside, int | float) else inside
    return np.asarray(both, np.float64)


def _seen(cast: list[Actor], labels: NDArray[np.int16], areas: list[int]) -> list[bool]:
    """Of everybody: whether enough keypoints, of a person, and enough of the silhouette show."""
    shown = np.bincount(((labels - 1) // SEGMENTS + 1).ravel(), minlength=len(cast) + 1)[1:].tolist()
    return [
        shown[person] >= max(_SMALLEST_SHARE * areas[person], _SMALLEST_AREA * actor.height**2)
        and (actor.label > 0 or int((visibility(actor.figure, labels, person) == 2).sum()) >= _FEWEST_KEYPOINTS)
        for person, actor in enumerate(cast)
    ]


def _fewer(scene: Scene) -> list[Actor]:
    """The people without those who are hidden; where nobody is, without the nearest, of whom too little is inside the image."""
    *farther, nearest = scene.cast
    seen = [actor for actor, seen in zip(farther, scene.seen[:-1], strict=True) if seen]
    return [*seen, nearest] if len(seen) < len(farther) else farther
