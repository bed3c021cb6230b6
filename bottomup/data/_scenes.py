"""What drawn people of an image are annotated with: who is seen, keypoints, boxes and masks."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from bottomup.data._figures import SEGMENTS, Figure, visibility
from bottomup.dataset import Record
from bottomup.geometry import to_indices
from bottomup.skeletons import COCO
from bottomup.types import People, Sample


class Actor(NamedTuple):
    """One person of a scene, or a thing."""

    figure: Figure
    centre: tuple[float, float]  # of the pelvis, px
    height: float  # px
    label: int = 0  # of its category: a person's


def owners(labels: NDArray[np.int16]) -> NDArray[np.int16]:
    """(H, W) whose the pixels of a label map are, counted from 0; -1: the background's."""
    return ((labels - 1) // SEGMENTS).astype(np.int16)


def seen(cast: list[Actor], labels: NDArray[np.int16]) -> list[int]:
    """Who shows at all."""
    owner = owners(labels)
    return [person for person in range(len(cast)) if (owner == person).any()]


def annotate(cast: list[Actor], labels: NDArray[np.int16]) -> tuple[People, NDArray[np.int16]]:
    """What is visible of everybody; who is hidden altogether is left out."""
    figures = [actor.figure for actor in cast]
    owner, kept = owners(labels), seen(cast, labels)
    if not kept:
        return People.empty(len(COCO)), np.zeros_like(owner)
    renumber = np.zeros(len(figures) + 1, np.int16)
    renumber[[person + 1 for person in kept]] = np.arange(1, len(kept) + 1)
    instances = renumber[owner + 1]
    visible = np.stack([visibility(figures[person], labels, person) for person in kept])
    keypoints = np.stack([figures[person].keypoints for person in kept]) * (visible > 0)[..., None]
    boxes = np.array([_box(instances == n + 1) for n in range(len(kept))], np.float32)
    areas = np.bincount(instances.ravel(), minlength=len(kept) + 1)[1:].astype(np.float32)
    categories = np.array([cast[person].label for person in kept], np.int64)
    people = People(keypoints.astype(np.float32), visible, boxes, areas, categories, np.ones(len(kept), bool))
    return people, instances


def _box(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    x, y, w, h = cv2.boundingRect(mask.astype(np.uint8))
    return x, y, x + w, y + h


def record(sample: Sample, n: int, record_id: int) -> Record:
    """Person ``n`` of a sample with masks as an annotation in COCO's format."""
    people = sample.people
    assert sample.instances is not None
    rle = coco_mask.encode(np.asfortranarray((sample.instances == n + 1).astype(np.uint8)))
    labelled = people.visibility[n] > 0
    points = np.where(labelled[:, None], to_indices(people.keypoints[n].astype(np.float64)), 0.0)
    x1, y1, x2, y2 = people.boxes[n].tolist()
    return {
        "id": record_id,
        "image_id": sample.image_id,
        "category_id": int(people.labels[n]) + 1,
        "iscrowd": 0,
        "keypoints": np.column_stack((points, people.visibility[n])).ravel().tolist(),
        "num_keypoints": int(labelled.sum()),
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "area": float(people.areas[n]),
        "segmentation": {"size": rle["size"], "counts": rle["counts"].decode()},
    }
