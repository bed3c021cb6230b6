"""Masks of COCO annotations: polygons and run-length codes, checked before pycocotools sees them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from bottomup.coco.records import fault, flattened, numbers
from bottomup.dataset import Record

_CODE = re.compile(r"(?:[P-o]{0,5}[0-O])*")  # numbers of at most 6 characters, of which all but the last have the bit that goes on


def read_mask(given: Any, image: Record, where: str) -> Any:
    """Polygons that enclose something, or a run-length code that fills the image exactly; None where there is no mask.

    A polygon may be a list of points, too, and one may stand without the list around it. pycocotools checks neither polygons nor
    runs: too few decode to memory as it was, and far polygons take all memory.
    """
    if not given:
        return None
    if isinstance(given, dict):
        return _read_runs(given, image, where)
    reach = 2 * max(image["height"], image["width"])
    polygons = []
    for polygon in _polygons(given):
        points = _points(polygon)
        if points is None:
            raise fault(where, "segmentation", polygon, "a list of polygons [x, y, x, y, …] or an RLE object", "correct it")
        if points and max(max(points), -min(points)) > reach:
            raise fault(where, "segmentation", polygon, "polygons in px of the image", "correct the coordinates")
        polygons.append(points)
    return [points for points in polygons if len(points) >= 6] or None  # two points enclose nothing


def _polygons(given: Any) -> list[Any]:
    """The polygons; one that is given alone, as numbers or as points, among them."""
    if not isinstance(given, list):
        return [given]
    if len(given) > 4 and numbers(given):
        return [given]
    alone = len(given) > 2 and all(isinstance(point, list) and len(point) == 2 and numbers(point) for point in given)
    return [flattened(given)] if alone else given


def _points(polygon: Any) -> list[float] | None:
    """x, y, x, y, … of a polygon; None where it is none."""
    if not isinstance(polygon, list):
        return None
    if polygon and all(isinstance(point, list) and len(point) == 2 for point in polygon):
        polygon = flattened(polygon)
    return numbers(polygon) if len(polygon) % 2 == 0 else None


def _read_runs(given: Record, image: Record, where: str) -> Record:
    size, counts = [image["height"], image["width"]], given.get("counts")
    stated = given.get("size")
    if not isinstance(stated, list) or numbers(stated) != size:
        remedy = "encode the mask at the image's size"
        raise fault(f"{where}: segmentation", "size", stated, f"[height, width] of the image, {size}", remedy)
    runs = _runs(counts) if isinstance(counts, str) else numbers(counts) if isinstance(counts, list) else None
    if runs is None or min(runs, default=0) < 0 or sum(runs) != size[0] * size[1] or any(run != int(run) for run in runs):
        expected = f"runs, as a list or as COCO's string, that add up to {size[0] * size[1]} px"
        raise fault(f"{where}: segmentation", "counts", counts, expected, "encode the mask anew")
    return {**given, "size": size, "counts": counts if isinstance(counts, str) else [int(run) for run in runs]}


def _runs(counts: str) -> list[float] | None:
    """The runs of a compressed code: 5 bits a character, lowest first; from the fourth on, differences to the last but one.

    None where pycocotools, in C, reads other runs or on behind the end: for other characters, for numbers of more bits than 30,
    and where the last number has no end.
    """
    if not _CODE.fullmatch(counts):
        return None
    runs: list[float] = []
    value = shift = 0
    for bits in (ord(character) - 48 for character in counts):
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            value -= (bits & 16) << (shift - 4)  # the highest bit is the sign
            runs.append(value + runs[-2] if len(runs) > 2 else value)
            value = shift = 0
    return runs


def box_outline(box: Sequence[float], image: Record) -> list[list[float]]:
    """A box xywh as a polygon, cut to its image: pycocotools takes memory for each px of an outline, however far off."""
    x, y, width, height = box
    low, high = np.clip(((x, y), (x + width, y + height)), 0, (image["width"], image["height"])).tolist()
    return [[low[0], low[1], high[0], low[1], high[0], high[1], low[0], high[1]]]


def has_pixels(mask: Any, image: Record) -> bool:
    """Whether a mask covers anything of its image: not where it is empty, beside the image or in units of it."""
    if isinstance(mask, list) and any(_is_large(polygon, image) for polygon in mask):
        return True  # what nearly all masks are; to draw those of a large file would take as long as to read it
    if isinstance(mask, list) and all(max(map(abs, polygon)) <= 1 for polygon in mask):
        return False
    return bool(coco_mask.area(mask_rle(mask, image)))


def _is_large(polygon: list[float], image: Record) -> bool:
    """Whether a polygon lies in the image and is of some extent beyond doubt."""
    xs, ys = polygon[::2], polygon[1::2]
    if min(xs) < 0 or min(ys) < 0 or max(xs) > image["width"] or max(ys) > image["height"]:
        return False
    twice = sum(x * (below - above) for x, below, above in zip(xs, ys[1:] + ys[:1], ys[-1:] + ys[:-1], strict=True))
    return abs(twice) > 4 * (max(xs) - min(xs) + max(ys) - min(ys))  # more than a line of a pixel's width


def mask_rle(segmentation: Any, image: Record) -> Record:
    """Any COCO segmentation as pycocotools' compressed run-length code."""
    height, width = image["height"], image["width"]
    if isinstance(segmentation, list):
        return coco_mask.merge(coco_mask.frPyObjects(segmentation, height, width))  # type: ignore[no-any-return]
    if isinstance(segmentation["counts"], list):
        return coco_mask.frPyObjects(segmentation, height, width)  # type: ignore[no-any-return]
    return segmentation  # type: ignore[no-any-return]


