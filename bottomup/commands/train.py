"""``bottomup train``: read, augment, train, validate, keep the best."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bottomup.benchmark.speed import gigamacs
from bottomup.commands.setting import (
    dataset_of,
    device_of,
    initial_checkpoints,
    output_folder,
    training_dataset,
    training_set,
    write_config,
)
from bottomup.commands.validation import make_validation
from bottomup.compose import MODEL_KEYS, compose_model
from bottomup.data.dataset import Dataset
from bottomup.data.labels import Persons
from bottomup.data.loader import Order, start_worker, start_yielding_worker, training_batches
from bottomup.data.subset import warn_of_shared_images
from bottomup.engine import cpu
from bottomup.engine.checkpoint import initialise
from bottomup.engine.distributed import Ranks, ranks
from bottomup.engine.settings import Settings
from bottomup.engine.trainer import Trainer
from bottomup.errors import BottomupWarning, CheckpointError, ConfigError
from bottomup.evaluation.limits import warn_of_limits
from bottomup.model import PoseModel
from bottomup.paths import write_json
from bottomup.types import Batch

LAST = "last.pt"  # of a run: what resume=true goes on from


def run(config: dict[str, Any], overrides: Sequence[str] = ()) -> dict[str, float]:
    """Train as configured; returns the last validation's figures."""
    output = output_folder(config, "train")
    _check_output(config, output)
    with ranks(device_of(config)) as place, _tuned(place):
        torch.manual_seed(int(config["seed"]) + place.rank)  # each rank drops out its own; weights are the first one's
        trainer = make_trainer(config, output, place)
        if config["resume"]:
            _resume(trainer, output)
        if place.first:
            if config.get("overwrite"):
                _remove_earlier(output)
            write_config(output, config)
            warn_of_unmeasured_norms(trainer.model)
            describe(trainer.model, int(config["input_size"]), trainer.given)
        metrics = trainer.fit()
        if place.first:
            write_json(
                output / "metrics.json",
                {"last": metrics, "best": {trainer.settings.best: trainer.best, "step": trainer.best_step}},
            )
        return metrics


def _tuned(place: Ranks) -> contextlib.AbstractContextManager[None]:
    return cpu.tuned() if place.device.type == "cpu" else contextlib.nullcontext()


def make_trainer(config: Mapping[str, Any], output: Path, place: Ranks) -> Trainer:
    """Everything that a training run consists of, wired."""
    settings = Settings.of(config["engine"])
    dataset = dataset_of(config, "train", config["limit"])
    model, decoder = compose_model(config, dataset.task)
    fresh = list(model.state_dict())  # what no checkpoint gives
    if config["init"]:
        fresh = _initialise(model, initial_checkpoints(config), place)
    trained = training_dataset(config, dataset, model)
    samples = training_set(config, trained, model)
    max_people = int(config["data"].get("max_people") or 30)
    if place.first and not isinstance(trained, Persons):  # whose neighbours are there to be told apart, not to be taught
        warn_of_limits(trained, {"data.max_people": max_people}, "are trained on")
    order = Order(trained, settings.batch_size, int(config["seed"]), _curriculum(config, trained))

    def batches(first_step: int) -> Iterator[Batch]:
        return training_batches(
            samples,
            order,
            micro_batch=settings.micro_batch(place.world),
            max_people=max_people,
            first_step=first_step,
            rank=place.rank,
            world=place.world,
            workers=int(config["workers"]),
            pin_memory=place.device.type == "cuda",
            start=start_yielding_worker if place.device.type == "cpu" else start_worker,
        )

    validate = make_validation(config, model, decoder, settings, place, fresh) if settings.validate_every else None
    if validate is not None and place.first:
        warn_of_shared_images(dataset, validate.dataset)
    model_config = {key: config[key] for key in MODEL_KEYS if key in config}
    return Trainer(
        model, batches, settings, output, config=model_config, validate=validate, given=tuple(config["given"]), ranks=place
    )


def _curriculum(config: Mapping[str, Any], dataset: Dataset) -> Sequence[int] | None:
    """The order of a data set that knows its easiest samples, where ``data.curriculum`` asks for it."""
    if not config["data"].get("curriculum"):
        return None
    if not isinstance(dataset, Persons):
        raise ConfigError("data.curriculum=true orders single persons; set data.unit=person")
    return dataset.easiest_first


def _check_output(config: Mapping[str, Any], output: Path) -> None:
    """Refuse to write over an earlier run, unless that is asked for."""
    if config["resume"] and config.get("overwrite"):
        raise ConfigError("resume=true goes on with a run and overwrite=true replaces it; give one of them")
    if (output / LAST).is_file() and not (config["resume"] or config.get("overwrite")):
        raise ConfigError(
            f"{output} holds an earlier run; go on with it by resume=true, give another output=, or replace it by overwrite=true"
        )


def _remove_earlier(output: Path) -> None:
    """Remove what this run may never write again, such as a best.pt; checkpoints that it starts from are loaded by now."""
    for name in (LAST, "best.pt", "metrics.json"):
        (output / name).unlink(missing_ok=True)


def _resume(trainer: Trainer, output: Path) -> None:
    last = output / LAST
    if not last.is_file():
        raise CheckpointError(f"resume=true, but there is no {last}; give the output= folder of the interrupted run")
    trainer.resume(last)


def _initialise(model: PoseModel, paths: Sequence[str], place: Ranks) -> list[str]:
    """Take over what matches, and return and tell the names of the rest."""
    rest, count = initialise(model, paths), len(model.state_dict())
    if place.first:
        taken = f"{count - len(rest)} of {count} tensors taken over"
        print(f"init={','.join(paths)}: {taken}; the rest start anew: {', '.join(rest) or 'none'}", file=sys.stderr)
    return rest


def warn_of_unmeasured_norms(model: PoseModel) -> None:
    """Say that batch norm keeps statistics which nobody has measured: frozen, without weights, it does nothing."""
    frozen = [m for m in model.train().modules() if isinstance(m, nn.BatchNorm2d) and not m.training]
    if any(m.running_mean is not None and not m.running_mean.any() for m in frozen):
        advice = "give backbone.pretrained=true, backbone.weights=FILE or init=CHECKPOINT, or backbone.frozen_batch_norm=false"
        warnings.warn(f"batch norm is frozen, but at no network's statistics: {advice}", BottomupWarning, stacklevel=2)


def describe(model: PoseModel, input_size: int, given: Sequence[str] = ()) -> None:
    """Print parameters and the multiply-adds of one image as it trains."""
    parameters = sum(p.numel() for p in model.parameters())
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    size = f"{parameters / 1e6:.2f} M parameters ({trained / 1e6:.2f} M trained)"
    if model.backbone is None:
        print(size, file=sys.stderr)
        return
    side = model.side(input_size, "all")
    print(f"{size}, {gigamacs(model, side, given, stages='all'):.2f} GMACs at {side}x{side}", file=sys.stderr)
