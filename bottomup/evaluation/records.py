"""Annotated people and predicted instances as COCO records: what every measure starts from."""

from __future__ import annotations

import gc
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import repeat
from operator import gt

import numpy as np
from numpy.typing import NDArray

from bottomup.dataset import GroundTruth, Record
from bottomup.errors import DataError
from bottomup.skeletons import Skeleton
from bottomup.types import Prediction

CATEGORY = 1  # of every record here; the annotation file's own id is resolved on reading


@dataclass(frozen=True)
class Records:
    """What is compared, as COCO records in image px.

    Ids are renumbered from 1: pycocotools takes an id of 0 for unmatched and one of two equal ids for absent.
    """

    image_ids: list[int]
    people: list[Record]
    instances: list[Record]

    @cached_property
    def annotated(self) -> NDArray[np.float64]:
        """The numbers (N, 3 K) of the people's keypoints, in their order."""
        return _numbers(self.people)

    @cached_property
    def found(self) -> NDArray[np.float64]:
        """Those (P, 3 K) of the instances."""
        return _numbers(self.instances)


@contextmanager
def uncollected() -> Iterator[None]:
    """Make records, which hold no circles, without Python looking for some through all that there is, time and again."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


@uncollected()
def read_records(predictions: Iterable[Prediction], ground_truth: GroundTruth, skeleton: Skeleton) -> Records:
    """Turn predictions (image px) and a COCO dictionary into records; what is given stays as it is.

    Only annotations of the categories that have the skeleton's keypoints count, all alike. ``num_keypoints`` is the annotation's
    own, the number of labelled keypoints where it says none, 0 where none is labelled: pycocotools would take anything inside the
    box for a find. DataError where an annotation lacks what OKS needs, where a prediction has no image of its own in
    ``ground_truth``, and where a score is not finite.
    """
    image_ids = [image["id"] for image in ground_truth["images"]]
    categories, listed = category_ids(ground_truth, skeleton), set(image_ids)
    people = [
        _person(annotation, number, skeleton)
        for number, annotation in enumerate(ground_truth["annotations"], start=1)
        if annotation["image_id"] in listed and annotation.get("category_id") in categories
    ]
    return Records(image_ids, people, _instances(predictions, listed, skeleton))


def _numbers(records: list[Record]) -> NDArray[np.float64]:
    return np.array([record["keypoints"] for record in records], np.float64)


def subset(ground_truth: GroundTruth, image_ids: Iterable[int]) -> GroundTruth:
    """The ground truth of some of the images: what is not predicted must not count as missed."""
    wanted = set(image_ids)
    return {
        **ground_truth,
        "images": [image for image in ground_truth["images"] if image["id"] in wanted],
        "annotations": [entry for entry in ground_truth["annotations"] if entry["image_id"] in wanted],
    }


def with_keypoints(ground_truth: GroundTruth, skeleton: Skeleton) -> GroundTruth:
    """The ground truth of the categories that have a skeleton's keypoints; objects without are nobody."""
    posed = set(category_ids(ground_truth, skeleton))
    people = [entry for entry in ground_truth["annotations"] if entry["category_id"] in posed]
    return {**ground_truth, "annotations": people}


def ignored(person: Record) -> bool:
    """Whether a person is left out of every count, as by pycocotools: a crowd, or one whose ``num_keypoints`` is 0."""
    return bool(person["iscrowd"]) or person["num_keypoints"] == 0


def by_image(records: Iterable[Record]) -> dict[int, list[Record]]:
    """Records grouped by their image, in the order given: the order of the axes of ``COCOeval.ious``."""
    groups: dict[int, list[Record]] = {}
    for record in records:
        groups.setdefault(record["image_id"], []).append(record)
    return groups


def is_crowd(annotation: Record) -> bool:
    """Whether an annotation is of a crowd; DataError where it says neither 0 nor 1."""
    stated = annotation.get("iscrowd")
    if stated not in (None, 0, 1):  # true and false are 1 and 0
        raise DataError(f"annotation {annotation.get('id')}: `iscrowd` should be 0 or 1, got {stated!r}; write 0 for a person")
    return bool(stated)


