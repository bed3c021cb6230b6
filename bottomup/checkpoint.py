"""Checkpoints: plain tensors and plain data, written whole or not at all, refused by name where foreign or broken."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, TypeGuard

import torch
from torch import Tensor, nn

from bottomup.contracts import DECODERS
from bottomup.errors import CheckpointError, ConfigError, of_system, warn
from bottomup.ops.archives import damage
from bottomup.ops.finite import not_finite
from bottomup.ops.model_folder import WEIGHTS, is_model_folder, read_model_folder, write_model_folder
from bottomup.ops.plain import fault_of, is_plain_data, is_state_dict
from bottomup.ops.unreadable import reading, unreadable
from bottomup.options import moved
from bottomup.paths import path_of, written_whole
from bottomup.skeletons import Skeleton
from bottomup.types import Task
from bottomup.version import __version__

_KIND = "bottomup checkpoint "
_FORMAT = f"{_KIND}1"
_PARTS = {"config": dict, "task": dict, "model": dict, "average": dict | None, "training": dict | None, "versions": dict}


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds: enough to rebuild the model, and to go on training where ``training`` is there."""

    config: dict[str, Any]  # of the model: backbone, necks, heads, decoder, and how images enter
    task: Task
    model: dict[str, Tensor]
    average: dict[str, Tensor] | None
    training: dict[str, Any] | None  # optimiser, schedule, scaler, average's count, random state, progress
    versions: dict[str, str]

    @property
    def weights(self) -> dict[str, Tensor]:
        """The averaged weights where there are any, else the model's."""
        return self.average or self.model


