"""Small COCO folders whose records are written as one exporter or another writes them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bottomup.skeletons import COCO

Record = dict[str, Any]
Edit = Callable[[Record], Record]

HEIGHT, WIDTH = 144, 192
IMAGES = 3
_ROWS = (0, 1, 1, 2, 2, 4, 4, 7, 7, 10, 10, 11, 11, 15, 15, 19, 19)  # of the keypoints, from the head down, in 6 px
_SIDES = (0, 0.4, -0.4, 0.8, -0.8, 1.6, -1.6, 2.2, -2.2, 2.4, -2.4, 1, -1, 1.2, -1.2, 1.2, -1.2)  # left is positive, in 8 px


def figure(x: float, y: float) -> list[float]:
    """The keypoints of somebody upright who faces the camera, the nose at (x, y): COCO's pixel indices, all of them seen."""
    return [value for row, side in zip(_ROWS, _SIDES, strict=True) for value in (x + 8 * side, y + 6.0 * row, 2)]


def record(number: int, image_id: int, keypoints: list[float], category_id: int = 1) -> Record:
    """A complete annotation, as COCO has it."""
    points = np.reshape(keypoints, (-1, 3))[:, :2]
    low, size = points.min(0), np.ptp(points, axis=0)
    return {
        "id": number, "image_id": image_id, "category_id": category_id, "iscrowd": 0, "bbox": [*low.tolist(), *size.tolist()],
        "area": float(size.prod() * 0.6), "keypoints": keypoints, "num_keypoints": len(keypoints) // 3,
    }  # fmt: skip


def content(edit: Edit | None = None, people: int = 1, categories: Sequence[str] = ("person",)) -> Record:
    """A file of ``IMAGES`` images with ``people`` side by side in each, of the categories in turn; ``edit`` changes each record."""
    images = [{"id": n, "file_name": f"{n}.png", "width": WIDTH, "height": HEIGHT} for n in range(1, IMAGES + 1)]
    annotations = []
    for image in images:
        for place in range(people):
            x = WIDTH * (place + 0.5) / people
            category_id = place % len(categories) + 1
            annotations.append(record(len(annotations) + 1, image["id"], figure(x, 10 + image["id"]), category_id))
    return {
        "images": images,
        "annotations": [edit(annotation) for annotation in annotations] if edit else annotations,
        "categories": [
            {"id": number, "name": name, "keypoints": list(COCO.keypoints), "skeleton": []}
            for number, name in enumerate(categories, start=1)
        ],
    }


def write(folder: Path, data: Record, encoding: str = "utf-8") -> str:
    """Write a folder whose splits, train and val, are both ``data``, with grey images; gives its path."""
    for split in ("train", "val"):
        for image in data["images"]:
            path = folder / split / str(image["file_name"])
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
        path = folder / "annotations" / f"person_keypoints_{split}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(data), encoding=encoding)
    return str(folder)