def category_ids(ground_truth: GroundTruth, skeleton: Skeleton) -> list[int]:
    """The ids of the categories whose keypoints these are, in their order; DataError where there is none."""
    categories = ground_truth["categories"]
    with_keypoints = [category for category in categories if category.get("keypoints")] or categories
    same_names = [category for category in with_keypoints if tuple(category.get("keypoints", ())) == skeleton.keypoints]
    found = with_keypoints if len(with_keypoints) == 1 else same_names
    if not found:
        names = [category.get("name") for category in categories]
        raise DataError(
            f"ground truth: one category should have the keypoints of skeleton {skeleton.name!r}, but none of {names} has; name "
            "the skeleton that the file was made with"
        )
    return [int(category["id"]) for category in found]


def _person(annotation: Record, number: int, skeleton: Skeleton) -> Record:
    keypoints = annotation.get("keypoints") or [0] * (3 * len(skeleton))
    _check_annotation(annotation, keypoints, skeleton)
    labelled = sum(map(gt, keypoints[2::3], repeat(0)))
    stated = annotation.get("num_keypoints")
    return {
        "id": number,
        "image_id": annotation["image_id"],
        "category_id": CATEGORY,
        "keypoints": list(keypoints),
        "num_keypoints": labelled if stated is None or not labelled else stated,
        "area": annotation["area"],
        "bbox": annotation["bbox"],
        "iscrowd": int(is_crowd(annotation)),
    }


def _check_annotation(annotation: Record, keypoints: list[float], skeleton: Skeleton) -> None:
    name = f"annotation {annotation.get('id')}"
    if annotation.get("area") is None:
        raise DataError(f"{name} has no `area`; OKS is scaled by the area of the person's segment in px²: add it")
    if annotation.get("bbox") is None:
        raise DataError(f"{name} has no `bbox`; it should be [x, y, width, height] in px: add it")
    if len(keypoints) != 3 * len(skeleton):
        raise DataError(
            f"{name} has {len(keypoints)} keypoint numbers, skeleton {skeleton.name!r} needs {3 * len(skeleton)} "
            f"(x, y, visibility each); name the skeleton that the file was made with"
        )


def _instances(predictions: Iterable[Prediction], image_ids: set[int], skeleton: Skeleton) -> list[Record]:
    ordered, seen = [], set()
    for prediction in predictions:
        if prediction.image_id not in image_ids:
            raise DataError(
                f"a prediction is of image {prediction.image_id}, which the ground truth does not list; "
                "evaluate against the annotations of the images that were predicted"
            )
        if prediction.image_id in seen:
            raise DataError(f"image {prediction.image_id} is predicted twice; give each image once")
        seen.add(prediction.image_id)
        ordered.append(prediction)
    records = [record for prediction in ordered for record in _poses(prediction).to_coco(CATEGORY)]
    return [_instance(record, number, skeleton) for number, record in enumerate(records, start=1)]


def _poses(prediction: Prediction) -> Prediction:
    """The prediction without its masks: every measure of keypoints would encode them anew."""
    return replace(prediction, instances=replace(prediction.instances, masks=None))


def _instance(record: Record, number: int, skeleton: Skeleton) -> Record:
    if len(record["keypoints"]) != 3 * len(skeleton):
        raise DataError(
            f"image {record['image_id']}: an instance has {len(record['keypoints']) // 3} keypoints, skeleton "
            f"{skeleton.name!r} has {len(skeleton)}; evaluate with the skeleton of the model"
        )
    if not math.isfinite(record["score"]):
        raise DataError(f"image {record['image_id']}: an instance has score {record['score']}; is the model's output finite?")
    width, height = record["bbox"][2:]
    area = width * height if math.isfinite(width * height) else 0.0  # nothing found: an infinite box
    record |= {"id": number, "area": area}
    return record
