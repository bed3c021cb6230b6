"""What a model makes of a few images, kept so that several models can be laid side by side."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from bottomup.data.dataset import Dataset
from bottomup.data.loader import collate
from bottomup.predictor import Predictor
from bottomup.types import Instances, Prediction, write_json
from bottomup.visualize import draw_outputs
from bottomup.visualize.sheets import Picture, to_picture

EXHIBITS = "exhibits.json"
_QUALITY = 85  # of JPEG
_WIDEST = 900  # px of a sheet of maps
_PLAIN = 1.0  # px by which a mask's outline may be simplified


@torch.inference_mode()
def write_exhibits(folder: Path, predictor: Predictor, dataset: Dataset, count: int, oracle: tuple[str, ...] = ()) -> Path:
    """Write the first ``count`` images, their instances and a picture of each kind of map; returns the list of them all.

    Keypoints and outlines are in px of the image. ValueError where the data set has no images.
    """
    skeleton = predictor.model.task.skeleton
    assert skeleton is not None  # compose refuses decoders without
    shown = []
    for index, sample in islice(predictor.samples(dataset, oracle), count):
        batch = collate([sample])
        seen = predictor.seen(batch.to(predictor.device), oracle)
        (prediction,) = predictor.decode(batch, seen)
        outputs, frame = seen[0]
        original = dataset.sample(index, frozenset()).pixels
        if sample.image is None:
            raise ValueError("exhibits need a data set with images")
        pictures = draw_outputs(sample.image, outputs, frame, skeleton)
        files = {name: _save(folder / f"{index}_{name}.jpg", _shrunk(picture)).name for name, picture in pictures.items()}
        image = _save(folder / f"{index}.jpg", to_picture(original)).name
        shown.append({"image_id": dataset.image_ids[index], "file": image, "maps": files, **described(prediction)})
    return write_json(folder / EXHIBITS, {"edges": [list(edge) for edge in skeleton.tree], "images": shown})


def described(prediction: Prediction) -> dict[str, Any]:
    """A prediction as JSON: the image's size, and of each person score, keypoints (x, y, score; null = not found) and outlines."""
    outlines = _outlines(prediction.instances, prediction.size)
    people = []
    for index in range(len(prediction.instances)):
        one = prediction.instances[index : index + 1]
        points = torch.cat((one.keypoints[0], one.keypoint_scores[0][:, None]), dim=1).tolist()
        keypoints = [[round(value, 2) for value in point] if point[2] > 0 else None for point in points]
        people.append({"score": round(float(one.scores[0]), 4), "keypoints": keypoints, "outlines": outlines[index]})
    return {"size": list(prediction.size), "people": people}


def _outlines(instances: Instances, size: tuple[int, int]) -> list[list[list[float]]]:
    """Each person's mask as polygons of x, y, x, y, …; none where the method finds no masks."""
    if instances.masks is None:
        return [[] for _ in range(len(instances))]
    found = []
    for (rows, columns), inside in instances.masks.windows(size):
        contours, _ = cv2.findContours(inside.numpy().astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        corner = np.array([columns.start + 0.5, rows.start + 0.5])  # a contour runs through the centres of pixels
        simple = [cv2.approxPolyDP(contour, _PLAIN, closed=True)[:, 0] + corner for contour in contours]
        found.append([polygon.ravel().tolist() for polygon in simple if len(polygon) > 2])
    return found


def _shrunk(picture: Picture) -> Picture:
    scale = _WIDEST / picture.shape[1]
    if scale >= 1:
        return picture
    return np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _save(path: Path, picture: Picture) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes())
    return path
