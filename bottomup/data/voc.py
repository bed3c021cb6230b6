"""PASCAL VOC 2012's segmentation: objects of twenty categories as indexed PNG files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco_mask

from bottomup.coco.records import choose_images
from bottomup.dataset import DATASETS, Dataset, GroundTruth, Record
from bottomup.errors import ConfigError, DataError, unknown
from bottomup.image_files import ImageReader
from bottomup.paths import path_of
from bottomup.types import People, Sample, Task

CATEGORIES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog", "horse",
    "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip

_VOID = 255  # of both files: the borders of objects, and what is no object for sure


class _Objects(NamedTuple):
    """The objects of an image that are of the categories asked for."""

    owners: NDArray[np.int16]  # (H, W): n + 1 inside object n, 0 elsewhere
    labels: NDArray[np.int64]  # (N,) index of a category asked for
    boxes: NDArray[np.float32]  # (N, 4) xyxy px around the pixels
    areas: NDArray[np.float32]  # (N,) pixels
    void: NDArray[np.bool_]  # (H, W)


@DATASETS.register
class Voc(Dataset):
    """Objects of PASCAL VOC 2012, which have masks and no keypoints, in the layout of its release.

    ``root`` is the folder VOC2012 (or the VOCdevkit above it) with JPEGImages, SegmentationObject, SegmentationClass and
    ImageSets/Segmentation/<``split``>.txt: train, val, trainval or test. ``category`` names one or several of the twenty (null:
    all), in whose order labels count; objects of others are background. ``image_ids``, a list or a JSON file of one, chooses
    images, ``exclude_ids`` leaves some out; an image's id is the digits of its name, 2007000032 of 2007_000032.

    Pixels labelled 255 are the ignore map "crowd", so that no loss counts them, and nobody's mask; in ``ground_truth`` they are an
    image's ``void``. A split whose masks are not there, as test's, has images to predict and no objects.
    """

    def __init__(
        self,
        *,
        root: str | None = None,
        split: str = "val",
        category: str | Sequence[str] | None = None,
        image_ids: Sequence[int | float | str] | str | None = None,
        exclude_ids: Sequence[int | float | str] | str | None = None,
    ) -> None:
        if root is None:
            raise ConfigError(
                "data set 'voc' needs `root` (data.root=), the folder VOC2012 with JPEGImages and ImageSets/Segmentation"
            )
        self._root = _release(path_of(root))
        self.path = self._root / "ImageSets" / "Segmentation" / f"{split}.txt"
        names = _names(self.path)
        chosen = choose_images({number: {"name": name} for number, name in names.items()}, image_ids, exclude_ids, self.path)
        self.image_ids, self._names = list(chosen), [str(image["name"]) for image in chosen.values()]
        self.task = Task(None, _chosen(category))
        self._read = ImageReader("stored")
        self.labelled = bool(self._names) and self._file("SegmentationObject", 0).is_file()

    def people(self, index: int) -> People:
        """The objects of one image, in image px, without reading it."""
        return self._people(self._objects(index))

    def sample(self, index: int, maps: frozenset[str]) -> Sample:
        """Read one image, its objects and the wanted maps, in image px."""
        file = self._root / "JPEGImages" / f"{self._names[index]}.jpg"
        if not file.is_file():
            raise DataError(f"{file}: no such file, but {self.path} lists it; give as `root` (data.root=) the whole release")
        image, objects = self._read(file), self._objects(index)
        if image.shape[:2] != objects.void.shape:
            sizes = " x ".join(map(str, image.shape[:2])), " x ".join(map(str, objects.void.shape))
            raise DataError(f"{file}: is {sizes[0]} px (height x width), its masks are {sizes[1]}; give both of one release")
        regions = {"crowd": objects.void, "unannotated": objects.owners > 0, "unmasked": np.zeros_like(objects.void)}
        return Sample(
            image=image.transpose(2, 0, 1),
            people=self._people(objects),
            ignore={name: region for name, region in regions.items() if name in maps},
            instances=objects.owners if "instances" in maps else None,
            image_id=self.image_ids[index],
            file_size=(image.shape[0], image.shape[1]),
            to_input=np.eye(2, 3),
        )

    def image_size(self, index: int) -> tuple[int, int]:
        """The (H, W) of one image in px, from its file's head."""
        with Image.open(self._root / "JPEGImages" / f"{self._names[index]}.jpg") as image:
            return image.height, image.width

    def ground_truth(self, indices: Sequence[int] | None = None) -> GroundTruth:
        """What is annotated in the images at ``indices`` (default: all) as a COCO dictionary; ``void`` of an image is its RLE."""
        images, annotations = list[Record](), list[Record]()
        for index in range(len(self)) if indices is None else indices:
            objects, number = self._objects(index), self.image_ids[index]
            height, width = objects.void.shape
            image = {"id": number, "file_name": f"{self._names[index]}.jpg", "height": height, "width": width}
            images.append(image | {"void": _code(objects.void)})
            annotations += self._records(objects, number, len(annotations))
        categories = [{"id": CATEGORIES.index(name) + 1, "name": name} for name in self.task.categories]
        return {"images": images, "annotations": annotations, "categories": categories, "measures": {"voc": {}}}

    def _records(self, objects: _Objects, image_id: int, before: int) -> list[Record]:
        """COCO's records of an image's objects, numbered from ``before`` + 1."""
        parts = zip(objects.labels.tolist(), objects.boxes.tolist(), objects.areas.tolist(), strict=True)
        return [
            {
                "id": before + number,
                "image_id": image_id,
                "category_id": CATEGORIES.index(self.task.categories[label]) + 1,
                "iscrowd": 0,
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "area": area,
                "segmentation": _code(objects.owners == number),
            }
            for number, (label, (x1, y1, x2, y2), area) in enumerate(parts, 1)
        ]

    def _people(self, objects: _Objects) -> People:
        count = len(objects.labels)
        nothing = np.zeros((count, 0, 2), np.float32), np.zeros((count, 0), np.uint8)
        return People(*nothing, objects.boxes, objects.areas, objects.labels, np.ones(count, bool))

    # ---- masks -----------------------------------------------------------------------------------------------------------

    def _file(self, folder: str, index: int) -> Path:
        return self._root / folder / f"{self._names[index]}.png"

    def _objects(self, index: int) -> _Objects:
        """The objects of an image, of the category that most of their pixels have."""
        if not self.labelled:
            size = self.image_size(index)
            owners, kinds = np.zeros(size, np.uint8), np.zeros(size, np.uint8)
        else:
            owners, kinds = (_indices(self._file(folder, index)) for folder in ("SegmentationObject", "SegmentationClass"))
        if owners.shape != kinds.shape:
            raise DataError(f"{self._file('SegmentationClass', index)}: of another size than its SegmentationObject; give both")
        pairs = np.bincount(owners.ravel().astype(np.int64) * 256 + kinds.ravel(), minlength=256 * 256).reshape(256, 256)
        votes = pairs[:, 1 : len(CATEGORIES) + 1]
        kind = np.where(votes.any(1), votes.argmax(1), -1)  # of each number of an object
        wanted = [CATEGORIES.index(name) for name in self.task.categories]
        numbers = np.flatnonzero(np.isin(kind[1:_VOID], wanted)) + 1
        renumbered = np.zeros(256, np.int16)
        renumbered[numbers] = np.arange(1, len(numbers) + 1)
        placed = renumbered[owners]
        labels = np.array([wanted.index(int(kind[n])) for n in numbers], np.int64)
        areas = pairs[numbers].sum(1).astype(np.float32)
        return _Objects(placed, labels, _boxes(placed, len(numbers)), areas, owners == _VOID)


