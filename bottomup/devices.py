"""The device that a name means, and what comes to a device without anybody waiting for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from bottomup.errors import ConfigError


def constant(values: Sequence[Any], like: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """A tensor of few known numbers on the device of ``like``, and of its type unless another is said, which nobody waits for.

    ``like.new_tensor`` waits until a GPU has done all that it was given before.
    """
    return torch.tensor(values, dtype=dtype or like.dtype).to(like.device, non_blocking=True)


def beside(tensor: Tensor, like: Tensor) -> Tensor:
    """A small tensor of the host's, or one that is there already, on the device of ``like``; nobody waits until it is there."""
    return tensor.to(like.device, non_blocking=True)


def on_host(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of one device in the host's memory, for all of which it is waited once."""
    moved = {name: tensor.to("cpu", non_blocking=True) for name, tensor in tensors.items()}
    for device in {tensor.device for tensor in tensors.values() if tensor.is_cuda}:
        torch.cuda.current_stream(device).synchronize()
    return moved


def device_of(name: str | torch.device) -> torch.device:
    """The device of torch's that is meant; ConfigError for what is none, and where this machine has no such."""
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError):
        raise ConfigError(f"device is cpu or cuda, got {name!r}") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"device={name}, but torch finds no CUDA device; run `bottomup doctor`, or use device=cpu")
    return device
