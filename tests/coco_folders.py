"""Small COCO folders: records as exporters write them, people drawn as yellow dots on grey, and what becomes of both."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Pillow
from torch import Tensor

from bottomup.checkpoint import Checkpoint, save_checkpoint, versions
from bottomup.commands import evaluate
from bottomup.geometry import invert, transform_points
from bottomup.plan.judging import evaluate_plan
from bottomup.plan.training import train_plan
from bottomup.samples.loader import collate
from bottomup.skeletons import COCO, Skeleton
from bottomup.types import Batch, Task
from bottomup.workflows.models import make_predictor
from bottomup.workflows.samples import training_set

WIDTH, HEIGHT = 192, 144
DOT, PAPER = (255, 200, 0), 90  # RGB
IMAGES = 3
TURNS = {  # EXIF's orientation: what a camera did to the upright picture that is stored
    1: None, 2: Pillow.Transpose.FLIP_LEFT_RIGHT, 3: Pillow.Transpose.ROTATE_180, 4: Pillow.Transpose.FLIP_TOP_BOTTOM,
    5: Pillow.Transpose.TRANSPOSE, 6: Pillow.Transpose.ROTATE_90, 7: Pillow.Transpose.TRANSVERSE, 8: Pillow.Transpose.ROTATE_270,
}  # fmt: skip
SIZE = ["input_size=192", "backbone=hourglass_tiny", "workers=0"]

_ROWS = (0, 1, 1, 2, 2, 4, 4, 7, 7, 10, 10, 11, 11, 15, 15, 19, 19)  # of the keypoints, from the head down, in 6 px
_SIDES = (0, 0.4, -0.4, 0.8, -0.8, 1.6, -1.6, 2.2, -2.2, 2.4, -2.4, 1, -1, 1.2, -1.2, 1.2, -1.2)  # left is positive, in 8 px

Save = Callable[[Path, NDArray[np.uint8]], None]
Record = dict[str, Any]
Edit = Callable[[Record], Record]


# ---- records -------------------------------------------------------------------------------------------------------------


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


def save_grey(path: Path) -> None:
    """Write an image of nobody."""
    cv2.imwrite(str(path), np.full((HEIGHT, WIDTH, 3), PAPER, np.uint8))


def write(folder: Path, data: Record, encoding: str = "utf-8", save: Callable[[Path], None] = save_grey) -> str:
    """Write a folder, as data.root takes it, whose splits, train and val, are both ``data``; gives its path."""
    for split in ("train", "val"):
        for image in data["images"]:
            path = folder / split / str(image["file_name"])
            path.parent.mkdir(parents=True, exist_ok=True)
            save(path)
        path = folder / "annotations" / f"person_keypoints_{split}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(data), encoding=encoding)
    return str(folder)


# ---- people that are drawn -----------------------------------------------------------------------------------------------


def pose(number: int, keypoints: int) -> NDArray[np.int64]:
    """Pixel indices (K, 2) of one person: apart from each other, and on neither axis their own mirror image."""
    place = np.arange(keypoints)
    return np.stack([20 + 20 * (place % 6) + 2 * number, 12 + 22 * (place // 6) + 3 * number], 1)


def drawn(number: int, keypoints: int) -> NDArray[np.uint8]:
    """The picture (H, W, 3) RGB of that person."""
    image = np.full((HEIGHT, WIDTH, 3), PAPER, np.uint8)
    for x, y in pose(number, keypoints).tolist():
        cv2.circle(image, (x, y), 4, DOT, -1)
    return image


def save_jpeg(path: Path, image: NDArray[np.uint8], orientation: int = 1) -> None:
    """Write the picture as a camera does that was held otherwise, with the EXIF that says so."""
    exif, turn = Pillow.Exif(), TURNS[orientation]
    exif[0x0112] = orientation
    upright = Pillow.fromarray(image)
    (upright if turn is None else upright.transpose(turn)).save(path, "JPEG", exif=exif, quality=95)


def save_deep(path: Path, image: NDArray[np.uint8], bits: int = 16) -> None:
    """Write the picture with 16 bits a channel of which ``bits`` are used."""
    path.write_bytes(cv2.imencode(path.suffix, image[..., ::-1].astype(np.uint16) << (bits - 8))[1].tobytes())


def write_folder(
    where: Path,
    names: Sequence[str] = COCO.keypoints,
    edges: Sequence[Sequence[Any]] = (),
    suffix: str = ".jpg",
    save: Save = save_jpeg,
) -> Path:
    """A COCO folder, as data.root takes it, with the splits train and val."""
    category = {"id": 1, "name": "person", "keypoints": list(names), "skeleton": [list(edge) for edge in edges]}
    category["sigmas"] = [0.05] * len(names)
    people = [pose(number, len(names)).tolist() for number in range(IMAGES)]
    data = {
        "images": [{"id": number, "file_name": f"{number}{suffix}", "width": WIDTH, "height": HEIGHT} for number in range(IMAGES)],
        "annotations": [
            record(number, number, [value for point in points for value in (*point, 2)]) | {"area": 6000.0}
            for number, points in enumerate(people)
        ],
        "categories": [category],
    }
    write(where, data, save=lambda path: save(path, drawn(int(path.stem), len(names))))
    return where


# ---- what becomes of them ------------------------------------------------------------------------------------------------


def training_batch(root: Path, *overrides: str) -> Batch:
    """All images of the training split as they arrive in a batch, not augmented unless that is asked for."""
    plan = train_plan(["data=coco", f"data.root={root}", "augment=none", *SIZE, *overrides])
    dataset = plan.data.dataset("train")
    model, _ = plan.model.compose(dataset.task)
    samples = training_set(plan, dataset, model)
    return collate([samples[0, index] for index in range(len(dataset))], max_people=2)


def assert_on_dots(batch: Batch) -> None:
    """Everybody is there with all keypoints, in the place that was annotated and on the dots that were drawn."""
    assert batch.images is not None and batch.present.sum(1).tolist() == [1] * IMAGES
    assert bool((batch.visibility[:, 0] == 2).all())
    for number, (image, points) in enumerate(zip(batch.images, batch.keypoints[:, 0], strict=True)):
        back = transform_points(points, torch.from_numpy(invert(batch.to_input[number].numpy())).float())
        assert torch.allclose(back, torch.from_numpy(pose(number, len(points)) + 0.5).float(), atol=1e-3)
        assert_yellow(colours(image, points))


def colours(image: Tensor, points: Tensor) -> Tensor:
    """The pixels (N, 3) of an image (3, H, W) in which points (N, 2) lie."""
    x, y = points.floor().long().unbind(-1)
    return image[:, y, x].T


def assert_yellow(found: Tensor | NDArray[np.uint8]) -> None:
    """All (N, 3) are the dots' colour, but for what JPEG and resizing do to it."""
    assert np.abs(np.asarray(found, np.float64) - DOT).max() < 40


def ideal_ap(root: Path, output: Path, *overrides: str) -> float:
    """AP of ideal maps on the validation split, images read."""
    options = ["data=coco", f"data.root={root}", "oracle=[heatmap,tags]", *SIZE, "pictures=1", f"output={output}", *overrides]
    return float(evaluate.run(options)["AP"])


def evaluation_batch(root: Path, *overrides: str) -> Batch:
    """All images of the validation split as an untrained network is given them."""
    plan = evaluate_plan(["data=coco", f"data.root={root}", *SIZE, *overrides])
    dataset = plan.data.dataset("val")
    predictor = make_predictor(plan.model, plan.viewing, plan.place.chosen_device(), None, dataset.task)
    return collate([sample for _, sample in predictor.samples(dataset)])


def untrained(folder: Path, skeleton: Skeleton = COCO) -> Path:
    """A checkpoint of a small network that has learned nothing."""
    small = ["input_size=64", "backbone.channels=8", "backbone.growth=4"]
    plan = train_plan(["experiment=demo/associative_embedding", *small]).model
    model, _ = plan.compose(Task(skeleton))
    return save_checkpoint(
        folder / "best.pt", Checkpoint(plan.carried(), Task(skeleton), model.state_dict(), None, None, versions())
    )
