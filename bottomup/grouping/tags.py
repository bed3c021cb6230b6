"""Candidates of every keypoint put together into people by their tags: Associative Embedding §3.3."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from bottomup.errors import ConfigError
from bottomup.grid import Grid
from bottomup.grouping.found import Arrays, Decoded, Field, Floats, Found, HostFrame, best_first, inside
from bottomup.grouping.matching import assign
from bottomup.grouping.peak_places import Refinement
from bottomup.grouping.suppression import oks_nms
from bottomup.grouping.tagged import Candidates, Maps, Pool
from bottomup.skeletons import Skeleton

InstanceScore = Literal["all", "found"]
Ties = Literal["nearer", "earlier"]

_PER_UNIT = 100.0  # cost of a whole unit of tag distance: more than any difference of scores, which are at most 1
# Cost of a square unit of the unrounded distance: it settles ties alone. Squared, as two tags of one number on the same side of
# two people's come to the same sum of distances either way round, and the last digit would say whose is whose; the sum of squares
# is the least where the order of the tags is that of the people.
_NEARER: dict[Ties, float] = {"nearer": 1e-3, "earlier": 0.0}


@dataclass(frozen=True, kw_only=True)
class TagGrouping:
    """The sequential part of the decoder ``associative_embedding``, whose docstring says what the options are."""

    fields: ClassVar[Mapping[str, Field]] = {
        "scores": Field("B K M", "in [0, 1]", "of the best peaks, best first; 0 is none"),
        "points": Field("B K M 2", "input px", "where they are"),
        "tags": Field("B K M D", "tag distance", "which tags they carry"),
        "shared_scores": Field("B K M", "in [0, 1]", "of the keypoint that each peak hides; 0 where it hides none"),
        "shared_points": Field("B K M 2", "input px", "where that is"),
        "shared_tags": Field("B K M D", "tag distance", "which tag it carries"),
        "heatmap": Field("B K h w", "in [0, 1]", "the whole heatmap, 0 in the padding; with fill_from=map"),
        "tag_maps": Field("B K D h w", "tag distance", "the whole maps of tags, on the same cells; with fill_from=map"),
    }

    skeleton: Skeleton
    max_people: int
    detection_threshold: float
    tag_threshold: float
    refine: Refinement
    fill_threshold: float | None
    whole_map: bool
    instance_score: InstanceScore
    nms_threshold: float | None
    shared_peaks: bool
    ties: Ties
    stride: int | None

    def __post_init__(self) -> None:
        if self.fill_threshold is not None and self.fill_threshold >= self.detection_threshold:
            raise ConfigError(
                "decoder associative_embedding: fill_threshold should be null or in [0, detection_threshold), "
                f"[0, {self.detection_threshold}), got {self.fill_threshold}"
            )

    def __call__(self, arrays: Arrays, frame: HostFrame) -> list[Decoded]:
        """Group each image's peaks; points are kept inside the content."""
        peaks = _candidates(arrays, "", frame)
        shared = _candidates(arrays, "shared_", frame) if self.shared_peaks else [None] * len(peaks)
        maps = self._whole_maps(arrays, frame) if self.whole_map else [None] * len(peaks)
        return [Decoded(self._people(*image)) for image in zip(peaks, shared, maps, strict=True)]

    def _whole_maps(self, arrays: Arrays, frame: HostFrame) -> list[Maps]:
        """The whole maps of each image, which lie on one grid."""
        grid = frame.grid("heatmap") if self.stride is None else Grid.centred(self.stride)
        images = zip(arrays["heatmap"], arrays["tag_maps"], frame.content, strict=True)
        return [Maps(heatmap, tags, grid, content) for heatmap, tags, content in images]

    def _people(self, candidates: Candidates, shared: Candidates | None, maps: Maps | None) -> Found:
        pool = self._group(candidates)
        if shared is not None:
            self._complete(pool, shared, self.detection_threshold)
        scores = self._scores(pool.scores[: pool.count])  # before filling, as in the reference
        if self.fill_threshold is not None:
            if maps is not None:
                self._fill(pool, maps, self.fill_threshold)
            else:
                self._complete(pool, candidates, self.fill_threshold, self.detection_threshold)
        order = best_first(scores)
        found = Found.of_keypoints(*(part[order] for part in (pool.points, pool.scores, scores)))
        found = replace(found, tags=pool.mean_tags(slice(pool.count))[order])
        if self.nms_threshold is None:
            return found
        return found[oks_nms(found, self.skeleton.sigmas, self.nms_threshold)]

    def _group(self, candidates: Candidates) -> Pool:
        """Match keypoint after keypoint; a loop, as each depends on whom those before it have found."""
        pool = Pool(self.max_people, len(self.skeleton), candidates.tags.shape[-1])
        for k in self.skeleton.grouping:
            found = candidates.within(k, self.detection_threshold)
            chosen, people = self._match(found, pool.mean_tags(slice(pool.count)))
            pool.add(k, people, found, chosen)
            unmatched = np.ones(len(found.scores), bool)
            unmatched[chosen] = False
            pool.start(k, found, np.flatnonzero(unmatched))
        return pool

    def _complete(self, pool: Pool, candidates: Candidates, low: float, high: float = np.inf) -> None:
        """Give candidates of low <= score < high to people who lack them; no one starts, and the tags as grouped decide."""
        tags = pool.mean_tags(slice(pool.count))
        for k in self.skeleton.grouping:
            lacking = np.flatnonzero(pool.scores[: pool.count, k] == 0)
            found = candidates.within(k, low, high)
            chosen, people = self._match(found, tags[lacking])
            pool.add(k, lacking[people], found, chosen)

    def _fill(self, pool: Pool, maps: Maps, least: float) -> None:
        """Give who lacks a keypoint the cell of the whole map that suits best; all at once, as nobody takes it from another."""
        points, scores = pool.points[: pool.count], pool.scores[: pool.count]
        lacking = scores == 0
        if lacking.any():
            filled = maps.best(lacking, pool.mean_tags(slice(pool.count)), least, self.refine)
            points[lacking], scores[lacking] = (part[lacking] for part in filled)

    def _match(self, found: Candidates, tags: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Pair candidates (C,) with people of ``tags`` (P, D): indices of both, the best total of tag distance and score.

        Distances count in whole units (pose-ae-train): nearer than half a unit all are as good, and the score decides.
        Candidates are the rows, along which their score is constant: the solver is then several times as fast.
        """
        apart = cdist(found.tags, tags)  # (C, P); NaN for a diverged network's tags, which match no one
        cost = np.round(apart) * _PER_UNIT - found.scores[:, None] + np.square(apart) * _NEARER[self.ties]
        return assign(cost, apart < self.tag_threshold)

    def _scores(self, scores: Floats) -> Floats:
        """(P,) mean keypoint score of each person."""
        counted = scores.shape[1] if self.instance_score == "all" else (scores > 0).sum(1)
        means: Floats = (scores.sum(1) / counted).astype(np.float32)
        return means


def _candidates(arrays: Arrays, prefix: str, frame: HostFrame) -> list[Candidates]:
    """The candidates of each image, kept inside its content."""
    parts = (arrays[prefix + name] for name in ("scores", "points", "tags"))
    images = zip(*parts, frame.content, strict=True)
    return [Candidates(scores.clip(max=1.0), inside(points, content), tags) for scores, points, tags, content in images]
