"""Which of many seeds start an instance; PersonLab §3.1, fast greedy decoding."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Selected(NamedTuple):
    """The instances that were started, best first."""

    poses: Tensor  # (B, P, K, 2) input px
    roots: Tensor  # (B, P) int64, the keypoint of the seed
    scores: Tensor  # (B, P) of the seed; 0 = nobody


def select_seeds(poses: Tensor, scores: Tensor, radius: float, count: int) -> Selected:
    """The P = ``count`` best seeds that no better one's pose explains.

    ``poses`` (B, K, M, K, 2), input px, are what the seeds of each keypoint grow into, ``scores`` (B, K, M) theirs, 0 where there
    is none. A seed within ``radius`` input px of the same keypoint of a better one's pose is dropped. One turn of the loop takes
    the best seed that is left: the queue of the paper, for all images at once.
    """
    b, k, m = scores.shape
    own = torch.arange(k, device=scores.device)
    seeds = poses[:, own, :, own].transpose(0, 1)  # (B, K, M, 2)
    flat = poses.flatten(1, 2)  # (B, K M, K, 2)
    left = scores.clone()
    chosen = []
    for _ in range(count):
        best, index = left.flatten(1).max(1)
        pose = flat.gather(1, index.view(b, 1, 1, 1).expand(-1, 1, k, 2)).transpose(1, 2)  # (B, K, 1, 2)
        near = (seeds - pose).square_().sum(-1) <= radius**2  # (B, K, M); the seed itself is
        left.masked_fill_(near, 0.0)
        chosen.append((pose, index, best))
    found, indices, best_scores = (torch.stack(parts, 1) for parts in zip(*chosen, strict=True))
    return Selected(found[..., 0, :], indices // m, best_scores)
