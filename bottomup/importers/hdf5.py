"""State dicts in HDF5: one dataset a tensor, as MultiPoseNet.pytorch writes them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bottomup.errors import CheckpointError
from bottomup.importers.published import Published
from bottomup.ops.finite import not_finite
from bottomup.paths import path_of

_PARALLEL = "module."  # what data parallel training puts before all names
_DEFLATED = 1032  # times that compression makes data smaller, at the most
_NUMBERS = "fiu"  # kinds of NumPy's dtypes


def read_hdf5(path: str | Path) -> Published:
    """Read a state dict from an HDF5 file; needs h5py, the extra ``hdf5``.

    CheckpointError names what is wrong with the file: missing, cut short, of another layout, not numbers, not finite.
    """
    file = path_of(path)
    if not file.is_file():
        raise CheckpointError(f"{file}: no such file of published weights")
    tensors = dict(_read(file))
    if not tensors:
        raise CheckpointError(f"{file}: holds no tensors; expected one dataset for each of a state dict")
    if bad := not_finite(tensors):
        raise CheckpointError(f"{file}: weights are not finite ({bad}); take another file")
    wrapping = _PARALLEL if all(name.startswith(_PARALLEL) for name in tensors) else ""
    return Published(str(path), {name.removeprefix(wrapping): tensor for name, tensor in tensors.items()}, wrapping)


def _read(file: Path) -> Iterator[tuple[str, Tensor]]:
    """Every dataset by its name, in float32 where it is of no whole numbers."""
    h5py = _h5py(file)
    try:
        with h5py.File(file, "r") as opened:
            for name in opened:
                yield name, _tensor(_dataset(h5py, opened, name, file))
    except (OSError, KeyError, RuntimeError, UnicodeError) as error:  # h5py's for files that are cut short or of another kind
        raise CheckpointError(f"{file}: not readable as HDF5, it may be cut short or of another program ({error})") from error


def _h5py(file: Path) -> Any:
    try:
        import h5py
    except ImportError as error:
        raise CheckpointError(f"{file}: HDF5 is read by h5py, which is not installed: pip install 'bottomup[hdf5]'") from error
    return h5py


def _dataset(h5py: Any, opened: Any, name: str, file: Path) -> Any:
    """A dataset of numbers in this very file, whose bytes are all there."""
    if not isinstance(opened.get(name, getlink=True), h5py.HardLink):
        raise CheckpointError(f"{file}: {name} is a link to somewhere else; expected a dataset")
    found = opened[name]
    if not isinstance(found, h5py.Dataset):
        raise CheckpointError(f"{file}: {name} is a group, as Keras writes; expected one dataset for each tensor of a state dict")
    if found.dtype.kind not in _NUMBERS or found.shape is None:
        raise CheckpointError(f"{file}: {name} holds {found.dtype if found.shape is not None else 'nothing'}, expected numbers")
    most = found.id.get_storage_size() * (1 if found.compression is None else _DEFLATED)
    if found.is_virtual or found.external is not None or found.nbytes > most:
        raise CheckpointError(f"{file}: {name} has {found.nbytes} bytes, which are not all in the file; is it whole?")
    return found


def _tensor(dataset: Any) -> Tensor:
    values = np.asarray(dataset)
    whole = values.dtype.kind != "f"
    return torch.from_numpy(values.astype(np.int64 if whole else np.float32, copy=False))