def cropped_mask(segmentation: Any, image: Record) -> tuple[NDArray[np.bool_], tuple[slice, slice]]:
    """A mask in a window (rows, columns) of the image outside which it has no pixels, and that window."""
    if isinstance(segmentation, list):
        rows, columns = _around(segmentation, image)
        rle = coco_mask.merge(coco_mask.frPyObjects(segmentation, rows.stop, columns.stop))
        return coco_mask.decode(rle)[rows, columns].view(bool), (rows, columns)
    rle = mask_rle(segmentation, image)
    x, y, width, height = (int(side) for side in coco_mask.toBbox(rle))
    window = slice(y, y + height), slice(x, x + width)
    return coco_mask.decode(rle)[window].astype(bool), window


def _around(polygons: list[list[float]], image: Record) -> tuple[slice, slice]:
    """The rows and columns of the image that polygons may reach.

    Drawn on an image that ends there they are the same; moved, they would not be, as pycocotools rounds ties by the way they fall.
    """
    xs = [x for polygon in polygons for x in polygon[::2]]
    ys = [y for polygon in polygons for y in polygon[1::2]]
    left, top = (min(max(math.floor(min(side)) - 1, 0), most - 1) for side, most in ((xs, image["width"]), (ys, image["height"])))
    right, bottom = (
        min(max(math.ceil(max(side)) + 2, low + 1), most)
        for side, low, most in ((xs, left, image["width"]), (ys, top, image["height"]))
    )
    return slice(top, bottom), slice(left, right)


def covered(records: list[Record], image: Record) -> NDArray[np.bool_]:
    """The pixels (H, W) of all records: their masks, else every pixel that their boxes touch."""
    pixels = np.zeros((image["height"], image["width"]), bool)
    for record in records:
        if "segmentation" in record:
            inside, window = cropped_mask(record["segmentation"], image)
            pixels[window] |= cv2.transpose(inside.view(np.uint8).T).view(bool)  # column by column, as pycocotools decodes
        else:
            x, y, width, height = record["bbox"]
            paint_box(pixels, (x, y, x + width, y + height))
    return pixels


def paint_box(pixels: NDArray[np.bool_], box: tuple[float, float, float, float]) -> None:
    """Set every pixel (H, W) that a box xyxy touches."""
    x1, y1 = (max(0, int(np.floor(low))) for low in box[:2])
    x2, y2 = (max(0, int(np.ceil(high))) for high in box[2:])
    pixels[y1:y2, x1:x2] = True


def instance_map(people: list[Record], image: Record) -> NDArray[np.int16]:
    """Whose mask each pixel (H, W) lies in: n + 1 for person n alone, -1 for several, 0 for nobody."""
    owners = np.zeros((image["height"], image["width"]), np.int16, order="F")  # as pycocotools decodes masks
    for number, person in enumerate(people, start=1):
        if "segmentation" in person:
            inside, window = cropped_mask(person["segmentation"], image)
            own = owners[window]
            again = inside & own.astype(bool)
            np.copyto(own, np.int16(number), where=inside)
            if again.any():
                np.copyto(own, np.int16(-1), where=again)
    return np.asarray(cv2.transpose(owners.T), np.int16)
