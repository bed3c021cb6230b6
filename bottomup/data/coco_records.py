"""COCO annotation files, read and validated: a record leaves complete or is refused by name."""

from __future__ import annotations

import gzip
import itertools
import json
import math
import reprlib
import warnings
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from bottomup.errors import BottomupWarning, DataError
from bottomup.paths import path_of
from bottomup.registry import unknown
from bottomup.skeletons import Skeleton

Record = dict[str, Any]
Ids = Sequence[int] | str | None  # of images: a list, a JSON file of one, none at all

# The share of a person's box that is taken as the person where nothing says it, as CrowdPose's own OKS takes it.
BOX_SHARE = 0.53

_MARKS = ("imputed", "area_is_estimate")  # of annotations, kept where they are true


def read_file(path: Path) -> Record:
    """Read a COCO annotation file, ``.json`` or ``.json.gz``; DataError where it is missing, broken or something else.

    One without ``annotations`` lists images alone, as COCO's image_info files of its test splits do.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as stream:
            data = json.load(stream)
    except FileNotFoundError:
        beside = sorted(file.name for file in path.parent.glob("*.json*"))
        there = f"its folder has {', '.join(beside)}" if beside else "its folder has no annotation file"
        raise DataError(f"{path}: no such file ({there}); set `root` and `split`, or `annotations`") from None
    except (OSError, EOFError, zlib.error, ValueError, RecursionError) as error:
        raise DataError(f"{path}: should be JSON, but {error}; was it copied or downloaded whole?") from None
    remedy = "give a COCO annotation file, which holds images, annotations and categories; results and other formats do not"
    if not isinstance(data, dict):
        raise fault(str(path), "top level", f"a {type(data).__name__}", "an object", remedy)
    for field in ("images", "annotations", "categories"):
        entries = data.get(field, [] if field == "annotations" else None)
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            given = "nothing" if entries is None else entries
            raise fault(str(path), field, given, "a list of objects", remedy)
    return data


def fault(where: str, field: str, given: object, expected: str, remedy: str) -> DataError:
    """The error for one field of a file: where it is, what stands there, what should, what to do."""
    shown = given if isinstance(given, str) and " " in given else reprlib.repr(given)
    return DataError(f"{where}: `{field}` should be {expected}, got {shown}; {remedy}")


def choose_category(data: Record, name: str | None, path: Path) -> Record:
    """The category called ``name``, or the only one where it is None."""
    categories: list[Record] = data["categories"]
    names = [str(category.get("name")) for category in categories]
    if name is None and len(categories) != 1:
        raise DataError(f"{path}: `category` should name one of {', '.join(names) or 'no categories'}, as there is not just one")
    if name is not None and name not in names:
        raise DataError(f"{path}: " + unknown("category", name, names))
    category = categories[0 if name is None else names.index(name)]
    if not isinstance(category.get("name"), str):
        raise fault(f"{path}: category {category.get('id')}", "name", category.get("name"), "a string", "name the categories")
    if not isinstance(category.get("id"), int):
        raise fault(f"{path}: category {category.get('name')!r}", "id", category.get("id"), "an integer", "number the categories")
    return category


def read_images(data: Record, path: Path) -> dict[int, Record]:
    """The image records by id, in the file's order."""
    images: dict[int, Record] = {}
    for image in data["images"]:
        where = f"{path}: image {image.get('id', image.get('file_name'))}"
        if not isinstance(image.get("id"), int) or image["id"] in images:
            raise fault(where, "id", image.get("id"), "an integer that no other image has", "number the images")
        if not isinstance(image.get("file_name"), str):
            raise fault(where, "file_name", image.get("file_name"), "a string", "say which file the image is")
        for side in ("height", "width"):
            if not isinstance(image.get(side), int) or image[side] <= 0:
                raise fault(where, side, image.get(side), "a positive integer", "write the size of the image file, in px")
        images[image["id"]] = image
    return images


def choose_images(images: dict[int, Record], image_ids: Ids, exclude_ids: Ids, path: Path) -> dict[int, Record]:
    """Those of ``image_ids``, None: all, without ``exclude_ids``, in the annotation file's order.

    Either is a list or a JSON file of one. Ids to be left out may be of other splits; ids to be taken may not.
    """
    chosen = list(images) if image_ids is None else _id_list(image_ids)
    unknown_ids = [image_id for image_id in chosen if image_id not in images]
    if unknown_ids:
        remedy = "give ids of its images, or the annotation file that they are of"
        raise fault(str(path), "image_ids", unknown_ids, f"ids among its {len(images)} images", remedy)
    wanted = {*chosen} - {*_id_list(exclude_ids or [])}
    return {image_id: image for image_id, image in images.items() if image_id in wanted}


