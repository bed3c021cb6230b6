"""PyTorch files that other programs wrote: their tensors by name, and nothing of them run."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bottomup.checkpoint import is_own
from bottomup.errors import CheckpointError
from bottomup.ops.archives import damage
from bottomup.ops.finite import not_finite
from bottomup.ops.plain import fault_of, is_state_dict
from bottomup.ops.unreadable import reading, unreadable
from bottomup.paths import path_of

_WRAPPED = re.compile(r"(?:(?:model|module|1)\.)+")  # what wrappers put before all names: a trainer, data parallel, half precision

# Beside tensors such files hold a best score or a learning rate as NumPy's numbers, under the names of either of its versions.
_SCALAR = np._core.multiarray.scalar  # type: ignore[attr-defined]  # only pickles name it
_NUMBERS: list[Any] = [
    (_SCALAR, "numpy.core.multiarray.scalar"),
    (_SCALAR, "numpy._core.multiarray.scalar"),
    np.dtype,
    *{type(np.dtype(kind)) for kind in "?bhilqBHILQefd"},
]


@dataclass(frozen=True)
class Published:
    """The tensors of a file by name, on the CPU, in float32 where they are no whole numbers."""

    path: str
    tensors: dict[str, Tensor]
    wrapping: str = ""  # what the file has before every name

    def __contains__(self, name: str) -> bool:
        return name in self.tensors

    def matching(self, pattern: str) -> list[str]:
        """The names that match a regular expression as a whole, in the file's order."""
        return [name for name in self.tensors if re.fullmatch(pattern, name)]

    def expect(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """The tensor of that name; CheckpointError where there is none, or one of another shape."""
        found = tuple(self.tensors[name].shape) if name in self.tensors else None
        if found != shape:
            raise self.differs(name, shape, found)
        return self.tensors[name]

    def size(self, name: str, axis: int = 0) -> int:
        """How long an axis of a tensor is; CheckpointError where there is no such tensor, or it has not so many axes."""
        if name not in self.tensors:
            raise self.differs(name, "such a tensor", None)
        shape = tuple(self.tensors[name].shape)
        if len(shape) <= axis:
            raise self.differs(name, f"at least {axis + 1} axes", shape)
        return shape[axis]

    def differs(self, name: str, expected: object, found: object) -> CheckpointError:
        """The error that says where the file is not what an importer expects; ``found`` is None where there is nothing."""
        said = "none" if found is None else found
        return CheckpointError(
            f"{self.path}: {self.wrapping}{name}: expected {expected}, found {said}; is it another network's file?"
        )


def read_published(path: str | Path) -> Published:
    """Read a state dict, or a training's file that has one under ``state_dict``.

    CheckpointError names what is wrong with the file: missing, cut short, no state dict, not finite, a checkpoint of bottomup's.
    """
    read = _load(path)
    if is_own(read):
        raise CheckpointError(f"{path}: a checkpoint of bottomup's already; use it as weights={path}")
    tensors = read.get("state_dict", read) if isinstance(read, Mapping) else None
    if not is_state_dict(tensors):
        raise CheckpointError(f"{path}: holds no state dict; expected names with tensors, or such under the name state_dict")
    if fault := fault_of(tensors, path_of(path).stat().st_size):
        raise CheckpointError(f"{path}: {fault}; take another file")
    tensors = {name: _full(tensor) for name, tensor in tensors.items()}
    if bad := not_finite(tensors):
        raise CheckpointError(f"{path}: weights are not finite ({bad}); take another file")
    wrapping = _wrapping(list(tensors))
    return Published(str(path), {name.removeprefix(wrapping): tensor for name, tensor in tensors.items()}, wrapping)


def _load(path: str | Path) -> object:
    """What a file holds; nothing in it but tensors, plain data and NumPy's numbers is made."""
    file = path_of(path)
    if not file.is_file():
        raise CheckpointError(f"{file}: no such file of published weights")
    if damaged := damage(file):
        raise CheckpointError(f"{file}: not readable as PyTorch weights: {damaged}; take another copy of it")
    mapped = zipfile.is_zipfile(file)  # so that an optimiser's tensors beside the weights are never read
    try:
        with reading(), torch.serialization.safe_globals(_NUMBERS):
            return torch.load(file, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as error:  # torch raises half a dozen types for broken files
        raise CheckpointError(
            f"{file}: not readable as PyTorch weights, it may be cut short, of another program, or hold more than tensors "
            f"({unreadable(error)}); give a whole file, of its state dict alone"
        ) from error


def _wrapping(names: list[str]) -> str:
    """What wrappers put before all of the names."""
    found = _WRAPPED.match(names[0])
    return found.group() if found and all(name.startswith(found.group()) for name in names) else ""


def _full(tensor: Tensor) -> Tensor:
    return tensor.detach().float() if tensor.is_floating_point() else tensor.detach()
