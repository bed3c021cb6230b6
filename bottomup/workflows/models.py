"""The model that a plan and a checkpoint make together, ready to predict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from bottomup.base_predictor import BasePredictor
from bottomup.checkpoint import Checkpoint, load_checkpoint, load_needed
from bottomup.ensemble import Ensemble
from bottomup.errors import ConfigError, unknown
from bottomup.model import PoseModel
from bottomup.plan.model import ModelPlan
from bottomup.plan.parts import Viewing, names_of
from bottomup.predictor import Predictor
from bottomup.types import Task
from bottomup.zoo.weights import checkpoint_file


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
    return model.of_checkpoint(checkpoint.config, overrides), checkpoint


class Loaded(NamedTuple):
    """A model as it is planned, and the checkpoint that its weights are of; None: it has none, as heads that are all ideal."""

    model: ModelPlan
    checkpoint: Checkpoint | None = None
    weights: str | None = None  # its file, or a network's name


def with_checkpoints(model: ModelPlan, weights: str | Sequence[str] | None, overrides: Sequence[str]) -> list[Loaded]:
    """Each checkpoint that ``weights`` names, with the model that holds; the plan's own model where it names none."""
    return [Loaded(*with_checkpoint(model, name, overrides), name) for name in names_of(weights)] or [Loaded(model)]


def make_ensemble(loaded: Sequence[Loaded], viewing: Viewing, device: str, task: Task) -> BasePredictor:
    """The predictor of one checkpoint; of several, or where crops are seen, the ensemble."""
    members = [make_predictor(one.model, viewing, device, one.checkpoint, task, one.weights) for one in loaded]
    if len(members) == 1 and viewing.crops is None:
        return members[0]
    return Ensemble(members, crops=viewing.crops, votes=viewing.votes)


def make_predictor(
    model: ModelPlan, viewing: Viewing, device: str, checkpoint: Checkpoint | None, task: Task, weights: object = None
) -> Predictor:
    """The predictor of a checkpoint, whose file ``weights`` is named in errors; without one, of an untrained model."""
    if checkpoint is None:
        built, decoder = model.compose(task)
    else:
        built, decoder = model.without_pretraining().compose(checkpoint.task)
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
    )


def seen(predictor: BasePredictor) -> str:
    """How a predictor sees images, as figures are told of: "513 px", with its views where there are several."""
    if isinstance(predictor, Ensemble):
        return _seen_together(predictor)
    assert isinstance(predictor, Predictor)  # what is no ensemble
    side = "" if predictor.side == "long" else f" {predictor.side}"
    scales = f", scales {', '.join(f'{scale:g}' for scale in predictor.scales)}" if len(predictor.scales) > 1 else ""
    return f"{predictor.input_size} px{side}{scales}{', mirrored too' if predictor.flip else ''}"


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
