"""Read, augment, train, validate, keep the best."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from bottomup.benchmark.speed import gigamacs
from bottomup.checkpoint import initialise
from bottomup.dataset import Clips, Dataset
from bottomup.engine import cpu
from bottomup.engine.distributed import Ranks, ranks
from bottomup.engine.settings import Settings
from bottomup.engine.trainer import Trainer
from bottomup.errors import ConfigError, warn
from bottomup.evaluation.limits import warn_of_limits
from bottomup.model import PoseModel
from bottomup.paths import write_json
from bottomup.plan.data import DataPlan
from bottomup.plan.resuming import changes
from bottomup.plan.training import TrainPlan
from bottomup.precision import PRECISIONS
from bottomup.samples.labels import Persons
from bottomup.samples.loader import Order, training_batches
from bottomup.samples.subset import warn_of_shared_images
from bottomup.samples.workers import start_worker, start_yielding_worker, workers_alive
from bottomup.types import Batch
from bottomup.workflows.folders import (
    LAST,
    alone,
    check_training_folder,
    remove_earlier,
    saved_config,
    without_leftovers,
    write_config,
)
from bottomup.workflows.pace import FirstStep, beginning
from bottomup.workflows.samples import training_dataset, training_set
from bottomup.workflows.validation import make_validation
from bottomup.zoo.weights import checkpoint_file


@workers_alive()
def train(plan: TrainPlan) -> dict[str, float]:
    """Train as planned; returns the last validation's figures."""
    output = plan.place.folder("train")
    with without_leftovers(output), ranks(plan.place.chosen_device()) as place, _tuned(place), _alone(output, place):
        if place.first:  # of several ranks, others come when it has written already
            check_training_folder(output, resume=plan.resume, overwrite=plan.overwrite)
        torch.manual_seed(plan.place.seed + place.rank)  # each rank drops out its own; weights are the first one's
        plan = replace(plan, engine=in_one_precision(plan, output, place))
        trainer, order = make_trainer(plan, output, place)
        if plan.resume:
            trainer.resume(output / LAST)
            if place.first:
                warn_of_changes(output, plan)
                print(f"going on after step {trainer.step} of {trainer.settings.steps}", file=sys.stderr)
        if place.first:
            if plan.overwrite:
                remove_earlier(output)
            write_config(output, plan.plain())
            warn_of_unmeasured_norms(trainer.model, trainer.given)
            describe(trainer.model, plan.model.input_size, trainer.given)
            print(beginning(trainer), file=sys.stderr)
        with _first_step(trainer, order, plan):
            metrics = trainer.fit()
        if place.first:
            best = {trainer.settings.best: trainer.best, "step": trainer.best_step}
            write_json(output / "metrics.json", {"last": metrics, "best": best})
            written = [path for name in ("best.pt", LAST) if (path := output / name).is_file()]
            print(*written, sep=", ", file=sys.stderr)
        return metrics


def _alone(output: Path, place: Ranks) -> contextlib.AbstractContextManager[None]:
    return alone(output) if place.first else contextlib.nullcontext()


def _first_step(trainer: Trainer, order: Order, plan: TrainPlan) -> contextlib.AbstractContextManager[None]:
    """Watch the first step of all; a run that goes on has told how long it takes."""
    watched = trainer.ranks.first and trainer.step == 0
    return FirstStep(trainer, order.draws, plan.model.method).watched() if watched else contextlib.nullcontext()


def _tuned(place: Ranks) -> contextlib.AbstractContextManager[None]:
    return cpu.tuned() if place.device.type == "cpu" else contextlib.nullcontext()


def in_one_precision(plan: TrainPlan, output: Path, place: Ranks) -> Settings:
    """The settings with "auto" told: as the run began that goes on, or bf16 where every rank's device has instructions for it."""
    settings = plan.engine
    if settings.precision != "auto":
        return settings
    begun = saved_config(output).get("engine") if plan.resume else None
    began = begun.get("precision") if isinstance(begun, dict) else None
    if (taken := place.shared(began)) in PRECISIONS:
        return replace(settings, precision=taken)
    own = settings.on(place.device)
    return replace(own, precision="fp32") if place.any(own.precision == "fp32") else own


