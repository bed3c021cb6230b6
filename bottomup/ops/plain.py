"""What a file of weights may hold: plain data, and tensors with all their numbers in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeGuard

import torch
from torch import Tensor

_DEEPEST = 32  # levels of lists and mappings
_REPEATED, _ALWAYS = 4, 1 << 34  # times the bytes of a file, and bytes, that its tensors may come to where several share theirs


def is_plain_data(value: object, deep: int = _DEEPEST) -> bool:
    """Whether a value is text, numbers, truths and nothing, in lists and mappings by name of such, at most ``deep``."""
    if value is None or isinstance(value, (str, int, float, bool)):
        return True
    if deep == 0:
        return False
    if isinstance(value, Mapping):
        return all(isinstance(name, str) and is_plain_data(entry, deep - 1) for name, entry in value.items())
    return isinstance(value, (list, tuple)) and all(is_plain_data(entry, deep - 1) for entry in value)


def is_state_dict(value: object) -> TypeGuard[Mapping[str, Tensor]]:
    """Whether a value is names with tensors, and one at least."""
    if not isinstance(value, Mapping) or not value:
        return False
    return all(isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in value.items())


def is_plain(tensor: Tensor) -> bool:
    """Whether a tensor holds all its real numbers: it is neither sparse, quantised or complex, nor a shape alone."""
    if tensor.layout != torch.strided or tensor.is_meta or tensor.is_quantized or tensor.is_complex():
        return False
    return tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes()  # one that repeats itself can be of any size


def described(tensor: Tensor) -> str:
    """What a tensor is that is not plain."""
    return f"{tuple(tensor.shape)} of {tensor.dtype}, {tensor.layout}, on {tensor.device}"


def fault_of(tensors: Mapping[str, Tensor], held: int) -> str | None:
    """What keeps tensors from being those of a file of ``held`` bytes, in words; nothing of them is read, so any size is safe."""
    for name, tensor in tensors.items():
        if not is_plain(tensor):
            return f"{name}: expected real numbers, each in the file, found {described(tensor)}"
        if tensor.untyped_storage().nbytes() > held:
            return f"{name} has {tensor.untyped_storage().nbytes()} bytes, the file {held}"
    if sum(tensor.numel() * tensor.element_size() for tensor in tensors.values()) > max(_REPEATED * held, _ALWAYS):
        return "its tensors come to more than the bytes of the file"
    return None
