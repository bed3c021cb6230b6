"""COCO annotation files as they are found: which categories and images are meant, and numbers however they are written."""

from __future__ import annotations

import gzip
import json
import math
import reprlib
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bottomup.dataset import Record
from bottomup.errors import DataError, of_system, unknown
from bottomup.paths import path_of

_WHOLE = 1 << 53  # up to here all whole numbers are floats, as pycocotools holds ids
_LONGEST, _MOST_PIXELS = 1 << 20, 1 << 30  # of an image that OpenCV reads

Ids = Sequence[int | float | str] | str | None  # of images: a list, a JSON file of one, none at all


def read_file(path: Path) -> Record:
    """Read a COCO annotation file, ``.json`` or ``.json.gz``; DataError where it is missing, broken or something else.

    It is UTF-8, or has the byte order mark of another Unicode encoding.
    One without ``annotations`` lists images alone, as COCO's image_info files of its test splits do.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            data = json.loads(stream.read())  # from bytes, whose encoding it finds out
    except FileNotFoundError:
        beside = sorted(file.name for file in path.parent.glob("*.json*"))
        there = f"its folder has {', '.join(beside)}" if beside else "its folder has no annotation file"
        raise DataError(
            f"{path}: no such file ({there}); set the data set's `root` and `split` (data.root=), or `annotations`"
        ) from None
    except PermissionError as error:
        raise DataError(f"{path}: not readable ({of_system(error)})") from None
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


def number(value: object) -> float | None:
    """A finite number, also where it is written as text; None for anything else."""
    if isinstance(value, str):
        try:
            value = int(value)  # an id may have more digits than a float keeps
        except ValueError:
            try:
                value = float(value)
            except ValueError:
                return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not -math.inf < value < math.inf:
        return None
    return value


def whole(value: object) -> int | None:
    """A whole number, also where it is written as text or as a float; None for anything else, and for what no float holds."""
    read = number(value)
    return int(read) if read is not None and abs(read) <= _WHOLE and read == int(read) else None


def numbers(values: list[Any]) -> list[float] | None:
    """All as ``number`` reads them; None where one is none."""
    try:
        if math.isfinite(sum(values)):
            return values
    except (TypeError, OverflowError):
        pass  # text, null, lists, or an integer beyond all floats
    read = [number(value) for value in values]
    return [value for value in read if value is not None] if None not in read else None


def flattened(values: list[Any]) -> list[Any]:
    """What stands in lists of lists, however deep, as one list."""
    return [leaf for value in values for leaf in (flattened(value) if isinstance(value, list) else [value])]


def choose_categories(data: Record, given: str | Sequence[str] | None, path: Path) -> list[Record]:
    """The categories of those names, with whole ids; the only one where ``given`` is None.

    DataError where one is not there, and where several do not name the same keypoints in the same order; those that name none are
    of objects, which may stand beside people.
    """
    categories: list[Record] = data["categories"]
    names = [str(category.get("name")) for category in categories]
    if given is None and len(categories) != 1:
        raise DataError(f"{path}: `category` should name one of {', '.join(names) or 'no categories'}, as there is not just one")
    wanted = names if given is None else [given] if isinstance(given, str) else list(given)
    if not wanted or len(set(wanted)) < len(wanted):
        raise fault(str(path), "category", wanted, "a category or a list of different ones", f"choose of {', '.join(names)}")
    for name in wanted if given is not None else ():
        if name not in names:
            raise DataError(f"{path}: " + unknown("category", str(name), names))
    chosen = [_category(_of_that_name(data, name, path), path) for name in wanted]
    posed = [category for category in chosen if category.get("keypoints") or has_keypoints(data, category)]
    for other in posed[1:]:
        if other.get("keypoints") != posed[0].get("keypoints"):
            lists = [f"{category['name']!r} has {_listed(category.get('keypoints'))}" for category in (posed[0], other)]
            raise DataError(
                f"{path}: categories that are read as one data set should have the same keypoints in the same order, but "
                f"{' and '.join(lists)}; read each as one of the sets of data=concat, whose `keypoints` map names"
            )
    return chosen


def _of_that_name(data: Record, name: str, path: Path) -> Record:
    """The category of a name; of several the one with keypoints, where nobody is of the others, as Roboflow writes groups."""
    found = [category for category in data["categories"] if str(category.get("name")) == name]
    found = [category for category in found if category.get("keypoints")] or found
    ids = [whole(category.get("id")) for category in data["categories"]]
    others = [number for number, category in zip(ids, data["categories"], strict=True) if str(category.get("name")) == name]
    of_others = {*others} - {whole(found[0].get("id"))}
    used = {whole(annotation.get("category_id")) for annotation in data.get("annotations", [])}
    if len(found) > 1 or of_others & used:
        raise fault(str(path), "categories", f"{len(others)} named {name!r}", "of different names", "rename or join them")
    if ids.count(whole(found[0].get("id"))) > 1:
        raise fault(f"{path}: category {name!r}", "id", found[0].get("id"), "no other category's", "number the categories")
    chosen: Record = found[0]
    return chosen


def _category(category: Record, path: Path) -> Record:
    if not isinstance(category.get("name"), str):
        raise fault(f"{path}: category {category.get('id')}", "name", category.get("name"), "a string", "name the categories")
    number_given = whole(category.get("id"))
    if number_given is None:
        where = f"{path}: category {category.get('name')!r}"
        raise fault(where, "id", category.get("id"), "a whole number", "number the categories")
    return category | {"id": number_given}


def has_keypoints(data: Record, category: Record) -> bool:
    """Whether somebody of a category has keypoints, be they named or not."""
    return any(entry.get("keypoints") for entry in data.get("annotations", []) if whole(entry.get("category_id")) == category["id"])


def _listed(names: object) -> str:
    return ", ".join(map(str, names)) if isinstance(names, list) else "none"


def read_images(data: Record, path: Path) -> dict[int, Record]:
    """The image records by id, in the file's order."""
    images: dict[int, Record] = {}
    for image in data["images"]:
        where = f"{path}: image {image.get('id', image.get('file_name'))}"
        image_id = whole(image.get("id"))
        if image_id is None or image_id in images:
            remedy = "number the images, and say the same number as `image_id` of their annotations"
            raise fault(where, "id", image.get("id"), "a whole number that no other image has", remedy)
        named = image.get("file_name")
        if not isinstance(named, str) or not named or "\0" in named:
            raise fault(where, "file_name", named, "a string that can be a file's name", "say which file the image is")
        sides = {side: whole(image.get(side)) for side in ("height", "width")}
        for side, length in sides.items():
            if length is None or length <= 0:
                raise fault(where, side, image.get(side), "a positive integer", "write the size of the image file, in px")
        _check_size(where, *sides.values())
        name = named.replace("\\", "/")  # of Windows
        images[image_id] = {**image, "id": image_id, "file_name": name, **sides}
    return images


def _check_size(where: str, height: Any, width: Any) -> None:
    """DataError for a size that no image has which is read: masks would take memory for all of it."""
    if max(height, width) > _LONGEST or height * width > _MOST_PIXELS:
        expected = "at most 2^20 px a side and 2^30 px in all"
        raise fault(where, "height` x `width", f"{height} x {width}", expected, "write the size of the image file, in px")


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


def _id_list(ids: Sequence[int | float | str] | str) -> list[Any]:
    """A list, or the one in a JSON file; DataError where there is none."""
    if not isinstance(ids, str):
        return [_as_id(image_id) for image_id in ids]
    path = path_of(ids)
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: should be a JSON file with a list of image ids, but {error}") from None
    if not isinstance(data, list):
        raise DataError(f"{path}: should hold a list of image ids, holds a {type(data).__name__}")
    return [_as_id(image_id) for image_id in data]


def _as_id(given: Any) -> Any:
    """A whole number where it is one; what is none is no image's."""
    read = whole(given)
    return given if read is None else read
