"""What all commands share: where they write, on what they run, which model a configuration and a checkpoint make."""

from __future__ import annotations

import datetime
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml

from bottomup.compose import compose_dataset, compose_model, merge_overrides, without_pretraining
from bottomup.data.augment import Augment
from bottomup.data.dataset import Dataset
from bottomup.data.labels import Labels, Persons
from bottomup.data.loader import TrainingSet
from bottomup.engine.checkpoint import Checkpoint, load_checkpoint, load_needed
from bottomup.errors import ConfigError, DataError
from bottomup.model import PoseModel
from bottomup.options import check_options
from bottomup.paths import path_of
from bottomup.predictor import Predictor
from bottomup.registry import unknown
from bottomup.skeletons import warn_of_mirroring
from bottomup.types import Task


def output_folder(config: Mapping[str, Any], command: str) -> Path:
    """``output``, or outputs/<command>/<time>; ConfigError where no such folder can be made."""
    now = datetime.datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    given = config.get("output")
    folder = Path("outputs") / command / now if given is None else path_of(str(given))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:  # a file of that name, no right to write, a full disk
        raise ConfigError(f"output={folder} is no folder and cannot become one ({error.strerror}); give another output=") from error
    return folder


def write_config(folder: Path, config: Mapping[str, Any]) -> None:
    """Write ``config.yaml``, whole or not at all."""
    partial = folder / f".config.yaml.{os.getpid()}"
    partial.write_text(yaml.safe_dump(dict(config), sort_keys=False))
    partial.replace(folder / "config.yaml")


def device_of(config: Mapping[str, Any]) -> str:
    """``device``, or cuda where there is one; ConfigError where the one asked for is not there."""
    device = str(config.get("device") or ("cuda" if torch.cuda.is_available() else "cpu"))
    if device not in ("cpu", "cuda"):
        raise ConfigError(f"device is cpu or cuda, got {device!r}")
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device=cuda, but torch finds no CUDA device; run `bottomup doctor`, or use device=cpu")
    return device


def dataset_of(config: Mapping[str, Any], purpose: str, limit: int | None = None) -> Dataset:
    """The data set for "train" or "val": ``data.split``, else ``data.<purpose>_split``.

    ``train_only_people`` is for the first, and for data sets that have images without anybody. DataError where there is nobody to
    learn from, as nothing is annotated.
    """
    data = dict(config["data"])
    if not data.get("name"):
        raise ConfigError("no data set; choose one with data=synthetic or data=coco data.root=FOLDER")
    if purpose == "train" and data.get("train_only_people") and "only_people" in data:
        data["only_people"] = data["train_only_people"]
    split = data.pop("split", None) or data.get(f"{purpose}_split") or purpose
    dataset = compose_dataset(data, str(split), limit)
    if purpose == "train" and not dataset.labelled:
        raise DataError(
            f"split {split} lists images without annotations, from which nothing is learned; give data.train_split= or "
            "data.annotations= that has some"
        )
    return dataset


def initial_checkpoints(config: Mapping[str, Any]) -> list[str]:
    """``init``: none, one checkpoint, or several."""
    given = config["init"] or []
    return [given] if isinstance(given, str) else list(given)


def training_dataset(config: Mapping[str, Any], dataset: Dataset, model: PoseModel) -> Dataset:
    """What ``model`` is trained on: images, their labels alone where no pixel is read, or single persons (``data.unit``)."""
    unit = config["data"].get("unit") or "image"
    if unit not in ("image", "person"):
        raise ConfigError("data: " + unknown("unit", unit, ["image", "person"]))
    reads_images = model.reads_images(model.wanted("all"), model.keys_of(config["given"]))
    if unit == "person":
        if reads_images:
            raise ConfigError("data.unit=person trains on labels alone; give what images are for: given=[candidates,proposals]")
        return Persons(dataset, int(config["data"].get("min_keypoints") or 1), int(config["data"].get("max_people") or 30))
    return dataset if reads_images else Labels(dataset)


def training_set(config: Mapping[str, Any], dataset: Dataset, model: PoseModel, extra: frozenset[str] = frozenset()) -> TrainingSet:
    """The augmented samples that ``model`` trains on; ``extra`` names maps that it does not need itself."""
    check_options("augment", Augment, config["augment"])
    length = int(config["input_size"])
    side = model.side(length, "all")
    flip = dataset.task.skeleton.flip if dataset.task.skeleton else ()
    augment = Augment((side, side), model.fill.tolist(), flip, length, **config["augment"])
    if augment.flip:
        warn_of_mirroring(dataset.task.skeleton)
    return TrainingSet(dataset, augment, model.ignores | extra, int(config["seed"]))


def check_oracle(model: PoseModel, oracle: Sequence[str]) -> None:
    """Raise ConfigError where ``oracle`` names a head that the model does not have."""
    for name in oracle:
        if name not in model.heads:
            raise ConfigError("oracle: " + unknown("head of this model", name, list(model.heads)))


def with_checkpoint(config: dict[str, Any], overrides: Sequence[str]) -> tuple[dict[str, Any], Checkpoint | None]:
    """The checkpoint that ``weights`` names, and the configuration that holds with it: the model is the checkpoint's own,
    with the command line's options on top."""
    if not config.get("weights"):
        return config, None
    checkpoint = load_checkpoint(config["weights"])
    return {**config, **merge_overrides(checkpoint.config, config, overrides)}, checkpoint


def make_predictor(config: Mapping[str, Any], checkpoint: Checkpoint | None, task: Task) -> Predictor:
    """The predictor of a checkpoint, configured as ``with_checkpoint`` says; without one, of an untrained model."""
    if checkpoint is None:
        model, decoder = compose_model(config, task)
    else:
        model, decoder = compose_model(without_pretraining(config), checkpoint.task)
        load_needed(model, checkpoint.weights, str(config["weights"]))
    return Predictor(
        model,
        decoder,
        input_size=config["input_size"],
        side=config["side"],
        scales=config["scales"],
        head_scales=config["head_scales"],
        flip=config["flip"],
        views=config["views"],
        batch_size=config["batch_size"],
        precision=config["precision"],
        device=device_of(config),
        orientation=config.get("orientation") or "upright",
        bit_depth=config.get("bit_depth"),
        score_threshold=config.get("score_threshold"),
        keypoint_threshold=config.get("keypoint_threshold"),
    )
