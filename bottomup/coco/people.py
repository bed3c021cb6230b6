"""The people of a COCO annotation file: a record leaves complete, is refused by name, or is left out and counted."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bottomup.coco.extents import BOX_SHARE, FARTHEST, around_keypoints, around_mask, can_be, derived_area, read_area, read_box
from bottomup.coco.masks import has_pixels, read_mask
from bottomup.coco.records import fault, flattened, number, numbers, whole
from bottomup.dataset import Record
from bottomup.errors import warn
from bottomup.skeletons import Skeleton

_PARTS = ("foot_kpts", "face_kpts", "lefthand_kpts", "righthand_kpts")  # COCO-WholeBody's lists, in the order of its keypoints
_MARKS = ("imputed", "area_is_estimate")  # of annotations, kept where they are true

# Of COCO's 160,000 people with keypoints one in a thousand has most of them out of the box, nobody one out of the image by a pixel,
# and nobody's box is out of it.
_AROUND = 1 / 4  # of a box's side: how far beside it a keypoint is still the person's
_APART = 1 / 20  # of a file's people: so many are not the odd mistake


def people_by_image(
    data: Record, images: Mapping[int, Record], categories: Sequence[Record], skeleton: Skeleton | None, path: Path
) -> dict[int, list[Record]]:
    """The records of some categories by image id, crowds among them, each with all it needs.

    A record has id, image_id, category_id, iscrowd, bbox (xywh), area, keypoints (3K numbers; none without a ``skeleton``),
    num_keypoints (the file's where it says one), ``segmentation`` only where there is a mask, ``imputed`` and
    ``area_is_estimate`` only where they are true. Numbers may be written as text, whole ones as floats, keypoints as lists of
    lists.

    What is missing or cannot be meant is derived: an area (missing, 0, or far from what the person spans) from the mask, else as
    0.53 of the box; a box (missing or without extent) around the mask, else around the labelled keypoints, of a least size; a
    count from the labelled keypoints; ids that are missing or stand twice anew, as pycocotools would lose one of the two. A
    keypoint with null for a coordinate is unlabelled, and so is one at (0, 0) or (-1, -1), where absent ones are put. A mask
    without pixels is none. A record with neither extent nor mask nor labelled keypoint, as tracks have outside their range, is
    nobody, one that stands twice, as in merged files, is one person. One warning for the file says all of it with counts, and
    what seems not to fit: keypoints or boxes out of the image or apart, crowds with keypoints, images listed twice.
    """
    groups: dict[int, list[Record]] = {image_id: [] for image_id in images}
    known = {whole(entry.get("id")) for entry in data["categories"]} - {None}
    wanted = {category["id"] for category in categories}
    said: Counter[str] = Counter({"files": len(images) - len({image["file_name"] for image in images.values()})})
    for place, given in enumerate(data.get("annotations", [])):
        where = f"{path}: annotation {given.get('id', f'number {place} (it has no id)')}"
        category_id = _category(given, known, where)
        if category_id not in wanted:
            continue
        image_id = _image(given, images, where)
        record = _complete(given, images[image_id], skeleton, where, said)
        if record is None:
            continue
        _add(record | {"category_id": category_id}, groups[image_id], images[image_id], said)
    records = list(itertools.chain.from_iterable(groups.values()))
    _check_unit(records, path)
    _number(records)
    _settle_counts([record for record in records if not record["iscrowd"]], said)
    _warn(said, path)
    return groups


def _add(record: Record, people: list[Record], image: Record, said: Counter[str]) -> None:
    """Add a record to those of its image, unless it stands there already."""
    if any(_alike(record, other) for other in people):
        said["twice"] += 1
        return
    _compare(record, image, said)
    people.append(record)


def _category(given: Record, known: Collection[int | None], where: str) -> int:
    """The category of a record, which its file has to list."""
    category_id = whole(given.get("category_id"))
    if category_id is None or category_id not in known:
        raise fault(where, "category_id", given.get("category_id"), f"one of {sorted(known, key=str)}", "list its category")
    return category_id


def _image(given: Record, images: Mapping[int, Record], where: str) -> int:
    """The image of a record, which its file has to list."""
    image_id = whole(given.get("image_id"))
    if image_id is None or image_id not in images:
        expected, remedy = f"the id of one of the {len(images)} images", "list its image under `images` or delete the annotation"
        raise fault(where, "image_id", given.get("image_id"), expected, remedy)
    return image_id


def _complete(given: Record, image: Record, skeleton: Skeleton | None, where: str, said: Counter[str]) -> Record | None:
    """The whole record; None for nobody."""
    keypoints = _keypoints(_with_parts(given, skeleton), skeleton, where, said)
    marks = {mark: True for mark in _MARKS if _is_true(given.get(mark), mark, where, "write true or false")}
    mask = None if "area_is_estimate" in marks else read_mask(given.get("segmentation"), image, where)
    if mask is not None and not has_pixels(mask, image):
        mask, said["no mask"] = None, said["no mask"] + 1
    box = read_box(given.get("bbox"), where)
    if box is None or min(box[2:]) < 1:  # px: lines, and boxes in units of the image
        drawn = around_mask(mask, image) if mask is not None else None
        drawn = drawn or (around_keypoints(keypoints, skeleton) if skeleton is not None else None)
        if drawn is None and (box is None or min(box[2:]) == 0 or max(box[2:]) < 1):
            said["nobody"] += 1
            return None
        said["box"] += drawn is not None
        box = drawn or box
    elif _beyond(box, image):
        said["box out"] += 1
    assert box is not None
    crowd = _is_true(given.get("iscrowd"), "iscrowd", where, "write 1 for a crowd and 0 for a person")
    area = read_area(given.get("area"), where)
    if area is None or not (crowd or can_be(area, box, mask, keypoints)):  # crowds may be thin
        area = derived_area(area, box, mask, image, said)
    record = {
        "id": given.get("id"),
        "image_id": image["id"],
        "iscrowd": crowd,
        "bbox": box,
        "area": area,
        "keypoints": keypoints,
        "num_keypoints": _count(given.get("num_keypoints"), keypoints, where, said),
    }
    if mask is not None:
        record["segmentation"] = mask
    return record | marks


# ---- keypoints -------------------------------------------------------------------------------------------------------------


def _with_parts(given: Record, skeleton: Skeleton | None) -> Any:
    """A record's keypoints, with those of feet, face and hands that have lists of their own where the skeleton has them, too."""
    parts: list[Any] = [given.get(field) for field in ("keypoints", *_PARTS)]
    if skeleton is None or not all(isinstance(part, list) for part in parts):
        return parts[0]
    whole = [value for part in parts for value in part]
    whole[2::3] = [1 if isinstance(sure, float) and 0 < sure < 1 else sure for sure in whole[2::3]]  # a share is labelled, too
    return whole if len(whole) == 3 * len(skeleton) else parts[0]


def _keypoints(given: Any, skeleton: Skeleton | None, where: str, said: Counter[str]) -> list[float]:
    if skeleton is None:
        return []
    if not given:
        return [0] * (3 * len(skeleton))
    count = 3 * len(skeleton)
    values = (given if len(given) == count else flattened(given)) if isinstance(given, list) else None
    if values is None or len(values) != count:
        expected = (
            f"a flat list of {count} numbers, x, y and visibility of the {len(skeleton)} keypoints of skeleton {skeleton.name!r}"
        )
        shown = given if values is None else f"{len(values)} numbers"
        raise fault(where, "keypoints", shown, expected, "set `skeleton` to the one that the file was made with")
    read = numbers(values)
    if read is None:
        read = [value for start in range(0, count, 3) for value in _keypoint(values[start : start + 3], where, said)]
    if not {*read[2::3]} <= {0, 1, 2} or max(read) > FARTHEST or min(read) < -FARTHEST:
        triples = (read[start : start + 3] for start in range(0, count, 3))
        raise _no_keypoint(next(one for one in triples if one[2] not in (0, 1, 2) or max(map(abs, one)) > FARTHEST), where)
    absent = [place for place in range(2, count, 3) if read[place] and read[place - 2] == read[place - 1] in (0, -1)]
    if absent:
        said["origin"] += len(absent)
        read = [0 if place in absent else value for place, value in enumerate(read)]
    return read


def _keypoint(triple: list[Any], where: str, said: Counter[str]) -> list[float]:
    """x, y and visibility; all 0 where the keypoint is not labelled, or one of them is null."""
    visibility = number(triple[2])
    if None in triple or visibility == 0:
        said["null"] += bool(visibility)
        return [0, 0, 0]
    read = numbers(triple)
    if read is None:
        raise _no_keypoint(triple, where)
    return read


def _no_keypoint(triple: list[Any], where: str) -> Exception:
    return fault(where, "keypoints", triple, "x, y in px and visibility 0, 1 or 2 of each keypoint, finite", "correct them")


def _check_unit(records: Iterable[Record], path: Path) -> None:
    """DataError where all keypoints of the file are fractions: of the image's sides, not px."""
    fractions = False
    for record in records:
        keypoints = record["keypoints"]
        for x, y, visibility in zip(keypoints[::3], keypoints[1::3], keypoints[2::3], strict=True):
            if visibility and max(x, y) > 1:
                return
            fractions = fractions or bool(visibility and 0 < x < 1 and 0 < y < 1)
    if fractions:
        expected = "px of the image"
        raise fault(str(path), "keypoints", "fractions of it everywhere", expected, "multiply x by its width and y by its height")


def _count(given: Any, keypoints: list[float], where: str, said: Counter[str]) -> int:
    """The file's ``num_keypoints``, which evaluation goes by; the labelled ones where it says none, or where none is labelled."""
    labelled = sum(visibility > 0 for visibility in keypoints[2::3])
    stated = labelled if given is None else whole(given)
    if stated is None or stated < 0:
        expected = "a whole number, not negative"
        raise fault(where, "num_keypoints", given, expected, "correct it, or delete the field to have the labelled ones counted")
    said["unseen"] += stated > 0 and labelled == 0
    return stated if labelled else 0


def _settle_counts(people: list[Record], said: Counter[str]) -> None:
    """Count anew where ``num_keypoints`` 0 beside labelled keypoints cannot be meant.

    It is meant where the file leaves the same keypoints out of everybody's count, as CrowdPose leaves out head and neck.
    """
    labelled = [{place for place, visibility in enumerate(person["keypoints"][2::3]) if visibility} for person in people]
    if people and people[0]["keypoints"] and not any(labelled):
        said["unlabelled"] = len(people)
    without = [(person, names) for person, names in zip(people, labelled, strict=True) if names and not person["num_keypoints"]]
    left_out = set[int]().union(*(names for _, names in without))
    telling = [(person["num_keypoints"], names) for person, names in zip(people, labelled, strict=True) if names & left_out]
    counts = [(count, names) for count, names in telling if count]
    if 2 * sum(count == len(names - left_out) for count, names in counts) > len(counts):
        return
    for person, names in without:
        person["num_keypoints"] = len(names)
    said["count"] += len(without)


# ---- the rest --------------------------------------------------------------------------------------------------------------


def _is_true(given: Any, field: str, where: str, remedy: str) -> int:
    if given not in (None, 0, 1):  # true and false are 1 and 0
        raise fault(where, field, given, "0 or 1, or true or false", remedy)
    return int(given or 0)


def _alike(record: Record, other: Record) -> bool:
    """Whether two records differ in their ids alone."""
    same = record["bbox"] == other["bbox"] and record["keypoints"] == other["keypoints"]
    return same and record | {"id": None} == other | {"id": None}


def _compare(record: Record, image: Record, said: Counter[str]) -> None:
    """Count where keypoints, box and image do not seem to be of one another."""
    points = _labelled_points(record["keypoints"])
    if not points:
        return
    said["crowd"] += record["iscrowd"]
    said["labelled"] += 1
    said["out"] += any(not (-1 <= x <= image["width"] and -1 <= y <= image["height"]) for x, y in points)
    boxes = [record["bbox"]]
    if isinstance(mask := record.get("segmentation"), list):
        xs, ys = ([value for polygon in mask for value in polygon[axis::2]] for axis in (0, 1))
        boxes.append([min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)])
    said["apart"] += any(2 * _inside(points, box) < len(points) for box in boxes)


