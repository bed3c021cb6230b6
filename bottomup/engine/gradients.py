"""Whose gradient the backbone gets: how heads that are trained at once weigh against each other."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn


@contextlib.contextmanager
def features_of(backbone: nn.Module) -> Iterator[list[Tensor]]:
    """The features of the last stage of every forward of a backbone inside this context, as its readers get them.

    They are views of their own, so that a gradient with respect to them ends there: not even a coarser level's passes on
    through the backbone to a finer one.
    """
    features: list[Tensor] = []

    def watch(module: nn.Module, inputs: Any, stages: list[dict[str, Tensor]]) -> list[dict[str, Tensor]]:
        last = {level: maps.view_as(maps) for level, maps in stages[-1].items()}
        features[:] = last.values()
        return [*stages[:-1], last]

    handle = backbone.register_forward_hook(watch)
    try:
        yield features
    finally:
        handle.remove()


def gradient_shares(losses: Mapping[str, Tensor], features: list[Tensor]) -> dict[str, Tensor]:
    """Each head's share of the gradient that enters the backbone: its norm over the sum of all heads' norms, a scalar each.

    ``losses`` are the heads' weighted losses (B,). One backward pass a head, through heads and necks alone. Heads that give the
    features no gradient have none; empty where no two meet there.
    """
    shared = [maps for maps in features if maps.requires_grad]
    own = {name: loss for name, loss in losses.items() if loss.requires_grad} if shared else {}
    found = {name: torch.autograd.grad(loss.mean(), shared, retain_graph=True, allow_unused=True) for name, loss in own.items()}
    norms = {name: _norm(gradients) for name, gradients in found.items() if any(part is not None for part in gradients)}
    if len(norms) < 2:
        return {}
    total = torch.stack(list(norms.values())).sum()
    return {name: norm / total for name, norm in norms.items()}


def _norm(gradients: tuple[Tensor | None, ...]) -> Tensor:
    """The norm of several gradients together, a scalar."""
    return torch.stack([own.float().square().sum() for own in gradients if own is not None]).sum().sqrt()