def save_checkpoint(path: str | Path, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint whole or not at all; CheckpointError, and nothing written, where weights are not finite."""
    target = path_of(path)
    _check_finite(f"{target} is not written", checkpoint)
    data = {
        "format": _FORMAT,
        "config": checkpoint.config,
        "task": task_to_dict(checkpoint.task),
        "model": checkpoint.model,
        "average": checkpoint.average,
        "training": checkpoint.training,
        "versions": checkpoint.versions,
    }
    with written_whole(target) as file:
        torch.save(data, file)
    return target


def save_folder(folder: Path, checkpoint: Checkpoint) -> None:
    """Write what predicts of a checkpoint as a folder for hubs; CheckpointError, nothing written, where weights are not finite."""
    _check_weights(f"{folder} is not written", "weights", checkpoint.weights)
    said = {"config": checkpoint.config, "task": task_to_dict(checkpoint.task), "versions": checkpoint.versions}
    write_model_folder(folder, {"format": _FORMAT, **said}, checkpoint.weights)


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Read a checkpoint, or a folder of ``save_folder``, onto the CPU; CheckpointError says what is wrong with the file."""
    path = path_of(path)
    data = _known(path, read_model_folder(path) if is_model_folder(path) else _archive(path))
    if broken := [name for name, kind in _PARTS.items() if name not in data or not isinstance(data[name], kind)]:
        raise CheckpointError(
            f"{path}: a checkpoint without its {', '.join(broken)}, as another program changed it; take another file"
        )
    _check_parts(path, data)
    try:
        config, task = _current(data["config"]), task_from_dict(data["task"])
    except (ConfigError, TypeError, KeyError) as error:
        raise CheckpointError(f"{path}: what it says of its model cannot be ({error}); take another file") from error
    checkpoint = Checkpoint(config, task, data["model"], data["average"], data["training"], data["versions"])
    _check_finite(str(path), checkpoint)
    return checkpoint


def _archive(path: Path) -> object:
    """What a file of PyTorch's holds, read onto the CPU; CheckpointError for every other."""
    if not path.is_file():
        inside = next((f"; there is {file}" for name in ("best.pt", "last.pt") if (file := path / name).is_file()), "")
        raise CheckpointError(f"{path}: no such checkpoint{inside}; give the .pt file of a training run (best.pt or last.pt)")
    try:
        if damaged := damage(path):
            raise CheckpointError(f"{path}: not readable as a checkpoint: {damaged}; take another copy of it")
        with reading():
            return torch.load(path, map_location="cpu", weights_only=True)
    except CheckpointError:
        raise
    except OSError as error:
        raise CheckpointError(f"{path}: not readable ({of_system(error)})") from error
    except Exception as error:  # torch raises half a dozen types for broken files
        remedy = "; bottomup import-weights reads what others published" if path.suffix in (".json", ".h5", ".tar") else ""
        raise CheckpointError(
            f"{path}: not readable as a checkpoint, it may be cut short or of another program ({unreadable(error)}){remedy}"
        ) from error


def _known(path: Path, data: object) -> dict[str, Any]:
    """What was read, where it is of this format; CheckpointError where not."""
    if is_own(data):
        return data
    if isinstance(data, dict) and str(data.get("format")).startswith(_KIND):
        raise CheckpointError(
            f"{path}: a {data['format']}, of a later version of bottomup; this one ({__version__}) reads {_FORMAT!r}"
        )
    raise CheckpointError(
        f"{path}: not a bottomup checkpoint; foreign weights of a backbone go to backbone.weights=FILE, and `bottomup "
        f"import-weights {path} output=DIR` makes a checkpoint of a published network"
    )


def _check_parts(path: Path, data: dict[str, Any]) -> None:
    """CheckpointError for a part that is not what ``save_checkpoint`` writes, before anything is made of it."""
    held = (path / WEIGHTS if path.is_dir() else path).stat().st_size
    for name in ("config", "task", "versions"):
        if not is_plain_data(data[name]):
            raise CheckpointError(f"{path}: its {name} should be plain data, text and numbers by name; take another file")
    for name in ("model", "average"):
        weights = data[name]
        if weights is None:
            continue
        if weights and not is_state_dict(weights):
            raise CheckpointError(f"{path}: its {name} should be tensors by name; take another file")
        if fault := fault_of(weights, held):
            raise CheckpointError(f"{path}: {fault}; take another file")
    if data["average"] is not None and {n: t.shape for n, t in data["average"].items()} != {
        n: t.shape for n, t in data["model"].items()
    }:
        raise CheckpointError(f"{path}: its averaged weights are of another model than its weights; take another file")


def is_own(data: object) -> TypeGuard[dict[str, Any]]:
    """Whether what a file held is a checkpoint as ``save_checkpoint`` writes it."""
    return isinstance(data, dict) and data.get("format") == _FORMAT


def _current(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration with the decoder's options under the names that they have now, whichever version wrote it."""
    decoder = config.get("decoder")
    if not isinstance(decoder, dict) or not isinstance(decoder.get("name"), str):  # which the plan refuses
        return config
    return config | {"decoder": moved(DECODERS[decoder["name"]], decoder)}


def _check_finite(where: str, checkpoint: Checkpoint) -> None:
    for what, weights in (("weights", checkpoint.model), ("averaged weights", checkpoint.average or {})):
        _check_weights(where, what, weights)


def _check_weights(where: str, what: str, weights: Mapping[str, Tensor]) -> None:
    bad = not_finite(weights)
    if bad:
        raise CheckpointError(f"{where}: {what} are not finite ({bad}), as of a training that diverged; take an earlier checkpoint")


def load_weights(model: nn.Module, weights: Mapping[str, Tensor], source: str) -> None:
    """Load every tensor; CheckpointError names the first ones that do not fit, or are not finite."""
    _check_weights(source, "weights", weights)
    _refuse(source, [*_unfit(model, weights), *(f"{name} not in the model" for name in _surplus(model, weights))])
    model.load_state_dict(dict(weights))


def load_needed(model: nn.Module, weights: Mapping[str, Tensor], source: str) -> None:
    """Load what the model has, and warn of the rest: a relation without weights needs no Pose Residual Network's.

    CheckpointError names the first tensors that are missing or of another shape.
    """
    _refuse(source, _unfit(model, weights))
    surplus = _surplus(model, weights)
    if surplus:
        some = ", ".join(surplus[:3]) + (", …" if len(surplus) > 3 else "")
        warn(f"{len(surplus)} tensors of {source} are not used, as the model has no such: {some}")
    model.load_state_dict({name: weights[name] for name in model.state_dict()})


def check_needed(model: nn.Module, weights: Mapping[str, Tensor], source: str) -> None:
    """CheckpointError where ``load_needed`` would raise it; of a model of shapes alone, before a real one takes memory."""
    _refuse(source, _unfit(model, weights))


def _unfit(model: nn.Module, weights: Mapping[str, Tensor]) -> list[str]:
    own = model.state_dict()
    wrong = [name for name in own if name in weights and own[name].shape != weights[name].shape]
    faults = [f"{name}: {tuple(weights[name].shape)} in the file, {tuple(own[name].shape)} in the model" for name in wrong]
    return faults + [f"{name} missing" for name in own if name not in weights]


def _surplus(model: nn.Module, weights: Mapping[str, Tensor]) -> list[str]:
    own = model.state_dict()
    return [name for name in weights if name not in own]


def _refuse(source: str, faults: Sequence[str]) -> None:
    if faults:
        more = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
        remedy = f"leave out what differs from the model that was trained, or train from what matches by init={source}"
        raise CheckpointError(f"{source} is of another model: {'; '.join(faults[:3])}{more}; {remedy}")


def initialise(model: nn.Module, paths: Sequence[str | Path]) -> list[str]:
    """Load the tensors whose name and shape match (transfer to another skeleton); return the names of those that none has.

    Of checkpoints that have the same tensor the last counts.
    """
    own = model.state_dict()
    matching = {
        name: tensor
        for path in paths
        for name, tensor in load_checkpoint(path).weights.items()
        if name in own and own[name].shape == tensor.shape
    }
    model.load_state_dict(matching, strict=False)
    return [name for name in own if name not in matching]


class SavedTask(TypedDict):
    """A task as plain data."""

    skeleton: dict[str, Any] | None  # as of Skeleton.to_dict
    categories: list[str]


def task_to_dict(task: Task) -> SavedTask:
    """A task as plain data."""
    return {"skeleton": task.skeleton.to_dict() if task.skeleton else None, "categories": list(task.categories)}


def task_from_dict(data: SavedTask) -> Task:
    """The inverse of ``task_to_dict``; ConfigError for what is none."""
    skeleton, categories = data.get("skeleton"), data.get("categories")
    if not isinstance(skeleton, dict | None) or not isinstance(categories, list):
        raise ConfigError(f"a task should have a skeleton and a list of categories, got {reprlib.repr(data)}")
    if not categories or not all(isinstance(name, str) for name in categories):
        raise ConfigError(f"categories should be names, at least one, got {reprlib.repr(categories)}")
    return Task(Skeleton.from_dict(skeleton) if skeleton else None, tuple(categories))


def versions() -> dict[str, str]:
    """The versions that wrote a file."""
    return {"bottomup": __version__, "torch": str(torch.__version__)}
