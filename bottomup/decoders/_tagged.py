"""Peaks with their tags, the whole maps of an image, and the people that both are put together into: Associative Embedding §3.3."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bottomup.geometry import Grid
from bottomup.ops.peaks import Refinement, refine_peaks
from bottomup.ops.tag_maps import best_cells

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Candidates:
    """The peaks of one image, best first for each keypoint."""

    scores: Floats  # (K, M) in [0, 1], 0 = none
    points: Floats  # (K, M, 2) input px
    tags: Floats  # (K, M, D)

    def within(self, k: int, low: float, high: float = np.inf) -> Candidates:
        """Those of keypoint ``k`` with low <= score < high, without the axis K."""
        chosen = (self.scores[k] >= low) & (self.scores[k] < high) & (self.scores[k] > 0)
        return Candidates(self.scores[k][chosen], self.points[k][chosen], self.tags[k][chosen])


@dataclass(frozen=True)
class Maps:
    """The whole maps of one image."""

    heatmap: Tensor  # (K, h, w), 0 in the padding
    tags: Tensor  # (K, D, h, w)
    grid: Grid  # of both
    content: Tensor  # (4,) xyxy input px

    def best(self, lacking: NDArray[np.bool_], means: Floats, least: float, refine: Refinement) -> tuple[Floats, Floats]:
        """Where in input px (P, K, 2) people of mean tags (P, D) have keypoints that they are ``lacking`` (P, K), and the heatmap
        there (P, K); NaN and 0 where they lack none or there is none."""
        people, kinds = torch.from_numpy(lacking).nonzero().T
        scores, cells = torch.zeros(lacking.shape), torch.zeros(*lacking.shape, 2)
        found, values = best_cells(self.heatmap, self.tags, kinds, torch.from_numpy(means)[people], least)
        scores[people, kinds], cells[people, kinds] = values.clamp(max=1.0), found.float()
        placed = refine_peaks(self.heatmap[None], cells.transpose(0, 1)[None], refine)[0].transpose(0, 1)
        points = self.grid.to_input(placed).clamp(self.content[:2], self.content[2:])
        return torch.where(scores[..., None] > 0, points, torch.nan).numpy(), scores.numpy()


class Pool:
    """The people found so far in one image: room for P of them, K keypoints each."""

    def __init__(self, room: int, keypoints: int, tag_size: int) -> None:
        self.count = 0
        self.scores = np.zeros((room, keypoints), np.float32)
        self.points = np.full((room, keypoints, 2), np.nan, np.float32)
        self._tag_sums = np.zeros((room, tag_size), np.float32)
        self._tags = np.zeros((room, 1), np.float32)  # how many were summed

    def mean_tags(self, people: NDArray[np.intp] | slice) -> Floats:
        """The mean tag (P, D) of each person's keypoints so far."""
        means: Floats = self._tag_sums[people] / self._tags[people]
        return means

    def add(self, k: int, people: NDArray[np.intp], found: Candidates, chosen: NDArray[np.intp]) -> None:
        """Give keypoint ``k`` to ``people``, one of ``found`` each."""
        self.scores[people, k] = found.scores[chosen]
        self.points[people, k] = found.points[chosen]
        self._tag_sums[people] += found.tags[chosen]
        self._tags[people] += 1

    def start(self, k: int, found: Candidates, chosen: NDArray[np.intp]) -> None:
        """Start a person from each of ``chosen``, as far as there is room."""
        chosen = chosen[: len(self.scores) - self.count]
        people = np.arange(self.count, self.count + len(chosen))
        self.count += len(chosen)
        self.add(k, people, found, chosen)
