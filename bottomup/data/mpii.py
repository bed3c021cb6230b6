"""MPII Human Pose: people of whom groups are judged, MPII Multi-Person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from bottomup.coco.extents import BOX_SHARE, around_keypoints
from bottomup.data._heads import head_size, head_size_between
from bottomup.data._mpii_files import Person, Picture, read_json, read_release
from bottomup.data._places import images_below, place
from bottomup.data.coco import Coco, OnlyPeople
from bottomup.dataset import DATASETS, GroundTruth, Record
from bottomup.errors import ConfigError, DataError
from bottomup.paths import path_of
from bottomup.skeletons import MPII

_PARTS = {
    "head": ("upper_neck", "head_top"),
    **{part: (f"right_{part}", f"left_{part}") for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")},
}
_MARGIN = 0.5  # of somebody's height, around the positions of a group's people
_SPLITS = {"train": True, "test": False}
_RELEASE = "mpii_human_pose_v1_u12_1.mat"
_LISTS, _RELEASES = ("annot/{split}.json", "annotations/{split}.json"), (f"annotations/{_RELEASE}", _RELEASE)


@DATASETS.register
class Mpii(Coco):
    """MPII Human Pose's sixteen keypoints, judged as MPII Multi-Person is: by groups of people (``evaluation.measures.pckh``).

    ``root`` and ``split`` stand for root/annot/<split>.json, a list of people as authors of networks write it, else for the
    release, root/annotations/mpii_human_pose_v1_u12_1.mat, which has the splits train and, without keypoints, test; images lie in
    root/images. ``annotations`` (.json or .mat) and ``images`` state either path. ``groups`` is the toolkit's groups_v12.mat,
    needed for figures that compare with published ones; without it everybody of an image who does not stand alone is one group.
    ``only_people``, ``image_ids`` and ``exclude_ids`` are as of data set ``coco``; an image's id is the digits of its name.

    MPII counts pixels from 1 and states no boxes: they are drawn around keypoints and head, else, of those without, as squares of
    the scale's 200 px; areas are 0.53 of them. The size of a head is 0.6 of its box's diagonal, in a JSON file, which has no such
    boxes, 0.75 of the way between the head's two keypoints, which is the same. A group's ``region`` reaches half of the mean
    height further than the positions of its people. Sizes are read from the images, which must be there.
    """

    measures: Mapping[str, Mapping[str, object]] = {"pckh": {"parts": _PARTS}}

    def __init__(
        self,
        *,
        root: str | None = None,
        split: str = "train",
        annotations: str | None = None,
        images: str | None = None,
        groups: str | None = None,
        only_people: bool | OnlyPeople = False,
        image_ids: Sequence[int | float | str] | str | None = None,
        exclude_ids: Sequence[int | float | str] | str | None = None,
    ) -> None:
        folder = images_below(root, images)
        if folder is None:
            raise ConfigError(
                "data set 'mpii' needs `root` (data.root=), the folder with annot and images, or `images` (data.images=), as sizes "
                "are read from them"
            )
        self._folder, self._split = path_of(folder), split
        self._groups = None if groups is None else path_of(groups)
        self._head_sizes: dict[int, float] = {}
        usual = _RELEASES if groups else (*_LISTS, *_RELEASES)  # whose people groups are numbers of
        super().__init__(
            annotations=str(place("mpii", root, annotations, split, usual, "annotations")),
            images=folder,
            skeleton="mpii",
            only_people=only_people,
            image_ids=image_ids,
            exclude_ids=exclude_ids,
        )

    def _content(self, path: Path) -> Record:
        if path.suffix == ".mat":
            if self._split not in _SPLITS:
                raise ConfigError(
                    f"{path}: has the splits train and test, got {self._split!r}; give data.split=train, or peers' JSON"
                )
            pictures = read_release(path, self._groups, _SPLITS[self._split])
        elif self._groups is not None:
            raise ConfigError(f"{path}: `groups` number people of the release's .mat, not of this file; give that, or no groups")
        else:
            pictures = read_json(path)
        images, people = list[Record](), list[Record]()
        for number, picture in enumerate(pictures, 1):
            image = self._image(picture, number)
            own = [self._person(person, image["id"]) for person in picture.people]
            numbered = [person | {"id": len(people) + place} for place, person in enumerate(own, 1)]
            images.append(image | self._grouped(picture, len(people)))
            people += numbered
        self._head_sizes = {person["id"]: person.pop("head_size") for person in people}
        labelled = {"annotations": people} if self._split != "test" or path.suffix != ".mat" else {}
        return {"images": images, "categories": [{"id": 1, "name": "person", "keypoints": list(MPII.keypoints)}]} | labelled

    def _image(self, picture: Picture, number: int) -> Record:
        file = self._folder / picture.name
        try:
            with Image.open(file) as image:
                width, height = image.size
        except (OSError, ValueError) as error:  # the latter of a name with a zero byte
            raise DataError(
                f"{file}: should be an image of MPII, but {error}; set the data set's `images` (data.images=) to the folder of its"
            ) from None
        digits = "".join(filter(str.isdecimal, Path(picture.name).stem))
        return {"id": int(digits) if digits else number, "file_name": picture.name, "height": height, "width": width}

    def _person(self, person: Person, image_id: int) -> Record:
        keypoints = [value for point in person.keypoints for value in point]
        box = _box(person, keypoints)
        record = {"image_id": image_id, "category_id": 1, "iscrowd": 0, "keypoints": keypoints, "head_size": _head(person)}
        return record | ({} if box is None else {"bbox": box, "area": BOX_SHARE * box[2] * box[3]})

    def _grouped(self, picture: Picture, before: int) -> Record:
        """The groups of an image with their regions; its people are numbered from ``before`` + 1."""
        groups = [list(range(len(picture.people)))] if picture.groups is None else picture.groups
        found = [(group, _region([picture.people[place] for place in group])) for group in groups]
        stated = [
            {"people": [before + 1 + place for place in group], "region": region[0], "scale": region[1]}
            for group, region in found
            if region is not None
        ]
        return {"groups": stated}

    def ground_truth(self, indices: Sequence[int] | None = None) -> GroundTruth:
        """As of ``coco``, with the ``head_size`` px of people and the ``groups`` of images, each with its region and scale."""
        truth = super().ground_truth(indices)
        people = [person | {"head_size": self._head_sizes.get(person["id"])} for person in truth["annotations"]]
        return {**truth, "annotations": people}


def _box(person: Person, keypoints: list[float]) -> list[float] | None:
    """The box xywh px around somebody's keypoints and head, else a square where they are said to be."""
    around = around_keypoints(keypoints, MPII)
    if around is None and (person.position is None or person.height is None):
        return person.head
    if around is None:
        assert person.position is not None and person.height is not None
        (x, y), side = person.position, person.height
        around = [x + 0.5 - side / 2, y + 0.5 - side / 2, side, side]
    boxes = np.array([around] if person.head is None else [around, person.head], np.float64)
    low, high = boxes[:, :2].min(0), (boxes[:, :2] + boxes[:, 2:]).max(0)
    return [*low.tolist(), *(high - low).tolist()]


def _head(person: Person) -> float | None:
    """The px of somebody's head; None where nothing says it."""
    if person.head is not None:
        return head_size(person.head)
    top, neck = (person.keypoints[MPII.index(name)] for name in ("head_top", "upper_neck"))
    return head_size_between(top, neck) if top[2] and neck[2] else None


def _region(people: Sequence[Person]) -> tuple[list[float], float] | None:
    """Where a group is, xyxy px, and its scale, the mean of its people's; None where nothing is known of them."""
    placed = [(person.position, person.scale) for person in people if person.position is not None and person.scale is not None]
    if not placed:
        return None
    points, scale = np.array([position for position, _ in placed]) + 0.5, float(np.mean([scale for _, scale in placed]))
    margin = _MARGIN * 200 * scale
    return [*(points.min(0) - margin).tolist(), *(points.max(0) + margin).tolist()], scale
