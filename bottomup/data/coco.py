"""COCO keypoint annotations and the many files in their format.

COCO's keypoints are indices of pixels; ``geometry.from_indices`` puts them on the pixels' centres. Boxes, areas and polygons are
continuous already and stay as they are.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Annotated, Literal

import numpy as np

from bottomup.coco.image_folder import ImageFolder
from bottomup.coco.masks import covered, instance_map
from bottomup.coco.people import people_by_image
from bottomup.coco.records import choose_categories, choose_images, has_keypoints, read_file, read_images
from bottomup.coco.skeleton import choose_skeleton
from bottomup.dataset import DATASETS, Dataset, GroundTruth, Record
from bottomup.errors import ConfigError, DataError, unknown
from bottomup.geometry import from_indices
from bottomup.image_files import Orientation
from bottomup.options import Interval
from bottomup.paths import path_of
from bottomup.skeletons import COCO, Skeleton
from bottomup.types import People, Sample, Task

Size = Literal["small", "medium", "large"]
OnlyPeople = Literal["keypoints"]


@DATASETS.register
class Coco(Dataset):
    """People of a COCO keypoint file.

    ``root`` and ``split`` stand for root/annotations/person_keypoints_<split>.json (or .json.gz; where it is not there
    instances_<split>.json) and root/<split>/<file_name>;
    ``annotations`` and ``images`` state either path, ``{split}`` in them is filled in; where ``annotations`` has none, every split
    is that whole file. Without an image folder, people and ground truth can be read, samples cannot. ``category`` names one of
    the file's (None: the only one), or several with the same keypoints, which label its people and are judged together; those
    without keypoints are objects, with masks and boxes alone; ``rename`` says what some of them are called elsewhere, {airplane:
    aeroplane}, so that another data set's model fits. ``skeleton`` is a built-in name, a YAML file, a mapping, or None for the
    category's own; there is none where all are objects.
    ``only_people`` true drops images without anybody who is no crowd, "keypoints" those in which nobody has a labelled keypoint;
    ``image_ids``, a list or a JSON file of one, chooses images, ``exclude_ids`` leaves some out. Keypoints of annotations that are
    marked ``"imputed": true``, guessed by another model (PersonLab §3.3), count for people of the sizes ``imputed``, COCO's
    "small", "medium" and "large", and never in ``ground_truth``. ``orientation`` says whether annotations refer to images
    "upright", as EXIF turns them and viewers show them, or as their pixels are "stored", ``bit_depth`` how many of 16 bits a
    channel are used (``ImageFolder``).

    A file without ``annotations``, as COCO's image_info of its test splits, has images to predict and no people; where it names no
    keypoints, they are COCO's. root/annotations/image_info_<split>.json is read where the other file is not there.

    Which keypoints are trained is decided by their visibility, whatever ``num_keypoints`` says (CrowdPose's leaves out head and
    neck); ``ground_truth`` keeps the file's number, and evaluation leaves out those of whom it is 0, as pycocotools does. Crowds
    are in no People. Everything else that a file may lack or have wrong stands in ``coco.people``; raises DataError naming the
    file, the record and the field.
    """

    measures: Mapping[str, Mapping[str, object]] = {}  # beside COCO's

    def __init__(
        self,
        *,
        root: str | None = None,
        split: str = "val",
        annotations: str | None = None,
        images: str | None = None,
        category: str | Sequence[str] | None = "person",
        rename: Mapping[str, str] | None = None,
        skeleton: str | Mapping[str, object] | None = None,
        only_people: bool | OnlyPeople = False,
        image_ids: Sequence[int | float | str] | str | None = None,
        exclude_ids: Sequence[int | float | str] | str | None = None,
        imputed: Sequence[Size] = ("small", "medium", "large"),
        orientation: Orientation | None = None,
        bit_depth: Annotated[int, Interval(8, 16), "bits a channel"] | None = None,
    ) -> None:
        self.path = _annotation_path(root, split, annotations)
        self._files = ImageFolder(_image_folder(root, split, images), self.path, orientation, bit_depth)
        data = self._content(self.path)
        self._categories = choose_categories(data, category, self.path)
        self.labelled = "annotations" in data
        self.skeleton = self._choose(skeleton, data, self.path)
        self._posed = {entry["id"] for entry in self._categories if entry.get("keypoints")} or {*self._ids}
        self.task = Task(self.skeleton, _names(self._categories, rename or {}, self.path))
        listed = read_images(data, self.path)
        self._imputed = frozenset(imputed)
        groups = people_by_image(data, listed, self._categories, self.skeleton, self.path)
        listed = choose_images(listed, image_ids, exclude_ids, self.path)
        if only_people:
            counts = _labelled if only_people == "keypoints" else bool
            listed = {image_id: image for image_id, image in listed.items() if any(map(counts, self._people(groups[image_id])))}
        self.image_ids = list(listed)
        self._images = list(listed.values())
        # Pickled, records take a fraction of the memory, and forked workers do not copy them by counting references.
        self._records = [pickle.dumps(groups[image_id], pickle.HIGHEST_PROTOCOL) for image_id in listed]
        people = [self._people(groups[image_id]) for image_id in listed]
        self._everybody = to_people([*chain.from_iterable(people)], self.task.keypoints, self._ids)
        self._first = np.cumsum([0, *map(len, people)]).tolist()  # of each image's people among everybody

    def _content(self, path: Path) -> Record:
        """A COCO dictionary: the file itself, or what a data set of another layout makes of its own."""
        return read_file(path)

    def _choose(self, skeleton: str | Mapping[str, object] | None, data: Record, path: Path) -> Skeleton | None:
        """That of the categories with keypoints; COCO's where images are to be predicted alone; None where all are objects."""
        named = [category for category in self._categories if category.get("keypoints")]
        if skeleton is None and not named and not any(has_keypoints(data, category) for category in self._categories):
            return None if self.labelled else COCO
        return choose_skeleton(skeleton, (named or self._categories)[0], path)

    def people(self, index: int) -> People:
        """The people of one image, in image px, without reading it."""
        return self._everybody[np.array(self._place(index), np.intp)]  # copies, that nobody writes into what others read

    def number_of_people(self, index: int) -> int:
        """How many people one image has, without its crowds."""
        return len(self._place(index))

    def sample(self, index: int, maps: frozenset[str]) -> Sample:
        """Read one image, its people and the wanted maps, in image px."""
        image, records = self._images[index], self._annotations(index)
        people = self._people(records)
        regions = {
            "crowd": [record for record in records if record["iscrowd"]],
            "unannotated": [person for person in people if person["category_id"] in self._posed and not _labelled(person)],
            "unmasked": [person for person in people if "segmentation" not in person],
        }
        return Sample(
            image=self._files.read(image),
            people=self.people(index),
            ignore={name: covered(regions[name], image) for name in regions if name in maps},
            instances=instance_map(people, image) if "instances" in maps else None,
            image_id=image["id"],
            file_size=(image["height"], image["width"]),
            to_input=np.eye(2, 3),
        )

    def ground_truth(self, indices: Sequence[int] | None = None) -> GroundTruth:
        """The chosen categories' annotations, crowds among them, with COCO's pixel indices and every field pycocotools reads.

        Imputed keypoints are not the truth: who has them has none here.
        """
        chosen = range(len(self)) if indices is None else indices
        return {
            "info": {"description": str(self.path)},
            "images": [dict(self._images[index]) for index in chosen],
            "annotations": [
                _without_keypoints(record) if "imputed" in record else record
                for index in chosen
                for record in self._annotations(index)
            ],
            "categories": [self._described(category) for category in self._categories],
            "measures": self.measures,
        }

    def _annotations(self, index: int) -> list[Record]:
        return pickle.loads(self._records[index])  # type: ignore[no-any-return]

    def _described(self, category: Record) -> Record:
        """A category with the names of its keypoints, if those are read of it."""
        if self.skeleton is None or category["id"] not in self._posed:
            return category
        return {**category, "keypoints": list(self.skeleton.keypoints)}

    @property
    def _ids(self) -> list[int]:
        return [category["id"] for category in self._categories]

    def _place(self, index: int) -> range:
        """Where one image's people stand among everybody."""
        index = range(len(self))[index]
        return range(self._first[index], self._first[index + 1])

    def _people(self, records: list[Record]) -> list[Record]:
        """Those that are no crowds; imputed keypoints only where they were asked for."""
        people = [record for record in records if not record["iscrowd"]]
        return [
            _without_keypoints(person) if "imputed" in person and _size(person["area"]) not in self._imputed else person
            for person in people
        ]


