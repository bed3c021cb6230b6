"""Annotated people and predicted instances, read once for all figures of poses."""

from __future__ import annotations

import gc
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from bottomup.dataset import GroundTruth, Record
from bottomup.errors import DataError
from bottomup.evaluation.columns import Found, People
from bottomup.prediction import coco_boxes, coco_keypoints
from bottomup.skeletons import Skeleton
from bottomup.types import Instances, Prediction


@dataclass(frozen=True)
class Records:
    """What is compared, in image px."""

    image_ids: list[int]  # ascending, as COCO's evaluation goes through images
    people: People
    instances: Found

    def of(self, image_ids: Iterable[int]) -> Records:
        """Those of some images alone; in the others there is nobody then."""
        kept = np.isin(np.array(self.image_ids, np.int64), list(image_ids))
        return replace(self, people=self.people[kept[self.people.image]], instances=self.instances[kept[self.instances.image]])


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
    """Turn predictions (image px) and a COCO dictionary into columns; what is given stays as it is.

    Only annotations of the categories that have the skeleton's keypoints count, all alike. ``num_keypoints`` is the annotation's
    own, the number of labelled keypoints where it says none, 0 where none is labelled: pycocotools would take anything inside the
    box for a find. DataError where an annotation lacks what OKS needs, where a prediction has no image of its own in
    ``ground_truth``, and where a score is not finite.
    """
    image_ids = sorted({image["id"] for image in ground_truth["images"]})
    places = {image_id: place for place, image_id in enumerate(image_ids)}
    categories = set(category_ids(ground_truth, skeleton))
    annotations = [
        annotation
        for annotation in ground_truth["annotations"]
        if annotation["image_id"] in places and annotation.get("category_id") in categories
    ]
    people = _people(annotations, places, skeleton)
    return Records(image_ids, people, _instances(predictions, places, skeleton))


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


def _people(annotations: Sequence[Record], places: dict[int, int], skeleton: Skeleton) -> People:
    numbers, nobody = 3 * len(skeleton), [0] * (3 * len(skeleton))
    rows = [annotation.get("keypoints") or nobody for annotation in annotations]
    for annotation, row in zip(annotations, rows, strict=True):
        if len(row) != numbers or annotation.get("area") is None or annotation.get("bbox") is None:
            raise _incomplete(annotation, len(row), skeleton)
    flat = np.fromiter(chain.from_iterable(rows), np.float64, len(rows) * numbers)
    keypoints = flat.reshape(len(rows), len(skeleton), 3)
    labelled = (keypoints[..., 2] > 0).sum(1)
    stated = [annotation.get("num_keypoints") for annotation in annotations]
    counts = [own if count is None or not own else count for count, own in zip(stated, labelled.tolist(), strict=True)]
    people = People(
        image=np.array([places[annotation["image_id"]] for annotation in annotations], np.int64),
        keypoints=keypoints,
        boxes=np.array([annotation["bbox"] for annotation in annotations], np.float64).reshape(-1, 4),
        areas=np.array([annotation["area"] for annotation in annotations], np.float64),
        crowd=np.array([is_crowd(annotation) for annotation in annotations], bool),
        num_keypoints=np.array(counts, np.int64),
    )
    return people[np.argsort(people.image, kind="stable")]


def _incomplete(annotation: Record, numbers: int, skeleton: Skeleton) -> DataError:
    """What an annotation lacks."""
    name = f"annotation {annotation.get('id')}"
    if annotation.get("area") is None:
        return DataError(f"{name} has no `area`; OKS is scaled by the area of the person's segment in px²: add it")
    if annotation.get("bbox") is None:
        return DataError(f"{name} has no `bbox`; it should be [x, y, width, height] in px: add it")
    return DataError(
        f"{name} has {numbers} keypoint numbers, skeleton {skeleton.name!r} needs {3 * len(skeleton)} "
        f"(x, y, visibility each); name the skeleton that the file was made with"
    )


def _instances(predictions: Iterable[Prediction], places: dict[int, int], skeleton: Skeleton) -> Found:
    images, own = list[int](), list[Instances]()
    for image_id, found in _once_each(predictions, places):
        if len(found) and found.keypoints.shape[1] != len(skeleton):
            raise DataError(
                f"image {image_id}: an instance has {found.keypoints.shape[1]} keypoints, skeleton "
                f"{skeleton.name!r} has {len(skeleton)}; evaluate with the skeleton of the model"
            )
        images += [image_id] * len(found)
        own += [found] if len(found) else []
    own = own or [Instances.empty(len(skeleton))]
    keypoints, presence, boxes, scores = (
        np.concatenate([getattr(found, name).numpy() for found in own])
        for name in ("keypoints", "keypoint_scores", "boxes", "scores")
    )
    for bad in np.flatnonzero(~np.isfinite(scores))[:1].tolist():
        raise DataError(f"image {images[bad]}: an instance has score {scores[bad]}; is the model's output finite?")
    boxes, image = coco_boxes(boxes), np.array([places[image_id] for image_id in images], np.int64)
    areas, scores = boxes[:, 2] * boxes[:, 3], scores.astype(np.float64)
    areas[~np.isfinite(areas)] = 0.0  # nothing found: an infinite box
    return Found(image, coco_keypoints(keypoints, presence), areas, scores)[np.lexsort((-scores, image))]


def _once_each(predictions: Iterable[Prediction], places: Container[int]) -> Iterator[tuple[int, Instances]]:
    """Images and what was found there; DataError for one of an image that is not listed or was predicted before."""
    seen = set[int]()
    for prediction in predictions:
        if prediction.image_id is None or prediction.image_id not in places:
            raise DataError(
                f"a prediction is of image {prediction.image_id}, which the ground truth does not list; "
                "evaluate against the annotations of the images that were predicted"
            )
        if prediction.image_id in seen:
            raise DataError(f"image {prediction.image_id} is predicted twice; give each image once")
        seen.add(prediction.image_id)
        yield prediction.image_id, prediction.instances