def _beyond(box: list[float], image: Record) -> bool:
    """Whether a box xywh reaches out of its image, by more than rounding does."""
    x, y, width, height = box
    beside = 2 + max(image["width"], image["height"]) / 50  # px
    return bool(min(x, y) < -beside or x + width > image["width"] + beside or y + height > image["height"] + beside)


def _labelled_points(keypoints: list[float]) -> list[tuple[float, float]]:
    return [(x, y) for x, y, v in zip(keypoints[::3], keypoints[1::3], keypoints[2::3], strict=True) if v]


def _inside(points: Sequence[tuple[float, float]], box: list[float]) -> int:
    """How many points lie in a box xywh, or not far beside it."""
    left, top, width, height = box
    dx, dy = (1 + _AROUND * side for side in (width, height))
    return sum(left - dx <= x <= left + width + dx and top - dy <= y <= top + height + dy for x, y in points)


def _number(records: Iterable[Record]) -> None:
    """Ids from 1, each once: pycocotools takes 0 for nobody. No result depends on them otherwise, so nothing is said."""
    taken: set[int] = set()
    without = []
    for record in records:
        record["id"] = whole(record["id"])
        if record["id"] is not None and record["id"] > 0 and record["id"] not in taken:
            taken.add(record["id"])
        else:
            without.append(record)
    for record, fresh in zip(without, itertools.count(max(taken, default=0) + 1)):  # the count never ends
        record["id"] = fresh


