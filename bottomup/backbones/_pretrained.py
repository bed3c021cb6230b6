"""Weights from a local file into a timm network, under timm's names or another library's."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from bottomup.errors import CheckpointError
from bottomup.ops.archives import damage
from bottomup.ops.finite import not_finite
from bottomup.ops.plain import fault_of, is_state_dict
from bottomup.ops.unreadable import reading, unreadable
from bottomup.paths import path_of

_COUNTER = "num_batches_tracked"  # files from before PyTorch 0.4.1 lack it, and nothing reads it


def load_file(network: nn.Module, path: str) -> list[str]:
    """Load a state dict into a network whose parts (``net``, ``top``) hold a timm network's layers; all of them must be there.

    Returns the names of the file's tensors that the network has no place for, such as a classifier's, and logs them. Raises
    CheckpointError naming file and tensor where something does not fit.
    """
    tensors = _read(path)
    own = network.state_dict()
    pairs = _by_name(own, tensors) if _stem(own) in tensors else _by_order(own, tensors)
    loaded = {}
    for name, tensor in own.items():
        there = pairs.get(name)
        if there is None and name.endswith(_COUNTER):
            loaded[name] = tensor
        elif there is None:
            raise CheckpointError(f"{path}: lacks {_plain(name)}; is it another network (backbone.network)?")
        elif tensors[there].shape != tensor.shape:
            given, expected = tuple(tensors[there].shape), tuple(tensor.shape)
            raise CheckpointError(f"{path}: {there} is {given}, the network's {_plain(name)} is {expected}; is it another network?")
        else:
            loaded[name] = tensors[there]
    network.load_state_dict(loaded)
    unused = sorted(tensors.keys() - set(pairs.values()))
    if unused:
        logging.getLogger(__name__).warning("%s: the network has no place for %s", path, ", ".join(unused))
    return unused


def _read(path: str) -> dict[str, Tensor]:
    if not path_of(path).is_file():
        raise CheckpointError(f"{path}: no such weights file (backbone.weights)")
    if damaged := damage(path_of(path)):
        raise CheckpointError(f"{path}: not readable as weights: {damaged}; take another copy of it")
    try:
        with reading():
            read = torch.load(path_of(path), map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises half a dozen types for broken files
        raise CheckpointError(f"{path}: not readable as weights ({unreadable(error)})") from error
    tensors = read.get("state_dict", read) if isinstance(read, dict) else None
    if not isinstance(tensors, dict) or not is_state_dict(tensors):
        raise CheckpointError(f"{path}: not a state dict; save model.state_dict(), names to tensors")
    if fault := fault_of(tensors, path_of(path).stat().st_size):
        raise CheckpointError(f"{path}: {fault}; take another file")
    if bad := not_finite(tensors):
        raise CheckpointError(f"{path}: weights are not finite ({bad}); take another file")
    return dict(tensors)


def _by_name(own: Iterable[str], tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """The network's names to the file's where they are timm's; torchvision's ResNets have the same."""
    return {name: _plain(name) for name in own if _plain(name) in tensors}


def _by_order(own: Iterable[str], tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """The network's names to torchvision's of a MobileNetV2: both are one chain of the same layers.

    torchvision numbers the layers (``features.3.conv.1.0``, flat ``features.3.conv.3`` in old files), timm lists them in the
    order in which they run, so the n-th layer is the n-th layer.
    """
    ours, theirs = _layers(own), sorted(_layers(name for name in tensors if name.startswith("features.")), key=_numbers)
    layers = dict(zip(ours, theirs, strict=False))
    found = {name: f"{layers.get(_layer(name))}.{_last(name)}" for name in own}
    return {name: there for name, there in found.items() if there in tensors}


def _stem(own: Iterable[str]) -> str:
    return _plain(next(iter(own)))


def _plain(name: str) -> str:
    """timm's own name: without the part of the network that holds it."""
    return name.partition(".")[2]


def _layer(name: str) -> str:
    return name.rpartition(".")[0]


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _layers(names: Iterable[str]) -> list[str]:
    """The layers that hold tensors, once each."""
    return list(dict.fromkeys(_layer(name) for name in names))


def _numbers(layer: str) -> list[int]:
    """The numbers in a layer's name, for features.10 stands behind features.9."""
    return [int(part) for part in layer.split(".") if part.isdigit()]
