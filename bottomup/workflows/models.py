"""The model that a plan and a checkpoint make together, ready to predict."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from bottomup.base_predictor import BasePredictor
from bottomup.checkpoint import Checkpoint, check_needed, load_checkpoint, load_needed
from bottomup.contracts import Decoder
from bottomup.ensemble import Ensemble
from bottomup.errors import BottomupError, CheckpointError, ConfigError, unknown
from bottomup.model import PoseModel
from bottomup.options import made
from bottomup.plan.groups import Refining
from bottomup.plan.model import ModelPlan
from bottomup.plan.parts import Viewing, names_of
from bottomup.precision import Precision
from bottomup.predictor import Predictor
from bottomup.refine import Refined, Refiner
from bottomup.types import Task
from bottomup.zoo.weights import checkpoint_file

_CROPS = 32  # at once, which bounds the memory that people of an image take
_SLACK, _MOST_UNUSED = 4, 1000  # parameters that a model may have for a moment, beside those of its file: a classifier's
_NOT_BUILT = (RuntimeError, ValueError, TypeError, ArithmeticError, MemoryError)  # of sizes that no tensor can have, among others


def with_checkpoint(
    model: ModelPlan, weights: str | Sequence[str] | None, overrides: Sequence[str]
) -> tuple[ModelPlan, Checkpoint | None]:
    """The checkpoint that ``weights`` names, a file or a network of the zoo, and the model that holds with it.

    That is its own, with the command line on top. ConfigError where several are named.
    """
    if not weights:
        return model, None
    if not isinstance(weights, str):
        raise ConfigError(f"weights should be one checkpoint here, got {list(weights)}")
    checkpoint = load_checkpoint(checkpoint_file(weights))
    with naming(weights, checkpoint):
        return model.of_checkpoint(checkpoint.config, overrides), checkpoint


@contextlib.contextmanager
def naming(source: object, checkpoint: Checkpoint) -> Iterator[None]:
    """Let a ConfigError be a CheckpointError that names ``source`` where the file is at fault, and not what was typed on top."""
    try:
        yield
    except ConfigError as error:
        fault = _own_fault(checkpoint)
        if fault is None:
            raise
        raise CheckpointError(f"{source}: what it says of its model cannot be ({fault}); take another file") from error


def own_model(source: object, checkpoint: Checkpoint) -> ModelPlan:
    """The model that a checkpoint says; CheckpointError, which names its ``source``, where that cannot be."""
    with naming(source, checkpoint):
        return ModelPlan.of(checkpoint.config)


def _own_fault(checkpoint: Checkpoint) -> Exception | None:
    """Why no model can be made of what a checkpoint says alone; None where one can."""
    try:
        own = ModelPlan.of(checkpoint.config).without_pretraining()
        with torch.device("meta"), _counted(_most(checkpoint)):
            own.compose(checkpoint.task)
    except _NOT_BUILT as error:
        return error
    return None


class Loaded(NamedTuple):
    """A model as it is planned, and the checkpoint that its weights are of; None: it has none, as heads that are all ideal."""

    model: ModelPlan
    checkpoint: Checkpoint | None = None
    weights: str | None = None  # its file, or a network's name


def with_checkpoints(model: ModelPlan, weights: str | Sequence[str] | None, overrides: Sequence[str]) -> list[Loaded]:
    """Each checkpoint that ``weights`` names, with the model that holds; the plan's own model where it names none."""
    return [Loaded(*with_checkpoint(model, name, overrides), name) for name in names_of(weights)] or [Loaded(model)]


def make_ensemble(loaded: Sequence[Loaded], viewing: Viewing, device: str, task: Task) -> BasePredictor:
    """The predictor of one checkpoint; of several, or where crops are seen, the ensemble; refined where a network is given."""
    members = [make_predictor(one.model, viewing, device, one.checkpoint, task, one.weights) for one in loaded]
    alone = len(members) == 1 and viewing.crops is None and viewing.votes is None
    return with_refiner(members[0] if alone else Ensemble(members, crops=viewing.crops, votes=viewing.votes), viewing, device)


def with_refiner(predictor: BasePredictor, viewing: Viewing, device: str) -> BasePredictor:
    """A predictor whose poses are refined as planned, by a network that is run as precisely; itself where none is given."""
    refiner = make_refiner(viewing.refine, viewing.precision, device)
    return predictor if refiner is None else Refined(predictor, refiner)


def make_predictor(
    model: ModelPlan, viewing: Viewing, device: str, checkpoint: Checkpoint | None, task: Task, weights: object = None
) -> Predictor:
    """The predictor of a checkpoint, whose file ``weights`` is named in errors; without one, of an untrained model."""
    if checkpoint is None:
        built, decoder = model.compose(task)
    else:
        built, decoder = fitting(model.without_pretraining(), checkpoint, str(weights))
        load_needed(built, checkpoint.weights, str(weights))
    return Predictor(
        built,
        decoder,
        input_size=model.input_size,
        side=model.side,
        scales=viewing.scales,
        head_scales=model.head_scales,
        flip=viewing.flip,
        views=viewing.views,
        batch_size=viewing.batch_size,
        precision=viewing.precision,
        device=device,
        orientation=viewing.orientation or "upright",
        bit_depth=viewing.bit_depth,
        score_threshold=viewing.score_threshold,
        keypoint_threshold=viewing.keypoint_threshold,
        on_error=viewing.on_error,
    )


