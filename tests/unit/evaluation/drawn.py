"""Annotated and found people drawn by chance, with all that evaluation has to tell apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bottomup.dataset import GroundTruth, Record
from bottomup.skeletons import COCO
from bottomup.types import Instances, Prediction

SIDE = 300


def drawn(seed: int, images: int = 10, most: int = 7) -> tuple[list[Prediction], GroundTruth]:
    """Predictions and ground truth of images of at most so many people each, whose ids ascend in no way.

    There are crowds, people without labelled keypoints or whom the file says to have none, images without people and images that
    were not predicted; people found twice to the last px, equal scores, keypoints that were not found, instances without any and
    one with a keypoint farther off than any area that counts.
    """
    rng = np.random.default_rng(seed)
    listed = [{"id": int(number), "width": SIDE, "height": SIDE} for number in rng.permutation(images) + 1]
    annotations: list[Record] = []
    predictions: list[Prediction] = []
    for image in listed:
        people = int(rng.integers(0, most + 1))
        size = rng.uniform(20, 150, (people, 1, 1))
        points = (rng.uniform(0, SIDE, (people, 1, 2)) + rng.uniform(-0.5, 0.5, (people, len(COCO), 2)) * size).round(1)
        for own, extent in zip(points, size.ravel().tolist(), strict=True):
            annotations.append(_person(rng, own, extent) | {"id": len(annotations) + 1, "image_id": image["id"]})
        if people and rng.random() < 0.9:
            predictions.append(Prediction(_found(rng, points, size), (SIDE, SIDE), image_id=image["id"]))
    category = {"id": 1, "name": "person", "keypoints": list(COCO.keypoints)}
    return predictions, {"images": listed, "annotations": annotations, "categories": [category]}


def _person(rng: np.random.Generator, points: NDArray[Any], extent: float) -> Record:
    seen = rng.integers(0, 3, (len(points), 1)) * (rng.random() > 0.15)
    stated = {} if rng.random() < 0.5 else {"num_keypoints": int((seen > 0).sum()) * int(rng.random() > 0.2)}
    return {
        "category_id": 1,
        "iscrowd": int(rng.random() < 0.15),
        "keypoints": (np.concatenate((points, seen), 1) * (seen > 0)).ravel().tolist(),
        "area": extent**2,
        "bbox": [*points.min(0).tolist(), *np.ptp(points, axis=0).tolist()],
        **stated,
    }


def _found(rng: np.random.Generator, points: NDArray[Any], size: NDArray[Any]) -> Instances:
    whose = rng.integers(0, len(points), rng.integers(0, 2 * len(points) + 1))  # some twice, some not at all
    off = rng.choice([0, 0.03, 0.1, 0.5], (len(whose), 1, 1)) * size[whose]
    places = torch.from_numpy(points[whose] + rng.normal(0, 1, points[whose].shape) * off).float() + 0.5
    scores = torch.from_numpy((rng.random(places.shape[:2]) < 0.9).astype(np.float32))
    if len(whose) > 2:
        scores[0] = 0
        places[0] = torch.nan
        places[1, 0] = places[1, 0] if rng.random() < 0.7 else 1e6
    return Instances.of_keypoints(places, scores, torch.from_numpy(rng.random(len(whose)).round(1)).float())