def make_trainer(plan: TrainPlan, output: Path, place: Ranks) -> tuple[Trainer, Order]:
    """Everything that a training run consists of, wired, and the order in which its images are drawn."""
    dataset = plan.data.dataset("train", plan.limit)
    starting = plan.model.without_pretraining() if plan.resume else plan.model  # what is resumed holds all weights
    model, decoder = starting.compose(dataset.task)
    fresh = _initialise(model, plan.init, place) if plan.init else list(model.state_dict())  # what no checkpoint gives
    trained = training_dataset(plan, dataset, model)
    _check_together(plan, model)
    if place.first and not isinstance(trained, Persons):  # whose neighbours are there to be told apart, not to be taught
        warn_of_limits(trained, {"data.max_people": plan.data.max_people}, "are trained on")
    order = Order(trained, plan.engine.batch_size, plan.place.seed, _order(plan, trained))
    batches = _batches(plan, trained, order, model, place)
    validate = make_validation(plan, model, decoder, place, fresh) if plan.engine.validate_every else None
    if validate is not None and place.first:
        warn_of_shared_images(dataset, validate.dataset)
    carried, given = plan.carried(), plan.model.given
    return Trainer(model, batches, plan.engine, output, config=carried, validate=validate, given=given, ranks=place), order


def _batches(plan: TrainPlan, dataset: Dataset, order: Order, model: PoseModel, place: Ranks) -> Callable[[int], Iterator[Batch]]:
    """The batches of this rank, from the one of a step on."""
    samples, settings = training_set(plan, dataset, model), plan.engine

    def batches(first_step: int) -> Iterator[Batch]:
        return training_batches(
            samples,
            order,
            micro_batch=settings.micro_batch(place.world),
            max_people=plan.data.max_people,
            first_step=first_step,
            rank=place.rank,
            world=place.world,
            workers=plan.place.workers,
            pin_memory=place.device.type == "cuda",
            fill=model.fill.tolist(),
            start=start_yielding_worker if place.device.type == "cpu" else start_worker,
        )

    return batches


def _check_together(plan: TrainPlan, model: PoseModel) -> None:
    """Raise ConfigError where a head learns from more frames of a clip at once than stand beside one another, or steps cut them."""
    together, settings = plan.data.together, plan.engine
    for name, stack in model.stacks():
        frames = stack.last.frames
        if frames not in (1, together):
            raise ConfigError(
                f"heads.{name}.frames={frames} learns from so many frames of a clip at once; give a data set of clips, such as "
                f"data=synthetic_video, with data.together={frames}, not {together}"
            )
    if settings.batch_size % together:
        raise ConfigError(
            f"engine.batch_size={settings.batch_size} cuts groups of data.together={together} frames; give a multiple of it"
        )


def _order(plan: TrainPlan, dataset: Dataset) -> Sequence[int] | None:
    """The order that the data set is drawn in: by difficulty, or clip by clip, where the plan asks for that."""
    together = plan.data.together
    if together == 1:
        return _curriculum(plan.data, dataset)
    if not isinstance(dataset, Clips):
        raise ConfigError(
            f"data.together={together} draws frames of one clip, and data={plan.data.name} has no clips; leave it out"
        )
    return dataset.in_clips(together, plan.place.seed)


def _curriculum(data: DataPlan, dataset: Dataset) -> Sequence[int] | None:
    """The order of a data set that knows its easiest samples, where ``data.curriculum`` asks for it."""
    if not data.curriculum:
        return None
    if not isinstance(dataset, Persons):
        raise ConfigError("data.curriculum=true orders single persons; set data.unit=person")
    return dataset.easiest_first


def _initialise(model: PoseModel, paths: Sequence[str], place: Ranks) -> list[str]:
    """Take over what matches, and return and tell the names of the rest."""
    rest, count = initialise(model, list(map(checkpoint_file, paths))), len(model.state_dict())
    if place.first:
        taken = f"{count - len(rest)} of {count} tensors taken over"
        print(f"init={','.join(paths)}: {taken}; the rest start anew: {', '.join(rest) or 'none'}", file=sys.stderr)
    return rest


def warn_of_changes(folder: Path, plan: TrainPlan) -> None:
    """Say which options of the run in a folder are others now, where it is then not as if it had not stopped."""
    before = saved_config(folder)
    if before and (said := changes(before, plan.plain())):
        warn(f"the run goes on otherwise than it began: {said}")


def warn_of_unmeasured_norms(model: PoseModel, given: Sequence[str] = ()) -> None:
    """Say that batch norm keeps statistics which nobody has measured: frozen, without weights, it does nothing.

    Not of parts that no trained head reaches, as those of a later stage.
    """
    idle = tuple(model.unreached(given))
    norms = [(name, m) for name, m in model.train().named_modules() if isinstance(m, nn.BatchNorm2d) and not m.training]
    used = [m for name, m in norms if not any(name == part or name.startswith(f"{part}.") for part in idle)]
    if any(m.running_mean is not None and not m.running_mean.any() for m in used):
        advice = "give backbone.pretrained=true, backbone.weights=FILE or init=CHECKPOINT, or backbone.frozen_batch_norm=false"
        warn(f"batch norm is frozen, but at no network's statistics: {advice}")


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
