"""A model as the folder that hubs keep: ``model.safetensors`` with the weights, ``config.json`` with all that is said of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from bottomup.errors import CheckpointError, of_system
from bottomup.paths import write_bytes, write_json

WEIGHTS, CONFIG = "model.safetensors", "config.json"

_SHA256 = "weights_sha256"
_SAID = ("format", "config", "task", "versions", _SHA256)


def is_model_folder(path: Path) -> bool:
    """Whether a folder holds weights as hubs keep them, or what is said of such."""
    return path.is_dir() and any((path / name).is_file() for name in (WEIGHTS, CONFIG))


def write_model_folder(folder: Path, said: Mapping[str, object], weights: Mapping[str, Tensor]) -> None:
    """Write weights, bit for bit, and what is ``said`` of them: plain data by name, to which the weights' SHA-256 is added.

    The configuration is written last: a folder that was cut short is refused, as its hash tells of other weights.
    """
    content = safetensors.torch.save({name: tensor.detach().cpu().contiguous().clone() for name, tensor in weights.items()})
    write_bytes(folder / WEIGHTS, content)
    write_json(folder / CONFIG, {**said, _SHA256: hashlib.sha256(content).hexdigest()})


def read_model_folder(folder: Path) -> dict[str, Any]:
    """What was said of the weights, by name, and under "model" the weights themselves, on the CPU.

    CheckpointError for a folder that ``write_model_folder`` did not write, or whose weights are no longer those.
    """
    said = _said(folder / CONFIG)
    file = folder / WEIGHTS
    try:
        content = file.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{file}: not readable ({of_system(error)}); take the whole folder of the model") from error
    if hashlib.sha256(content).hexdigest() != said.pop(_SHA256):
        raise CheckpointError(
            f"{file}: not the weights that {CONFIG} beside it tells of, by their SHA-256; take another copy of both"
        )
    try:
        weights = safetensors.torch.load(content)
    except (SafetensorError, ValueError, KeyError, RuntimeError) as error:
        raise CheckpointError(f"{file}: not readable as safetensors ({error}); take another copy of it") from error
    return {**said, "model": weights, "average": None, "training": None}


def _said(file: Path) -> dict[str, Any]:
    try:
        said = json.loads(file.read_bytes())
    except OSError as error:
        raise CheckpointError(f"{file}: not readable ({of_system(error)}); take the whole folder of the model") from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{file}: not JSON, it may be cut short ({error}); take another copy of it") from error
    missing = [name for name in _SAID if not isinstance(said, dict) or name not in said]
    if missing:
        raise CheckpointError(
            f"{file}: not of a model of bottomup, it says nothing of {', '.join(missing)}; take a folder that "
            "bottomup.hub.Pretrained saved"
        )
    return {name: said[name] for name in _SAID}
