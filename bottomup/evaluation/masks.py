"""Average precision and recall of masks, of people or of objects of several categories, as COCO defines them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from bottomup.coco.masks import box_outline, mask_rle
from bottomup.dataset import GroundTruth, Record
from bottomup.errors import DataError
from bottomup.evaluation.assigned import mean_assigned
from bottomup.evaluation.backend import accumulated, evaluated_by_pycocotools
from bottomup.evaluation.coco import MetricTable, read_metrics
from bottomup.evaluation.columns import CATEGORY
from bottomup.evaluation.records import by_image, is_crowd
from bottomup.types import Prediction

_METRICS: MetricTable = {
    "mask_AP": ("precision", None, "all"),
    "mask_AP50": ("precision", 0.5, "all"),
    "mask_AP75": ("precision", 0.75, "all"),
    "mask_APS": ("precision", None, "small"),
    "mask_APM": ("precision", None, "medium"),
    "mask_APL": ("precision", None, "large"),
    "mask_AR1": ("recall", None, "all"),
    "mask_AR10": ("recall", None, "all"),
    "mask_AR": ("recall", None, "all"),
    "mask_ARS": ("recall", None, "small"),
    "mask_ARM": ("recall", None, "medium"),
    "mask_ARL": ("recall", None, "large"),
}
_LIMITS = {"mask_AR1": 1, "mask_AR10": 10}  # instances of an image, where not all that count do
_POSED = "mask_AP_posed"


def evaluate_masks(predictions: Iterable[Prediction], ground_truth: GroundTruth, max_people: int = 20) -> dict[str, float]:
    """COCO's mask metrics of one category, in [0, 1]: mask_AP, …50, …75, …S, …M, …L, mask_AR, …1, …10, …S, …M, …L; mask_AP_posed.

    ``predictions`` are in image px with masks; ``ground_truth`` is a COCO dictionary of the people of one category, of which
    every image counts; those without a mask are left out as crowds are. Of each image the ``max_people`` best instances count,
    for "mask_AR1" and "mask_AR10" the best one and the best ten of them. "mask_AP_posed" leaves out people without labelled
    keypoints too: who matches one is neither right nor wrong. NaN where nobody is to be found. Raises DataError for a prediction
    of an image that is not listed.
    """
    images = {image["id"]: image for image in ground_truth["images"]}
    listed = list(images.values())
    people = [_person(entry, number, images[entry["image_id"]]) for number, entry in enumerate(ground_truth["annotations"], 1)]
    found = _instances(predictions, images.keys())
    matched = _match(listed, people, found, max_people)
    metrics = _read(matched, max_people)
    metrics |= {name: _read(matched, min(limit, max_people))[name] for name, limit in _LIMITS.items()}
    posed = [person | {"iscrowd": person["iscrowd"] or int(not person["posed"])} for person in people]
    return metrics | {_POSED: _read(_match(listed, posed, found, max_people), max_people)["mask_AP"]}


def evaluate_categories(
    predictions: Sequence[Prediction], ground_truth: GroundTruth, max_people: int = 20
) -> dict[str, dict[str, float]]:
    """The metrics of ``evaluate_masks`` for each category by its name; a label is a category's place in ``ground_truth``.

    There is no "mask_AP_posed" among them.
    """
    found = {}
    for label, category in enumerate(ground_truth["categories"]):
        metrics = evaluate_masks(*_of_category(predictions, ground_truth, label), max_people)
        found[str(category["name"])] = {name: value for name, value in metrics.items() if name != _POSED}
    return found


def mean_of_categories(figures: Iterable[dict[str, float]]) -> dict[str, float]:
    """Each metric's mean over the categories in which it is defined, as COCO's; NaN where it is in none."""
    columns: dict[str, list[float]] = {}
    for own in figures:
        for name, value in own.items():
            columns.setdefault(name, []).extend([value] if value == value else [])
    return {name: fmean(values) if values else float("nan") for name, values in columns.items()}


def per_image_iou(predictions: Sequence[Prediction], ground_truth: GroundTruth, max_people: int = 20) -> dict[int, float]:
    """The mean IoU of each image's objects with their instances, 0 for one without; to pick images to draw.

    An instance serves one object of its category: the assignment is the best of the whole image. Images without objects are absent.
    """
    found: dict[int, list[tuple[float, int]]] = {}
    for label in range(len(ground_truth["categories"])):
        own, truth = _of_category(predictions, ground_truth, label)
        images = {image["id"]: image for image in truth["images"]}
        people = [_person(entry, number, images[entry["image_id"]]) for number, entry in enumerate(truth["annotations"], 1)]
        shared = _match(list(images.values()), people, _instances(own, images.keys()), max_people).ious
        for image_id, objects in by_image(people).items():
            counted = np.array([not entry["iscrowd"] for entry in objects])
            if counted.any():
                shares = np.asarray(shared[image_id, CATEGORY]).reshape(-1, len(counted))
                mean = mean_assigned(shares[:, counted])
                found.setdefault(image_id, []).append((mean, int(counted.sum())))
    return {image_id: sum(mean * n for mean, n in own) / sum(n for _, n in own) for image_id, own in found.items()}


def _of_category(predictions: Sequence[Prediction], truth: GroundTruth, label: int) -> tuple[list[Prediction], GroundTruth]:
    """The instances and the annotations of one category alone."""
    number = truth["categories"][label]["id"]
    annotations = [entry for entry in truth["annotations"] if entry["category_id"] == number]
    own = [replace(found, instances=found.instances[found.instances.labels == label]) for found in predictions]
    return own, {**truth, "annotations": annotations}


def _match(images: list[Record], people: list[Record], found: list[Record], max_people: int) -> Any:
    """The ``max_people`` best instances of each image matched to its people, to be read at that limit or at a lower one."""
    limits = sorted({max_people, *(min(limit, max_people) for limit in _LIMITS.values())})
    return evaluated_by_pycocotools(images, people, found, "segm", maxDets=limits)


def _read(evaluation: Any, limit: int) -> dict[str, float]:
    """The metrics of the ``limit`` best instances of each image."""
    evaluation.params.maxDets = [limit]
    return read_metrics(accumulated(evaluation), _METRICS)


def _person(annotation: Record, number: int, image: Record) -> Record:
    """An annotation as its run-length code; without a mask its box stands for it, to be ignored as a crowd."""
    segmentation = annotation.get("segmentation")
    outline = segmentation or box_outline(annotation["bbox"], image)
    return {
        "id": number,
        "image_id": annotation["image_id"],
        "category_id": CATEGORY,
        "segmentation": mask_rle(outline, image),
        "area": annotation["area"],
        "iscrowd": int(is_crowd(annotation) or not segmentation),
        "posed": any(visibility > 0 for visibility in (annotation.get("keypoints") or [])[2::3]),
    }


def _instances(predictions: Iterable[Prediction], images: Iterable[int]) -> list[Record]:
    listed, records = set(images), list[Record]()
    for prediction in predictions:
        if prediction.image_id not in listed:
            raise DataError(f"a prediction is of image {prediction.image_id}, which the ground truth does not list")
        masks, scores = prediction.instances.masks, prediction.instances.scores.tolist()
        codes = masks.to_rle(prediction.size) if masks is not None else []
        for code, score in zip(codes, scores, strict=True):
            record = {"id": len(records) + 1, "image_id": prediction.image_id, "category_id": CATEGORY, "score": score}
            records.append(record | {"segmentation": code, "area": float(coco_mask.area(code)), "iscrowd": 0})
    return records