def to_people(records: list[Record], keypoints: int, category_ids: Sequence[int]) -> People:
    """Complete COCO records as People, their keypoints continuous, unlabelled ones at (0, 0); a label is a place among the ids."""
    triples = np.array([record["keypoints"] for record in records], np.float32).reshape(len(records), keypoints, 3)
    visibility = triples[..., 2].astype(np.uint8)
    points = np.where(visibility[..., None] > 0, from_indices(triples[..., :2]), np.float32(0))
    boxes = np.array([record["bbox"] for record in records], np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return People(
        keypoints=points,
        visibility=visibility,
        boxes=boxes.astype(np.float32),
        areas=np.array([record["area"] for record in records], np.float32),
        labels=np.array([category_ids.index(record["category_id"]) for record in records], np.int64),
        has_mask=np.array(["segmentation" in record for record in records], bool),
    )


def _names(categories: Sequence[Record], rename: Mapping[str, str], path: Path) -> tuple[str, ...]:
    """What categories are called, those of ``rename`` as it says; DataError for one that is not among them."""
    names = [str(category["name"]) for category in categories]
    for name in rename:
        if name not in names:
            raise DataError(f"{path}: rename: " + unknown("category", name, names))
    return tuple(rename.get(name, name) for name in names)


def _without_keypoints(record: Record) -> Record:
    return record | {"keypoints": [0] * len(record["keypoints"]), "num_keypoints": 0}


def _size(area: float) -> Size:
    """COCO's word for an area in px²."""
    return "small" if area < 32**2 else "medium" if area < 96**2 else "large"


def _labelled(record: Record) -> bool:
    return any(record["keypoints"][2::3])


def _annotation_path(root: str | None, split: str, annotations: str | None) -> Path:
    if annotations is not None:
        return path_of(annotations.replace("{split}", split))
    if root is None:
        raise ConfigError(
            "data set 'coco' needs `root` (data.root=), the folder with annotations/person_keypoints_<split>.json, or "
            "`annotations`, a file"
        )
    path = path_of(root) / "annotations" / f"person_keypoints_{split}.json"
    names = (path.name + ".gz", f"instances_{split}.json", f"instances_{split}.json.gz", f"image_info_{split}.json")
    others = [path.with_name(name) for name in names]
    return next((file for file in (path, *others) if file.exists()), path)


def _image_folder(root: str | None, split: str, images: str | None) -> Path | None:
    if images is not None:
        return path_of(images.replace("{split}", split))
    return None if root is None else path_of(root) / split