def _id_list(ids: Sequence[int] | str) -> list[Any]:
    """A list, or the one in a JSON file; DataError where there is none."""
    if not isinstance(ids, str):
        return list(ids)
    path = path_of(ids)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: should be a JSON file with a list of image ids, but {error}") from None
    if not isinstance(data, list):
        raise DataError(f"{path}: should hold a list of image ids, holds a {type(data).__name__}")
    return data


def people_by_image(
    data: Record, images: Mapping[int, Record], category: Record, skeleton: Skeleton, path: Path
) -> dict[int, list[Record]]:
    """The records of one category by image id, crowds among them, each with all it needs.

    A record has id, image_id, category_id, iscrowd, bbox (xywh), area, keypoints (3K numbers), num_keypoints (the file's where
    it says one), ``segmentation`` only where there is a mask, ``imputed`` and ``area_is_estimate`` only where they are true. A
    missing area is the mask's or 0.53 of the box's, which one warning per file says; a missing box is drawn around the mask,
    else around the keypoints. Ids that are missing or stand twice are given anew, as pycocotools would lose one of the two.
    """
    groups: dict[int, list[Record]] = {image_id: [] for image_id in images}
    known = {entry.get("id") for entry in data["categories"]}
    derived: Counter[str] = Counter()
    for number, given in enumerate(data.get("annotations", [])):
        where = f"{path}: annotation {given.get('id', f'number {number} (it has no id)')}"
        if given.get("category_id") not in known:
            raise fault(where, "category_id", given.get("category_id"), f"one of {sorted(known, key=str)}", "list its category")
        if given["category_id"] != category["id"]:
            continue
        image_id = given.get("image_id")
        if not isinstance(image_id, int) or image_id not in images:
            expected = f"the id of one of the {len(images)} images"
            raise fault(where, "image_id", image_id, expected, "list its image under `images` or delete the annotation")
        groups[image_id].append(_complete(given, images[image_id], skeleton, where, derived))
    _number(itertools.chain.from_iterable(groups.values()))
    _warn(derived, path)
    return groups


def _complete(given: Record, image: Record, skeleton: Skeleton, where: str, derived: Counter[str]) -> Record:
    keypoints = _keypoints(given.get("keypoints"), skeleton, where)
    segmentation = None if given.get("area_is_estimate") else _segmentation(given.get("segmentation"), image, where)
    rle = None
    if segmentation is not None and (not given.get("bbox") or given.get("area") is None):
        rle = mask_rle(segmentation, image)
    box = _box(given.get("bbox"), where)
    if box is None:
        box = coco_mask.toBbox(rle).tolist() if rle is not None else _box_around(keypoints, where)
    area = _area(given.get("area"), where)
    if area is None:
        area = float(coco_mask.area(rle)) if rle is not None else BOX_SHARE * box[2] * box[3]
        derived["mask" if rle is not None else "box"] += 1
    record = {
        "id": given.get("id"),
        "image_id": image["id"],
        "category_id": given["category_id"],
        "iscrowd": int(bool(given.get("iscrowd"))),
        "bbox": box,
        "area": area,
        "keypoints": keypoints,
        "num_keypoints": _count(given.get("num_keypoints"), keypoints, where),
    }
    if segmentation is not None:
        record["segmentation"] = segmentation
    return record | {mark: True for mark in _MARKS if given.get(mark)}


def _keypoints(given: Any, skeleton: Skeleton, where: str) -> list[float]:
    if not given:
        return [0] * (3 * len(skeleton))
    expected = f"{3 * len(skeleton)} numbers, x, y and visibility of the {len(skeleton)} keypoints of skeleton {skeleton.name!r}"
    if not isinstance(given, list) or len(given) != 3 * len(skeleton):
        count = f"{len(given)} numbers" if isinstance(given, list) else given
        raise fault(where, "keypoints", count, expected, "set `skeleton` to the one that the file was made with")
    if not _finite(given) or not {*given[2::3]} <= {0, 1, 2}:
        triples = (given[start : start + 3] for start in range(0, len(given), 3))
        wrong = next(triple for triple in triples if not _finite(triple) or triple[2] not in (0, 1, 2))
        raise fault(where, "keypoints", wrong, f"{expected}, finite and with visibility 0, 1 or 2", "correct them")
    return given


def _count(given: Any, keypoints: list[float], where: str) -> int:
    """The file's ``num_keypoints``, which evaluation goes by; where it says none, the labelled ones."""
    if given is None:
        return sum(visibility > 0 for visibility in keypoints[2::3])
    if not isinstance(given, int) or given < 0:
        expected = "a whole number, not negative"
        raise fault(where, "num_keypoints", given, expected, "correct it, or delete the field to have the labelled ones counted")
    return given


def _box(given: Any, where: str) -> list[float] | None:
    if not given:
        return None
    if not isinstance(given, list) or len(given) != 4 or not _finite(given) or min(given[2:]) < 0:
        expected = "[x, y, width, height], finite, sizes not negative"
        raise fault(where, "bbox", given, expected, "correct it, or delete the field to have it drawn around mask or keypoints")
    return given