def _release(root: Path) -> Path:
    """The folder with JPEGImages: ``root``, or VOC2012 or VOCdevkit/VOC2012 below it."""
    places = (root, root / "VOC2012", root / "VOCdevkit" / "VOC2012")
    return next((place for place in places if (place / "JPEGImages").is_dir()), root)


def _names(path: Path) -> dict[int, str]:
    """The images of a split by their ids; DataError where the file is missing or names one twice."""
    try:
        names = path.read_text(encoding="utf-8").split()
    except OSError:
        beside = ", ".join(sorted(file.stem for file in path.parent.glob("*.txt"))) or "none"
        raise DataError(
            f"{path}: no such file; set `root` (data.root=) to the folder VOC2012, and `split` to one of its: {beside}"
        ) from None
    digits = [name.replace("_", "") for name in names]
    ids = [int(text) for text in digits] if all(text.isdecimal() for text in digits) else list(range(1, len(names) + 1))
    if len(set(ids)) < len(ids):
        raise DataError(f"{path}: should name each image once, got {len(ids) - len(set(ids))} names again; delete those")
    return dict(zip(ids, names, strict=True))


def _chosen(category: str | Sequence[str] | None) -> tuple[str, ...]:
    chosen = CATEGORIES if category is None else (category,) if isinstance(category, str) else tuple(category)
    for name in chosen:
        if name not in CATEGORIES:
            raise ConfigError("data set 'voc': " + unknown("category", str(name), list(CATEGORIES)))
    if not chosen or len(set(chosen)) < len(chosen):
        raise ConfigError(f"data set 'voc': `category` should name different categories, at least one, got {list(chosen)}")
    return chosen


def _indices(path: Path) -> NDArray[np.uint8]:
    """The numbers (H, W) that an indexed PNG holds, whatever colours they have; DataError where it is none."""
    try:
        with Image.open(path) as image:
            pixels = np.array(image)
    except OSError as error:
        raise DataError(f"{path}: should be a PNG of this release, but {error}") from None
    if pixels.ndim != 2 or pixels.dtype != np.uint8:
        given = f"{pixels.shape} {pixels.dtype}"
        raise DataError(f"{path}: should hold a number from 0 to 255 a pixel, got {given}; give the indexed PNG, not its colours")
    return pixels


def _boxes(owners: NDArray[np.int16], count: int) -> NDArray[np.float32]:
    """The boxes (N, 4) xyxy px around the pixels of each object."""
    rows, columns = np.nonzero(owners)
    place = owners[rows, columns] - 1
    low, high = np.full((count, 2), np.inf, np.float32), np.zeros((count, 2), np.float32)
    points = np.stack((columns, rows), 1).astype(np.float32)
    np.minimum.at(low, place, points)
    np.maximum.at(high, place, points + 1)
    return np.concatenate((low, high), 1)


def _code(inside: NDArray[np.bool_]) -> Record:
    """COCO's run-length code of a mask (H, W), as JSON takes it."""
    code = coco_mask.encode(np.asfortranarray(inside.astype(np.uint8)))
    return {"size": list(inside.shape), "counts": code["counts"].decode()}
