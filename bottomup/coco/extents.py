"""The boxes and areas of people in COCO annotation files: as they are stated, or drawn around what else a record has."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from bottomup.coco.masks import mask_rle
from bottomup.coco.records import fault, number, numbers
from bottomup.dataset import Record
from bottomup.skeletons import Skeleton

# The share of a person's box that is taken as the person where nothing says it, as CrowdPose's own OKS takes it.
BOX_SHARE = 0.53

# Of COCO's 160,000 people with keypoints nobody fills less than 1/24 of the box of their keypoints or 1/9 of their own; an area in
# units of the image is smaller by thousands. Nobody is larger than their box, but for the pixels that it cuts.
_LEAST_SHARE, _GREATEST_SHARE = 1 / 40, 2.0
_AGREES = 4.0  # by which factor an area may differ from its mask's, as small ones do

_NARROWEST = 1 / 4  # of a box around keypoints: its shorter side over its longer one
FARTHEST = 1e6  # px, of boxes and keypoints


def read_box(given: Any, where: str) -> list[float] | None:
    """A stated box xywh in px; None where none is stated, DataError for what is no box."""
    if not given or (isinstance(given, list) and None in given):
        return None
    read = numbers(given) if isinstance(given, list) and len(given) == 4 else None
    if read is None or min(read[2:]) < 0 or max(map(abs, read)) > FARTHEST:
        expected = "[x, y, width, height] in px, finite, sizes not negative"
        raise fault(where, "bbox", given, expected, "correct it, or delete the field to have it drawn around mask or keypoints")
    return read


def around_mask(mask: Any, image: Record) -> list[float] | None:
    """The box of a mask's pixels; None where it has none."""
    box: list[float] = coco_mask.toBbox(mask_rle(mask, image)).tolist()
    return box if min(box[2:]) > 0 else None


def around_keypoints(keypoints: list[float], skeleton: Skeleton) -> list[float] | None:
    """The box of the labelled keypoints' pixels, not narrower than a body is; None where there are none.

    Its area is at least such that one pixel off in x and y is one standard deviation of OKS: one keypoint says where somebody is,
    not how large.
    """
    points = np.reshape(keypoints, (-1, 3))
    labelled = points[:, 2] > 0
    if not labelled.any():
        return None
    low, high = points[labelled, :2].min(0), points[labelled, :2].max(0) + 1  # pixel i covers [i, i + 1)
    deviations = 2 * np.array(skeleton.sigmas)[labelled]  # of OKS, over the root of the area
    least = math.sqrt(2 / float(np.square(deviations).mean()) / BOX_SHARE)
    size = np.maximum(high - low, max(least, _NARROWEST * float((high - low).max())))
    return [*((low + high - size) / 2).tolist(), *size.tolist()]


def read_area(given: Any, where: str) -> float | None:
    """A stated area in px²; None where none is stated, DataError for what is no area."""
    read = None if given is None else number(given)
    if given is not None and (read is None or not 0 <= read <= FARTHEST**2):
        expected = "a number of px², neither negative nor beyond all images"
        raise fault(where, "area", given, expected, "correct it, or delete the field to have it derived")
    return read


def derived_area(stated: float | None, box: list[float], mask: Any, image: Record, said: Counter[str]) -> float:
    """The mask's area, or that of a share of the box; a stated one that the mask bears out stays."""
    filled = float(coco_mask.area(mask_rle(mask, image))) if mask is not None else 0.0
    if stated is not None and filled / _AGREES < stated < filled * _AGREES:
        return stated
    said["no area" if stated is None else "wrong area"] += 1
    said["of mask" if filled else "of box"] += 1
    return filled or BOX_SHARE * box[2] * box[3]


def can_be(area: float, box: list[float], mask: Any, keypoints: list[float]) -> bool:
    """Whether a person with this box, mask and keypoints can have an area."""
    xs, ys, visible = keypoints[::3], keypoints[1::3], keypoints[2::3]
    spans = [(box[2], box[3]), _extent(list(itertools.compress(xs, visible)), list(itertools.compress(ys, visible)))]
    if isinstance(mask, list):
        spans.append(_extent([x for polygon in mask for x in polygon[::2]], [y for polygon in mask for y in polygon[1::2]]))
    least, greatest = (max((width + margin) * (height + margin) for width, height in spans) for margin in (0, 2))
    return _LEAST_SHARE * least < area <= _GREATEST_SHARE * greatest


def _extent(xs: list[float], ys: list[float]) -> tuple[float, float]:
    return (max(xs) - min(xs), max(ys) - min(ys)) if xs else (0.0, 0.0)
