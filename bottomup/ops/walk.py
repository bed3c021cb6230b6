"""Walking a skeleton's tree from any keypoint, along fields of offsets; PersonLab §3.1, fast greedy decoding."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from bottomup.skeletons import Skeleton

Step = Callable[[Tensor, Tensor], Tensor]  # (points (B, ..., 2) input px, directed edges (...)) -> where they lead


class Stride(NamedTuple):
    """The edges that are as many steps from the root, for every root; rows are padded with an edge back to where it starts."""

    edges: Tensor  # (K, S) directed edge
    sources: Tensor  # (K, S) keypoint it leaves
    ends: Tensor  # (K, S) keypoint it reaches; K itself where padding


def strides(skeleton: Skeleton) -> list[Stride]:
    """The walks from every keypoint as root, nearest edges first."""
    by_depth: list[list[list[tuple[int, int, int]]]] = []  # depth, root, edges
    for root in range(len(skeleton)):
        for source, end in _walk_order(skeleton, root):
            depth = skeleton.steps[root][source]
            while len(by_depth) <= depth:
                by_depth.append([[] for _ in range(len(skeleton))])
            by_depth[depth][root].append((skeleton.directed.index((source, end)), source, end))
    return [_padded(rows, len(skeleton)) for rows in by_depth]


def _walk_order(skeleton: Skeleton, root: int) -> list[tuple[int, int]]:
    """The directed edges that lead away from ``root``."""
    steps = skeleton.steps[root]
    return [(a, b) for a, b in skeleton.directed if steps[b] == steps[a] + 1]


def _padded(rows: list[list[tuple[int, int, int]]], nowhere: int) -> Stride:
    most = max(len(row) for row in rows)
    table = torch.tensor([row + [(0, 0, nowhere)] * (most - len(row)) for row in rows])
    return Stride(*table.unbind(-1))


def walk(seeds: Tensor, plan: list[Stride], step: Step) -> Tensor:
    """Walk from all seeds (B, K, M, 2), input px, at once: the poses (B, K, M, K, 2) that they grow into.

    ``plan`` is that of ``strides``. The loop goes over distances from the root, eight for COCO's tree.
    """
    b, k, m, _ = seeds.shape
    poses = seeds.new_zeros(b, k, m, k + 1, 2)  # the last takes what padding writes
    own = torch.arange(k, device=seeds.device)
    poses[:, own, :, own] = seeds.transpose(0, 1)
    for edges, sources, ends in (Stride(*(table.to(seeds.device) for table in stride)) for stride in plan):
        from_here = sources[None, :, None, :, None].expand(b, -1, m, -1, 2)
        reached = step(poses.gather(3, from_here), edges[:, None].expand(-1, m, -1))
        poses.scatter_(3, ends[None, :, None, :, None].expand(b, -1, m, -1, 2), reached)
    return poses[..., :k, :]