def _warn(said: Counter[str], path: Path) -> None:
    sentences = "; ".join(_sentences(said))
    if sentences:
        warn(f"{path}: {sentences}")


def _sentences(said: Counter[str]) -> Iterator[str]:
    """What was derived or left out, and of how many annotations."""
    areas = {"no area": "have no `area`", "wrong area": "have an `area` that cannot be theirs (0, or in another unit than px²)"}
    if any(said[key] for key in areas):
        who = ", ".join(f"{said[key]} annotations {what}" for key, what in areas.items() if said[key])
        yield (
            f"{who}; it was taken from the mask for {said['of mask']}, as {BOX_SHARE} * width * height of the box for "
            f"{said['of box']}; OKS scales with it, so AP compares only with numbers made in the same way"
        )
    others = {
        "box": "annotations have no `bbox`, or one without extent; it was drawn around the mask or the labelled keypoints",
        "nobody": "annotations have neither extent nor mask nor labelled keypoints; they are nobody and left out",
        "twice": "annotations stand twice, alike but for their ids; each is one person",
        "no mask": "annotations have a mask without a pixel of the image; they count as without: polygons should be in px",
        "null": "keypoints are labelled without coordinates (null); they count as unlabelled",
        "origin": "keypoints are labelled at (0, 0) or (-1, -1), where absent ones are put; they count as unlabelled",
        "unseen": "annotations say `num_keypoints` where every visibility is 0; nothing of them is labelled: write visibility 2 "
        "where a keypoint is seen, 1 where it is hidden",
        "count": "annotations say `num_keypoints` 0 beside labelled keypoints; those were counted",
        "unlabelled": "people, all of the file's, have no labelled keypoint: no pose can be learned from them or judged",
        "crowd": "annotations with labelled keypoints have `iscrowd` 1; nobody learns from crowds: write 0 for a person",
        "out": "people have keypoints labelled out of the image; were they annotated on an image of this size?",
        "box out": "boxes reach out of the image; are they [x, y, width, height], in px of an image of this size?",
        "files": "images have the file of another one; people of the other are unlabelled in each: list it once",
    }
    yield from (f"{said[key]} {what}" for key, what in others.items() if said[key])
    if said["apart"] > _APART * said["labelled"]:
        yield (
            f"{said['apart']} people have most of their labelled keypoints beside their box or mask; are boxes "
            "[x, y, width, height], and all three in px of the same image?"
        )
