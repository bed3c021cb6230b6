"""Peaks with their tags, the whole maps of an image, and the people that both are put together into: Associative Embedding §3.3."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bottomup.grid import Grid
from bottomup.grouping.found import Floats, inside
from bottomup.grouping.peak_places import Refinement, refined


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

    heatmap: Floats  # (K, h, w), 0 in the padding
    tags: Floats  # (K, D, h, w)
    grid: Grid  # of both
    content: Floats  # (4,) xyxy input px

    def best(self, lacking: NDArray[np.bool_], means: Floats, least: float, refine: Refinement) -> tuple[Floats, Floats]:
        """Where in input px (P, K, 2) people of mean tags (P, D) have keypoints that they are ``lacking`` (P, K), and the heatmap
        there (P, K); NaN and 0 where they lack none or there is none."""
        people, kinds = np.nonzero(lacking)
        scores, points = np.zeros(lacking.shape, np.float32), np.full((*lacking.shape, 2), np.nan, np.float32)
        cells, values = best_cells(self.heatmap, self.tags, kinds, means[people], least)
        scores[people, kinds] = values.clip(max=1.0)
        there = values > 0
        placed = refined(self.heatmap, kinds[there], cells[there], refine)
        points[people[there], kinds[there]] = inside(self.grid.to_input(placed), self.content)
        return points, scores


def best_cells(
    heatmap: Floats, tags: Floats, kinds: NDArray[np.intp], means: Floats, least: float
) -> tuple[NDArray[np.int64], Floats]:
    """Of each of S missing keypoints the cell of the greatest heatmap value less the tag distance in whole units.

    ``heatmap`` (K, h, w) and ``tags`` (K, D, h, w) are of one image, ``kinds`` (S,) says which keypoint is missing and
    ``means`` (S, D) the mean tag of who misses it. Cells count whose heatmap is positive and at least ``least``. Returns the cells
    (S, 2), x, y, and their heatmap values (S,), 0 where no cell counts.
    """
    w = heatmap.shape[-1]
    heat, flat = heatmap.reshape(len(heatmap), -1), tags.reshape(*tags.shape[:2], -1)
    counted = (heat >= least) & (heat > 0) & np.isfinite(heat) & np.isfinite(flat).all(1)  # a diverged network's tags fit nobody
    heat, flat = np.where(counted, heat, -np.inf), np.where(counted[:, None], flat, 0.0)
    best = [_best(heat[k], flat[k], mean) for k, mean in zip(kinds, means, strict=True)]
    index = np.array([cell for cell, _ in best], np.int64)
    values = np.array([heat[k, cell] if found else 0.0 for k, (cell, found) in zip(kinds, best, strict=True)], np.float32)
    return np.stack((index % w, index // w), axis=-1), values


def _best(heat: Floats, tags: Floats, mean: Floats) -> tuple[int, bool]:
    """Which of the cells of heat (hw,) and tags (D, hw) fits a mean tag (D,) best, and whether any does.

    One mean after another, in a third of the time of all at once, which a core's cache does not hold.
    """
    apart = tags - mean[:, None]
    apart = np.abs(apart[0]) if len(apart) == 1 else np.sqrt(np.square(apart).sum(0))
    fit = heat - np.round(apart)
    index = int(fit.argmax())
    return index, bool(np.isfinite(fit[index]))


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
