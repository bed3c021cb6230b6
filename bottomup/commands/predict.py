"""``bottomup predict``: COCO results and overlays of an image, a folder or a glob."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bottomup.commands.setting import make_predictor, output_folder, with_checkpoint, write_config
from bottomup.errors import ConfigError, DataError
from bottomup.geometry import Grid
from bottomup.image_files import ImageReader
from bottomup.images import find_images
from bottomup.ops.sampling import gather_maps
from bottomup.predictor import Predictor
from bottomup.types import Instances, write_json
from bottomup.visualize import draw_instances, draw_outputs, plot_tags, save_png

_CHUNK = 16  # images held at once; bounds the memory of a large folder


@dataclass(frozen=True)
class Photo:
    """One of the images to predict on."""

    image_id: int  # its place among all of them, sorted by path
    path: Path
    file_name: str  # below the folder that all of them lie in
    picture: str  # what its pictures' names begin with, as those of no other image


@dataclass
class Found:
    """What a run has come to so far."""

    images: int = 0
    records: list[dict[str, Any]] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)  # file names


def run(config: dict[str, Any], overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Predict as configured; returns ``{"images": …, "instances": …, "unreadable": []}``.

    A file that is no image is named and passed over; at the end, with all others written, it is a DataError.
    """
    if not config["images"]:
        raise ConfigError("images= is missing: give an image, a folder or a glob")
    config, checkpoint = with_checkpoint(config, overrides)
    if checkpoint is None:
        raise ConfigError("weights= is missing: give a checkpoint (best.pt or last.pt of a training run)")
    photos = photos_of(find_images(config["images"]))
    predictor = make_predictor(config, checkpoint, checkpoint.task)
    output = output_folder(config, "predict")
    write_config(output, config)
    found = Found()
    try:
        for start in range(0, len(photos), _CHUNK):
            _predict(predictor, photos[start : start + _CHUNK], output / "pictures", bool(config["maps"]), found)
    finally:  # whatever ends it early, nothing found so far is lost
        summary = _write(found, output)
    if found.unreadable:
        share = f"{len(found.unreadable)} of {len(photos)} images"
        raise DataError(
            f"{share} could not be read, first {found.unreadable[0]}; what the others show is in {output}/predictions.json. "
            f"Replace or remove what {output}/metrics.json names as unreadable"
        )
    return summary


def photos_of(paths: Sequence[Path]) -> list[Photo]:
    """The images at ``paths``; their pictures are called as they are, after their number where two would be called alike."""
    root = os.path.commonpath([path.parent for path in paths])
    stems = {path.stem.casefold() for path in paths}  # some file systems take a.png and A.png for one
    numbered = len(stems) < len(paths)
    return [
        Photo(number, path, path.relative_to(root).as_posix(), f"{number}_{path.stem}" if numbered else path.stem)
        for number, path in enumerate(paths)
    ]


def _predict(predictor: Predictor, photos: Sequence[Photo], folder: Path, maps: bool, found: Found) -> None:
    """Predict on a few images, draw them and add them to what was ``found``."""
    skeleton = predictor.model.task.skeleton
    assert skeleton is not None  # checkpoints of pose models carry one
    readable = _read(photos, predictor.read, found)
    predictions = predictor.predict([image for _, image in readable])
    for (photo, image), prediction in zip(readable, predictions, strict=True):
        save_png(folder / f"{photo.picture}.png", draw_instances(image.transpose(2, 0, 1), prediction.instances, skeleton))
        if maps:
            draw_maps(predictor, image, folder / photo.picture)
        records = replace(prediction, image_id=photo.image_id).to_coco()
        found.records += [record | {"file_name": photo.file_name} for record in records]
        found.images += 1


def _read(photos: Sequence[Photo], read: ImageReader, found: Found) -> list[tuple[Photo, NDArray[np.uint8]]]:
    """The images that can be read, (H, W, 3); the others are told and noted."""
    readable = []
    for photo in photos:
        try:
            readable.append((photo, read(photo.path)))
        except DataError as error:
            print(f"passed over: {error}", file=sys.stderr)
            found.unreadable.append(photo.file_name)
    return readable


def _write(found: Found, output: Path) -> dict[str, Any]:
    write_json(output / "predictions.json", found.records)
    summary = {"images": found.images, "instances": len(found.records), "unreadable": found.unreadable}
    write_json(output / "metrics.json", summary)
    print(f"{len(found.records)} people in {found.images} images: {output}/predictions.json, {output}/pictures")
    return summary


def draw_maps(predictor: Predictor, pixels: NDArray[np.uint8], stem: Path) -> None:
    """What the network says of an image (H, W, 3), and the tags of the people found (Associative Embedding Figs 4 and 7).

    Each picture's name begins with ``stem``.
    """
    image, outputs, frame = predictor.maps(pixels)
    skeleton = predictor.model.task.skeleton
    assert skeleton is not None
    for name, picture in draw_outputs(image, outputs, frame, skeleton).items():
        save_png(stem.with_name(f"{stem.name}_{name}.png"), picture)
    if "tags" in outputs:
        (prediction,) = predictor.decoder(outputs, frame)
        tags = tags_of(prediction.instances, outputs["tags"][0], frame.grids["tags"])
        save_png(stem.with_name(f"{stem.name}_tag_plot.png"), plot_tags(tags, skeleton))


def tags_of(instances: Instances, tags: Tensor, grid: Grid) -> NDArray[np.float32]:
    """The tags (P, K, D) at the keypoints of instances in input px, of maps (K, D, h, w); NaN where none was found."""
    cells = grid.nearest(instances.keypoints.nan_to_num()).transpose(0, 1)  # (K, P, 2)
    read = gather_maps(tags[None].cpu(), cells[None])[0].transpose(0, 1)
    found = (instances.keypoint_scores > 0)[..., None]
    return np.asarray(torch.where(found, read, torch.nan))
