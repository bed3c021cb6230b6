"""Annotated scenes and flawless predictions of them."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bottomup.skeletons import COCO, Skeleton
from bottomup.types import Instances, Prediction

HALF = 0.5  # COCO's annotations are pixel indices

# left and right lie far apart and have the same sigma; the centre keeps a mirrored person above the OKS of a match
FIVE = Skeleton(
    name="five",
    keypoints=("head", "neck", "pelvis", "left_hand", "right_hand"),
    flip_pairs=(("left_hand", "right_hand"),),
    sigmas=(0.05, 0.06, 0.07, 0.08, 0.08),
)


def scene(skeleton: Skeleton = COCO, images: int = 4, people: int = 3, extras: bool = True, seed: int = 0) -> dict[str, Any]:
    """People of 60² to 240² px², 1000 px apart, partly labelled; ``extras``: a crowd and a person without keypoints."""
    random = np.random.default_rng(seed)
    annotations = [_person(random, skeleton, image_id, place) for image_id in range(10, 10 + images) for place in range(people)]
    if extras:
        annotations += [{**_person(random, skeleton, 10, people), "iscrowd": 1}]
        annotations += [{**_person(random, skeleton, 11, people), "keypoints": [0] * 3 * len(skeleton), "num_keypoints": 0}]
    return {
        "images": [{"id": image_id, "width": 6000, "height": 500} for image_id in range(10, 10 + images)],
        "annotations": [{**annotation, "id": number} for number, annotation in enumerate(annotations)],
        "categories": [{"id": 7, "name": "person", "keypoints": list(skeleton.keypoints)}],
    }


def _person(random: np.random.Generator, skeleton: Skeleton, image_id: int, place: int) -> dict[str, Any]:
    side = random.uniform(60, 240)
    points = random.uniform(0, side, (len(skeleton), 2)) + np.array((1000 * place + 100, 100))
    visibility = random.choice([0, 1, 2], len(skeleton), p=[0.2, 0.2, 0.6])
    visibility[0] = 2
    keypoints = np.concatenate((points.round(), visibility[:, None]), axis=1) * (visibility[:, None] > 0)
    return {
        "image_id": image_id,
        "category_id": 7,
        "keypoints": keypoints.ravel().tolist(),
        "num_keypoints": int((visibility > 0).sum()),
        "bbox": [1000.0 * place + 100, 100.0, side, side],
        "area": side * side,
        "iscrowd": 0,
    }


def poses(ground_truth: dict[str, Any]) -> dict[int, NDArray[Any]]:
    """The keypoints (N, K, 2), image px, of each image's labelled people; unlabelled ones on the first keypoint."""
    grouped: dict[int, list[NDArray[Any]]] = {image["id"]: [] for image in ground_truth["images"]}
    for annotation in ground_truth["annotations"]:
        keypoints = np.array(annotation["keypoints"], np.float32).reshape(-1, 3)
        if not annotation["iscrowd"] and keypoints.any():
            labelled = keypoints[:, 2:] > 0
            grouped[annotation["image_id"]].append(np.where(labelled, keypoints[:, :2], keypoints[:1, :2]) + HALF)
    return {image_id: np.stack(people) for image_id, people in grouped.items() if people}


def predict(keypoints: dict[int, NDArray[Any]], seed: int = 0) -> list[Prediction]:
    """Predictions of given keypoints; scores are distinct, NaN is not found."""
    random = np.random.default_rng(seed)
    return [_prediction(image_id, points, random) for image_id, points in keypoints.items()]


def _prediction(image_id: int, keypoints: NDArray[Any], random: np.random.Generator) -> Prediction:
    points = torch.from_numpy(np.asarray(keypoints, np.float32))
    scores = torch.from_numpy(random.uniform(0.1, 1, len(points)).astype(np.float32))
    found = points.isfinite().all(-1).float()
    return Prediction(Instances.of_keypoints(points, found, scores), size=(500, 6000), image_id=image_id)


def flawless(ground_truth: dict[str, Any]) -> list[Prediction]:
    """The annotated people as predictions."""
    return predict(poses(ground_truth))


def annotated(ground_truth: dict[str, Any]) -> list[Prediction]:
    """The annotated people as predictions of their labelled keypoints alone: the others are not found."""
    grouped: dict[int, list[NDArray[Any]]] = {image["id"]: [] for image in ground_truth["images"]}
    for annotation in ground_truth["annotations"]:
        keypoints = np.array(annotation["keypoints"], np.float32).reshape(-1, 3)
        if not annotation["iscrowd"] and keypoints[:, 2].any():
            grouped[annotation["image_id"]].append(np.where(keypoints[:, 2:] > 0, keypoints[:, :2] + HALF, np.nan))
    return predict({image_id: np.stack(people) for image_id, people in grouped.items() if people})
