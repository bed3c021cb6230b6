"""The device that a name means."""

from __future__ import annotations

import torch

from bottomup.errors import ConfigError


def device_of(name: str | torch.device) -> torch.device:
    """The device of torch's that is meant; ConfigError for what is none, and where this machine has no such."""
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError):
        raise ConfigError(f"device is cpu or cuda, got {name!r}") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"device={name}, but torch finds no CUDA device; run `bottomup doctor`, or use device=cpu")
    return device
