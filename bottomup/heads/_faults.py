"""Faults that true keypoints are given, for what is to read predictions but trains on labels alone."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bottomup.types import Batch

_DOUBT = 0.5  # how far below 1 a true score may lie, and how high a false one


@dataclass(frozen=True)
class Faults:
    """True keypoints moved by deviates of ``jitter`` sizes, lost at a rate of ``misses``, and joined by ``false_peaks``."""

    jitter: float = 0.0
    misses: float = 0.0
    false_peaks: float = 0.0

    def __call__(self, candidates: Tensor, batch: Batch) -> Tensor:
        """Faulty candidates (B, K, M, 3) of true ones (B, K, N, 3); as they are where no fault is set."""
        if not (self.jitter or self.misses or self.false_peaks):
            return candidates
        points, scores = candidates.split((2, 1), dim=-1)
        points = points + torch.randn_like(points) * self.jitter * batch.areas.sqrt()[:, None, :, None]
        kept = torch.rand_like(scores) >= self.misses
        scores = scores * kept * (1 - _DOUBT * torch.rand_like(scores))
        faulty = torch.cat((points, scores), dim=-1)
        return torch.cat((faulty, self._false(batch)), dim=2) if self.false_peaks else faulty

    def _false(self, batch: Batch) -> Tensor:
        """(B, K, N, 3) candidates anywhere in people's boxes."""
        b, n, k = batch.visibility.shape
        corner, sides = batch.boxes[:, None, :, :2], (batch.boxes[..., 2:] - batch.boxes[..., :2])[:, None]
        points = corner + sides * torch.rand(b, k, n, 2, device=batch.boxes.device)
        drawn = torch.rand(b, k, n, 1, device=batch.boxes.device)
        there = (drawn < self.false_peaks) & batch.present[:, None, :, None]
        return torch.cat((points, there * _DOUBT * torch.rand_like(drawn)), dim=-1)
