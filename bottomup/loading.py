"""A trained model by one call, and a model built in Python as a file that the same call reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any, cast, overload

from bottomup.base_predictor import BasePredictor
from bottomup.checkpoint import Checkpoint, load_checkpoint, load_weights, save_checkpoint, versions
from bottomup.crops import Crops
from bottomup.ensemble import Ensemble
from bottomup.errors import ConfigError, unknown
from bottomup.model import PoseModel
from bottomup.options import check_options
from bottomup.paths import path_of
from bottomup.plan.files import available
from bottomup.plan.model import ModelPlan
from bottomup.plan.parts import Viewing
from bottomup.plan.predicting import predict_plan
from bottomup.predictor import Predictor
from bottomup.workflows.models import make_predictor, naming, with_refiner
from bottomup.zoo.weights import checkpoint_file

_ENTERING = ("input_size", "side", "head_scales")  # what a checkpoint says of how images enter, unless it is given


@overload
def load(
    file: str | Path,
    *,
    weights: str | Path | None = None,
    crops: None = None,
    refine: None = None,
    overrides: Sequence[str] = (),
    device: str = "cpu",
    **options: Any,
) -> Predictor: ...
@overload
def load(
    file: str | Path | Sequence[str | Path],
    *,
    weights: str | Path | None = None,
    crops: Crops | dict[str, Any] | None = None,
    votes: Sequence[float] | None = None,
    refine: str | Path | dict[str, Any] | None = None,
    overrides: Sequence[str] = (),
    device: str = "cpu",
    **options: Any,
) -> BasePredictor: ...
def load(
    file: str | Path | Sequence[str | Path],
    *,
    weights: str | Path | None = None,
    crops: Crops | dict[str, Any] | None = None,
    votes: Sequence[float] | None = None,
    refine: str | Path | dict[str, Any] | None = None,
    overrides: Sequence[str] = (),
    device: str = "cpu",
    **options: Any,
) -> BasePredictor:
    """A ready predictor: ``load("best.pt")("photo.jpg").instances.keypoints``.

    ``file`` is a checkpoint of a training run or of ``save``, a folder of ``hub.Pretrained``, or the name of a published network,
    as `bottomup zoo` lists them, or of a model on a hub, "user/name", which are downloaded at their first use; with ``weights``
    that is the file or the name, and ``file`` the name of the method that it is to hold. A list of such files and names, or
    ``crops``, as {"size": 640, "overlap": 0.25} in px of the image, makes an ``Ensemble``, with its ``votes``, whose other options
    and overrides are those of each member; ``refine``, a single-person network's file or a mapping of ``Refining``'s options, makes
    it ``Refined``. ``overrides`` are Hydra overrides of its configuration; other options go to the Predictor (flip, scales,
    batch_size, score_threshold, …), which predicts who scores as much as the decoder recommends.
    Raises ConfigError for an unknown method or option, or another method than the file's, CheckpointError for a bad file.
    """
    if "decoder" in options or isinstance(overrides, str):
        raise ConfigError('the decoder and all of the configuration are given as a list: load(FILE, overrides=["decoder=NAME"])')
    check_options("load", Predictor, options, ("weights", "overrides", "crops", "votes", "refine"))
    viewing = Viewing.of({"crops": crops, "refine": refine, "precision": options.get("precision", "fp32")})
    files = list(file) if isinstance(file, list | tuple) else [cast(str | Path, file)]  # which _file judges
    members = [_member(each, weights, overrides, device, options) for each in files]
    joint = crops is not None or votes is not None or isinstance(file, list | tuple)
    predictor = Ensemble(members, crops=viewing.crops, votes=votes) if joint else members[0]
    return with_refiner(predictor, viewing, device)


def _member(
    file: str | Path, weights: str | Path | None, overrides: Sequence[str], device: str, options: dict[str, Any]
) -> Predictor:
    path = _file(file, weights)
    checkpoint = load_checkpoint(checkpoint_file(path))
    with naming(path, checkpoint):
        model = _model(checkpoint, overrides if weights is None else [f"method={file}", *overrides])
    model = replace(model, **{name: options[name] for name in _ENTERING if name in options})
    viewing = Viewing.of({name: value for name, value in options.items() if name not in _ENTERING})
    return make_predictor(model, viewing, device, checkpoint, checkpoint.task, str(path))


def save(path: str | Path, plan: ModelPlan, model: PoseModel) -> Path:
    """Write a model built in Python, trained or not, as a checkpoint that ``load`` reads, whole or not at all.

    ``plan`` describes it by registered components: the model is ``plan.compose(task)``'s, or was assembled from the same
    constructors. Of what has no weights, as a decoder and its thresholds, the plan's word counts. Raises ConfigError or
    CheckpointError, and writes nothing, where the plan describes other weights or these are not finite.
    """
    carried = plan.carried()
    weights = {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}
    described, _ = ModelPlan.of(carried).without_pretraining().compose(model.task)
    load_weights(described, weights, f"the model for {path_of(path)}")
    return save_checkpoint(path, Checkpoint(carried, model.task, weights, average=None, training=None, versions=versions()))


def _file(file: str | Path, weights: str | Path | None) -> str | Path:
    """The checkpoint that is meant; ConfigError for a method by itself, or one that does not exist."""
    for name, given in (("FILE", file), ("weights=FILE", weights)):
        if not isinstance(given, str | PathLike | None) or given is file is None:
            raise ConfigError(f"load({name}) takes a checkpoint's path, or the name of a network of the zoo; got {given!r}")
    methods = available()
    if weights is None:
        if file in methods and not path_of(file).exists():
            raise ConfigError(f"{file!r} is a method, but no checkpoint; give load(FILE), or load({file!r}, weights=FILE)")
        return file
    if file not in methods:
        raise ConfigError(unknown("method", str(file), methods))
    return weights


def _model(checkpoint: Checkpoint, overrides: Sequence[str]) -> ModelPlan:
    """The checkpoint's model, with what overrides say on top; nothing is composed where they say nothing."""
    if not overrides:
        return ModelPlan.of(checkpoint.config)
    return predict_plan(overrides).model.of_checkpoint(checkpoint.config, overrides)
