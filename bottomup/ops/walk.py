"""Walking a skeleton's tree from any keypoint, along fields of offsets; PersonLab §3.1, fast greedy decoding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from bottomup.errors import ConfigError
from bottomup.skeletons import Skeleton

Step = Callable[[Tensor, Tensor], Tensor]  # (points (B, ..., 2) input px, directed edges (...)) -> where they lead


class Stride(NamedTuple):
    """The edges that are as many steps from the root, for every root. Root r's keypoint k is counted as r·K + k."""

    edges: Tensor  # (S,) directed edge
    sources: Tensor  # (S,) keypoint it leaves
    ends: Tensor  # (S,) keypoint it reaches


class Plan:
    """The strides of walks, nearest edges first, on every device that has asked for them: they are sent there once."""

    def __init__(self, strides: Sequence[Stride]) -> None:
        self._strides = tuple(strides)
        self._sent: dict[torch.device, tuple[Stride, ...]] = {}

    def on(self, device: torch.device) -> tuple[Stride, ...]:
        """The strides on a device; nobody waits until they are there."""
        if device.type == "cpu":
            return self._strides
        if device not in self._sent:
            self._sent[device] = tuple(Stride(*(part.to(device, non_blocking=True) for part in own)) for own in self._strides)
        return self._sent[device]


def walkable(skeleton: Skeleton | None, decoder: str) -> Skeleton:
    """A task's skeleton, which a ``decoder`` of that name walks; ConfigError where there is none, or none with edges."""
    if skeleton is None or not skeleton.edges:
        raise ConfigError(
            f"decoder {decoder} walks the skeleton's tree; this task has none: train on a data set whose skeleton has edges, or "
            "take another decoder="
        )
    return skeleton


def strides(skeleton: Skeleton) -> Plan:
    """The walks from every keypoint as root."""
    count = len(skeleton)
    by_depth: dict[int, list[tuple[int, int, int]]] = {}
    for root in range(count):
        steps = skeleton.steps[root]
        for edge, (source, end) in enumerate(skeleton.directed):
            if steps[end] == steps[source] + 1:  # it leads away from the root
                by_depth.setdefault(steps[source], []).append((edge, root * count + source, root * count + end))
    return Plan([Stride(*torch.tensor(by_depth[depth]).unbind(-1)) for depth in sorted(by_depth)])


def walk(seeds: Tensor, plan: Plan, step: Step) -> Tensor:
    """Walk from all seeds (B, K, M, 2), input px, at once: the poses (B, K, M, K, 2) that they grow into.

    ``plan`` is that of ``strides``. The loop goes over distances from the root, eight for COCO's tree.
    """
    b, k, m, _ = seeds.shape
    own = torch.arange(k, device=seeds.device)
    poses = seeds.new_zeros(b, k * k, m, 2)
    poses[:, own * k + own] = seeds
    for edges, sources, ends in plan.on(seeds.device):
        poses[:, ends] = step(poses[:, sources], edges[:, None].expand(-1, m))
    return poses.view(b, k, k, m, 2).transpose(2, 3)
