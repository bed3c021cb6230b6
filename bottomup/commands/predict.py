"""``bottomup predict``: COCO results and overlays of an image, a folder or a glob."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bottomup.commands.setting import make_predictor, output_folder, with_checkpoint, write_config
from bottomup.errors import ConfigError
from bottomup.geometry import Grid
from bottomup.ops.sampling import gather_maps
from bottomup.predictor import Predictor, find_images, read_image
from bottomup.types import Instances, write_json
from bottomup.visualize import draw_instances, draw_outputs, plot_tags, save_png

_CHUNK = 16  # images held at once; bounds the memory of a large folder


def run(config: dict[str, Any], overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Predict as configured; returns ``{"images": …, "instances": …}``."""
    if not config["images"]:
        raise ConfigError("images= is missing: give an image, a folder or a glob")
    config, checkpoint = with_checkpoint(config, overrides)
    if checkpoint is None:
        raise ConfigError("weights= is missing: give a checkpoint (best.pt or last.pt of a training run)")
    paths = [Path(config["images"])] if Path(config["images"]).is_file() else find_images(config["images"])
    predictor = make_predictor(config, checkpoint, checkpoint.task)
    output = output_folder(config, "predict")
    write_config(output, config)
    records: list[dict[str, Any]] = []
    for start in range(0, len(paths), _CHUNK):
        records += _predict(predictor, paths[start : start + _CHUNK], output / "pictures", bool(config["maps"]))
    write_json(output / "predictions.json", records)
    summary = {"images": len(paths), "instances": len(records)}
    write_json(output / "metrics.json", summary)
    print(f"{len(records)} people in {len(paths)} images: {output}/predictions.json, {output}/pictures")
    return summary


def _predict(predictor: Predictor, paths: list[Path], folder: Path, maps: bool) -> list[dict[str, Any]]:
    skeleton = predictor.model.task.skeleton
    assert skeleton is not None  # checkpoints of pose models carry one
    records = []
    images = [read_image(path) for path in paths]
    for path, image, prediction in zip(paths, images, predictor.predict(images), strict=True):
        save_png(folder / f"{path.stem}.png", draw_instances(image.transpose(2, 0, 1), prediction.instances, skeleton))
        if maps:
            draw_maps(predictor, image, folder / path.stem)
        records += [record | {"file_name": path.name} for record in prediction.to_coco()]
    return records


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
