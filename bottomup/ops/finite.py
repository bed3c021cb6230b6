"""Weights that are numbers."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

_NAMED = 3  # tensors in a sentence


def not_finite(weights: Mapping[str, Tensor]) -> str:
    """Which of these tensors hold values that are infinite or not a number, in words; empty where none does."""
    bad = [name for name, tensor in weights.items() if not bool(_wide(tensor).isfinite().all())]
    return ", ".join(bad[:_NAMED]) + (f" and {len(bad) - _NAMED} more" if len(bad) > _NAMED else "")


def _wide(tensor: Tensor) -> Tensor:
    """Numbers of 8 bits as others, which PyTorch can ask."""
    return tensor.float() if tensor.is_floating_point() and tensor.element_size() == 1 else tensor