def make_refiner(plan: Refining, precision: Precision, device: str) -> Refiner | None:
    """What refines poses as planned; None where nothing does. ConfigError where it is said how, and not by which network."""
    if plan.weights is None:
        said = [name for name, value in plan.plain().items() if value != Refining().plain()[name]]
        if said:
            raise ConfigError(f"refine.{said[0]} is given, but refine= is missing: give a checkpoint of method=single_person")
        return None
    network = make_network(plan.weights, plan.sizes, precision, device)
    options = {name: value for name, value in plan.plain().items() if name not in ("weights", "sizes")}
    return made(Refiner, network, options=options)


def make_network(weights: str, sizes: Sequence[float], precision: Precision, device: str) -> Predictor:
    """The single-person network of a checkpoint, or of the zoo, that sees crops at ``sizes`` of its own input size.

    ConfigError for a checkpoint whose decoder finds several people.
    """
    checkpoint = load_checkpoint(checkpoint_file(weights))
    model = own_model(weights, checkpoint)
    if model.decoder is None or model.decoder.name != "single_person":
        raise ConfigError(f"{weights} finds several people in an image; give a checkpoint of method=single_person")
    of_crops = Viewing(scales=tuple(sizes), batch_size=_CROPS, precision=precision)
    return make_predictor(model, of_crops, device, checkpoint, checkpoint.task, weights)


def fitting(model: ModelPlan, checkpoint: Checkpoint, source: str) -> tuple[PoseModel, Decoder]:
    """The model and the decoder of a plan for a checkpoint's weights, built only where all that it needs is among them.

    CheckpointError where it is not: shapes are compared before a real model takes memory, which a changed file may ask for without
    end, and before it has many more parameters than the file.
    """
    try:
        with naming(source, checkpoint), torch.device("meta"), _counted(_most(checkpoint)):
            shapes, _ = model.compose(checkpoint.task)
    except BottomupError:
        raise
    except _NOT_BUILT as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise CheckpointError(f"{source}: no network has the sizes that it says ({reason}); take another file") from error
    check_needed(shapes, checkpoint.weights, source)
    return model.compose(checkpoint.task)


def _most(checkpoint: Checkpoint) -> int:
    """How many parameters a model may have for a moment that needs the checkpoint's."""
    return _SLACK * len(checkpoint.weights) + _MOST_UNUSED


@contextlib.contextmanager
def _counted(most: int) -> Iterator[None]:
    """ConfigError as soon as what is built inside has more parameters than that."""
    left = iter(range(most))

    def count(_: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        if next(left, None) is None:
            raise ConfigError(f"a network of more than {most} parameters is asked for, which is none of the file's")

    handle = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        handle.remove()


def seen(predictor: BasePredictor) -> str:
    """How a predictor sees images, as figures are told of: "513 px", with its views where there are several."""
    if isinstance(predictor, Refined):
        return f"{seen(predictor.predictor)}, refined"
    if isinstance(predictor, Ensemble):
        return _seen_together(predictor)
    assert isinstance(predictor, Predictor)  # what is neither
    side = "" if predictor.side == "long" else f" {predictor.side}"
    scales = f", scales {', '.join(f'{scale:g}' for scale in predictor.scales)}" if len(predictor.scales) > 1 else ""
    own = {name: ", ".join(f"{scale:g}" for scale in several) for name, several in predictor.views.head_scales.items()}
    heads = "".join(f", {name} at {several}" for name, several in own.items())
    return f"{predictor.input_size} px{side}{scales}{heads}{', mirrored too' if predictor.flip else ''}"


def _seen_together(ensemble: Ensemble) -> str:
    """How each member sees images, once where all do alike, and how they are joined."""
    own = list(dict.fromkeys(map(seen, ensemble.members)))
    networks = f"{len(ensemble.members)} networks " if len(ensemble.members) > 1 else ""
    votes = "" if len(set(ensemble.votes)) == 1 else f" by votes of {' and '.join(f'{vote:g}' for vote in ensemble.votes)}"
    joined = f"joined as {'maps' if ensemble.merged else 'people'}{votes}, " if networks else ""
    crops = f", crops of {ensemble.crops.size} px" if ensemble.crops else ""
    return f"{networks}{joined}{' and '.join(own)}{crops}"


def check_oracle(models: Sequence[PoseModel], oracle: Sequence[str]) -> None:
    """Raise ConfigError where ``oracle`` names a head that none of the models has."""
    heads = list(dict.fromkeys(name for model in models for name in model.heads))
    for name in oracle:
        if name not in heads:
            raise ConfigError("oracle: " + unknown("head of this model", name, heads))
