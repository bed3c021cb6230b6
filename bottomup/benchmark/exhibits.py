"""What a model makes of a few images, kept so that several models can be laid side by side."""

from __future__ import annotations

from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from bottomup.dataset import Dataset
from bottomup.drawing.sheets import Picture, to_picture
from bottomup.ops.shown import repeated, shown
from bottomup.paths import write_bytes, write_json
from bottomup.predictor import Predictor
from bottomup.skeletons import Skeleton
from bottomup.thresholds import Thresholds
from bottomup.types import Instances, Prediction
from bottomup.visualize import draw_outputs

EXHIBITS = "exhibits.json"
_QUALITY = 85  # of JPEG
_WIDEST = 900  # px of a sheet of maps
_PLAIN = 1.0  # px by which a mask's outline may be simplified


def write_exhibits(folder: Path, predictor: Predictor, dataset: Dataset, count: int, oracle: tuple[str, ...] = ()) -> Path:
    """Write the first ``count`` images, their instances and a picture of each kind of map; returns the list of them all.

    Keypoints and outlines are in px of the image. ``thresholds`` say from where on instances and keypoints are worth showing.
    ValueError where the data set has no images.
    """
    skeleton, categories = predictor.skeleton, predictor.model.task.categories
    images = []
    for index, sample in islice(predictor.samples(dataset, oracle), count):
        look = predictor.look_at(sample, oracle)
        original = dataset.sample(index, frozenset()).pixels
        pictures = draw_outputs(look.image, look.outputs, look.frame, skeleton, categories)
        files = {name: _save(folder / f"{index}_{name}.jpg", _shrunk(picture)).name for name, picture in pictures.items()}
        image = _save(folder / f"{index}.jpg", to_picture(original)).name
        people = described(look.prediction, predictor.thresholds, skeleton)
        images.append({"image_id": dataset.image_ids[index], "file": image, "maps": files, **people})
    return write_json(folder / EXHIBITS, catalogue(skeleton, predictor.thresholds, images))


def catalogue(skeleton: Skeleton | None, thresholds: Thresholds, images: list[dict[str, Any]]) -> dict[str, Any]:
    """The list of exhibits: the lines between keypoints, what of each image's people is worth showing, and the images."""
    edges = [] if skeleton is None else [list(edge) for edge in skeleton.tree]
    return {"edges": edges, "thresholds": asdict(thresholds), "images": images}


def described(prediction: Prediction, thresholds: Thresholds, skeleton: Skeleton | None) -> dict[str, Any]:
    """A prediction as JSON: the image's size, and of each person score, keypoints, outlines and whether a better one is the same.

    A keypoint is x, y and its presence, or score where that is all there is; null where it was not found.
    """
    sigmas = () if skeleton is None else skeleton.sigmas
    everybody = shown(prediction, replace(thresholds, score=0.0), sigmas).instances
    again = repeated(everybody, thresholds, sigmas).tolist()
    outlines = _outlines(everybody, prediction.size)
    people = []
    for index in range(len(everybody)):
        one = everybody[index : index + 1]
        points = torch.cat((one.keypoints[0], one.presence[0][:, None]), dim=1).tolist()
        found = one.usable(0.0)[0].tolist()
        keypoints = [[round(value, 2) for value in point] if there else None for point, there in zip(points, found, strict=True)]
        people.append(
            {"score": round(float(one.scores[0]), 4), "keypoints": keypoints, "outlines": outlines[index], "again": again[index]}
        )
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
    return write_bytes(path, cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes())