def _box_around(keypoints: list[float], where: str) -> list[float]:
    """The box of the labelled keypoints' pixels; DataError where there are none."""
    points = np.reshape(keypoints, (-1, 3))
    points = points[points[:, 2] > 0, :2]
    if not len(points):
        raise fault(where, "bbox", "nothing at all", "there, or a segmentation or labelled keypoints", "delete the annotation")
    low, high = points.min(0), points.max(0) + 1  # pixel i covers [i, i + 1)
    return [*low.tolist(), *(high - low).tolist()]


def _area(given: Any, where: str) -> float | None:
    if given is not None and (not _finite([given]) or given < 0):
        expected = "a finite number of px², not negative"
        raise fault(where, "area", given, expected, "correct it, or delete the field to have it derived")
    return given  # type: ignore[no-any-return]  # a number, as just seen


def _finite(numbers: list[Any]) -> bool:
    """Whether all are numbers, and none is NaN or infinite."""
    try:
        return math.isfinite(sum(numbers))
    except (TypeError, OverflowError):
        return False


def _segmentation(given: Any, image: Record, where: str) -> Any:
    """Polygons that enclose something, or a run-length code that fills the image exactly; None where there is no mask.

    pycocotools checks neither: too few runs decode to memory as it was, and far polygons take all memory.
    """
    if not given:
        return None
    if isinstance(given, dict):
        _check_runs(given, image, where)
        return given
    reach = 2 * max(image["height"], image["width"])
    for polygon in given if isinstance(given, list) else [given]:
        if not isinstance(polygon, list) or len(polygon) % 2 or not _finite(polygon):
            raise fault(where, "segmentation", polygon, "a list of polygons [x, y, x, y, …] or an RLE object", "correct it")
        if polygon and max(max(polygon), -min(polygon)) > reach:
            raise fault(where, "segmentation", polygon, "polygons in px of the image", "correct the coordinates")
    return [polygon for polygon in given if len(polygon) >= 6] or None  # two points enclose nothing


def _check_runs(given: Record, image: Record, where: str) -> None:
    size, counts = [image["height"], image["width"]], given.get("counts")
    if given.get("size") != size:
        remedy = "encode the mask at the image's size"
        raise fault(f"{where}: segmentation", "size", given.get("size"), f"[height, width] of the image, {size}", remedy)
    runs = _runs(counts) if isinstance(counts, str) else counts
    if not isinstance(runs, list) or not _finite(runs) or min(runs, default=0) < 0 or sum(runs) != size[0] * size[1]:
        expected = f"runs, as a list or as COCO's string, that add up to {size[0] * size[1]} px"
        raise fault(f"{where}: segmentation", "counts", counts, expected, "encode the mask anew")


def _runs(counts: str) -> list[int]:
    """The runs of a compressed code: 5 bits a character, lowest first; from the fourth on, differences to the last but one."""
    runs: list[int] = []
    value = shift = 0
    for bits in (ord(character) - 48 for character in counts):
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            value -= (bits & 16) << (shift - 4)  # the highest bit is the sign
            runs.append(value + runs[-2] if len(runs) > 2 else value)
            value = shift = 0
    return runs


def mask_rle(segmentation: Any, image: Record) -> Record:
    """Any COCO segmentation as pycocotools' compressed run-length code."""
    height, width = image["height"], image["width"]
    if isinstance(segmentation, list):
        return coco_mask.merge(coco_mask.frPyObjects(segmentation, height, width))  # type: ignore[no-any-return]
    if isinstance(segmentation["counts"], list):
        return coco_mask.frPyObjects(segmentation, height, width)  # type: ignore[no-any-return]
    return segmentation  # type: ignore[no-any-return]


def cropped_mask(segmentation: Any, image: Record) -> tuple[NDArray[np.bool_], tuple[slice, slice]]:
    """A mask without the empty rows and columns around it, and the window (rows, columns) of the image where it lies."""
    rle = mask_rle(segmentation, image)
    x, y, width, height = (int(side) for side in coco_mask.toBbox(rle))
    window = slice(y, y + height), slice(x, x + width)
    return coco_mask.decode(rle)[window].astype(bool), window


def _number(records: Iterable[Record]) -> None:
    taken: set[int] = set()
    without = []
    for record in records:
        if isinstance(record["id"], int) and record["id"] not in taken:
            taken.add(record["id"])
        else:
            without.append(record)
    for record, fresh in zip(without, itertools.count(max(taken, default=0) + 1)):  # the count never ends
        record["id"] = fresh


def _warn(derived: Counter[str], path: Path) -> None:
    if derived:
        warnings.warn(
            f"{path}: {derived.total()} annotations have no `area`; it was taken from the mask for {derived['mask']}, as "
            f"{BOX_SHARE} * width * height of the box for {derived['box']}; OKS scales with it, so AP compares only with numbers "
            "made in the same way",
            BottomupWarning,
            stacklevel=4,
        )
