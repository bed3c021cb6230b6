"""Peaks of the heatmaps, grouped into people by their tags: Associative Embedding §3.3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from torch import Tensor

from bottomup.errors import ConfigError
from bottomup.geometry import Grid
from bottomup.ops.matching import assign
from bottomup.ops.peaks import Peaks, Refinement, find_peaks, refine_peaks
from bottomup.ops.sampling import gather_maps
from bottomup.ops.suppression import oks_nms
from bottomup.options import Options
from bottomup.shapes import check_shape
from bottomup.stages import DECODERS, Decoder, probability, probability_grid
from bottomup.types import Frame, Instances, Outputs, Prediction, Task

Distance = Literal["l2", "rms"]
InstanceScore = Literal["all", "found"]
Floats = NDArray[np.float32]

_PER_UNIT = 100.0  # cost of a whole unit of tag distance: more than any difference of scores, which are at most 1
_NEARLY = 0.8  # of a peak's score: its four neighbours, where two keypoints a cell apart share it; a gaussian of 2 cells has 0.88
_NEARER = 1e-3  # cost of a unit of the unrounded distance: it settles only what rounding and scores leave tied


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


@DECODERS.register
class AssociativeEmbedding(Decoder):
    """Grouping by tags, Associative Embedding §3.3; what the paper leaves open is as in its reference, pose-ae-train.

    Keypoint by keypoint, head and torso first, the peaks of at least ``detection_threshold`` are matched to the people so
    far, whose tag is the mean of their keypoints' tags. Tags match if nearer than ``tag_threshold``; ``distance`` is "l2", their
    euclidean distance, or "rms", that divided by √D (the reference). Who matches no one starts a new person, up to
    ``max_people``, which is also how many peaks of each keypoint are read. ``window`` is the side of a peak's neighbourhood
    in cells (reference 3, HigherHRNet 5); ``refine`` says where between the cells it lies, see ``ops.peaks.refine_peaks``.
    ``instance_score`` is the mean keypoint score over "all" keypoints, a missing one counting 0, or over the "found".

    Where two people's keypoints lie a cell apart they share one peak; with ``shared_peaks`` its neighbour that carries
    another tag completes, after the grouping, who matches it and lacks that keypoint, but starts no one (not in the paper; the
    reference gives both people that peak when it fills them).

    Deviates from the reference: pairs of tags beyond the threshold take no part in the matching, and its ties go to the nearer
    tag. It fills every missing keypoint with the best of the whole map; here ``fill_threshold`` lets weaker peaks, down to that
    score, complete people after the grouping by the same matching, without changing their score; None, the default, as the
    paper, fills nothing. ``nms_threshold`` drops instances with an OKS above it to a better one; the paper has none, None.
    """

    def __init__(
        self,
        task: Task,
        *,
        max_people: int = 30,
        window: int = 3,
        detection_threshold: float = 0.1,
        tag_threshold: float = 1.0,
        refine: Refinement = "quarter",
        distance: Distance = "l2",
        fill_threshold: float | None = None,
        instance_score: InstanceScore = "all",
        nms_threshold: float | None = None,
        shared_peaks: bool = True,
    ) -> None:
        if task.skeleton is None:
            raise ConfigError("decoder associative_embedding needs a skeleton; the task has none")
        options = Options("decoder associative_embedding")
        options.whole("max_people", max_people)
        options.window("window", window)
        options.check("detection_threshold", detection_threshold, 0 <= detection_threshold < 1, "in [0, 1)")
        options.check("tag_threshold", tag_threshold, tag_threshold > 0, "positive")
        below = fill_threshold is None or 0 <= fill_threshold < detection_threshold
        options.check("fill_threshold", fill_threshold, below, f"null or in [0, detection_threshold), [0, {detection_threshold})")
        options.check("nms_threshold", nms_threshold, nms_threshold is None or 0 < nms_threshold <= 1, "null or in (0, 1]")
        options.choice("refine", refine, Refinement)
        options.choice("distance", distance, Distance)
        options.choice("instance_score", instance_score, InstanceScore)
        self.skeleton = task.skeleton
        self.max_people, self.window, self.refine = max_people, window, refine
        self.detection_threshold, self.tag_threshold, self.fill_threshold = detection_threshold, tag_threshold, fill_threshold
        self.distance, self.instance_score, self.nms_threshold = distance, instance_score, nms_threshold
        self.shared_peaks = shared_peaks
        self.requires = {"heatmap | heatmap_logits": "B K h w", "tags": "B K D h w"}

    def tensors(self, outputs: Outputs, frame: Frame) -> dict[str, Tensor]:
        """``scores`` (B, K, M), ``points`` (B, K, M, 2) input px and ``tags`` (B, K, M, D) of the best peaks, float32.

        With ``shared_peaks`` also ``shared_scores``, … of the keypoint that each peak hides, score 0 where it hides none.
        ValueError where heatmap and tags do not lie on one grid.
        """
        heatmap, tags = probability(outputs, "heatmap").float(), outputs["tags"]
        grid = probability_grid(frame, "heatmap")
        check_shape("heatmap", heatmap, "B K h w", {"K": len(self.skeleton)})
        b, k, h, w = heatmap.shape
        check_shape("tags", tags, "B K D h w", {"B": b, "K": k, "h": h, "w": w})
        if frame.grids.get("tags", grid) != grid:
            raise ValueError(f"heatmap and tags should lie on one grid, got {grid} and {frame.grids['tags']}")
        peaks = find_peaks(heatmap, self.max_people, self.window)
        found = {
            "scores": peaks.scores,
            "points": grid.to_input(refine_peaks(heatmap, peaks.cells, self.refine)),
            "tags": gather_maps(tags, peaks.cells).float(),
        }
        return found | self._shared(heatmap, tags, peaks, grid) if self.shared_peaks else found

    def _shared(self, heatmap: Tensor, tags: Tensor, peaks: Peaks, grid: Grid) -> dict[str, Tensor]:
        """Of each peak the highest neighbour that nearly ties with it and carries somebody else's tag; score 0 where none does."""
        beside = peaks.cells[..., None, :] + peaks.cells.new_tensor(((-1, 0), (1, 0), (0, -1), (0, 1)))  # (B, K, M, 4, 2)
        scores, their_tags = gather_maps(heatmap, beside), gather_maps(tags, beside).float()
        squares = (their_tags - gather_maps(tags, peaks.cells).float()[..., None, :]).square()
        apart = (squares.sum(-1) if self.distance == "l2" else squares.mean(-1)).sqrt()  # (B, K, M, 4)
        other = (apart >= self.tag_threshold) & (scores >= _NEARLY * peaks.scores[..., None]) & (peaks.scores[..., None] > 0)
        highest, which = torch.where(other, scores, 0.0).max(-1)
        pick = which[..., None, None]
        points = grid.to_input((peaks.cells + beside.gather(3, pick.expand(*which.shape, 1, 2)).squeeze(3)) / 2)
        return {
            "shared_scores": highest,
            "shared_points": points,
            "shared_tags": their_tags.gather(3, pick.expand(*which.shape, 1, their_tags.shape[-1])).squeeze(3),
        }

    def people(self, tensors: dict[str, Tensor], frame: Frame) -> list[Prediction]:
        """Group each image's peaks; a peak whose cell does not touch the content is dropped, points are kept inside it."""
        prefixes = ("", "shared_") if self.shared_peaks else ("",)
        sets = [_inside_content(tensors, prefix, frame) for prefix in prefixes]
        return [Prediction(self._instances(*image), frame.size) for image in zip(*sets, strict=True)]

    def _instances(self, candidates: Candidates, shared: Candidates | None = None) -> Instances:
        pool = self._group(candidates)
        if shared is not None:
            self._complete(pool, shared, self.detection_threshold)
        scores = self._instance_scores(pool.scores[: pool.count])  # before filling, as in the reference
        if self.fill_threshold is not None:
            self._complete(pool, candidates, self.fill_threshold, self.detection_threshold)
        order = np.argsort(-scores, kind="stable")
        instances = Instances.of_keypoints(*(torch.from_numpy(part[order]) for part in (pool.points, pool.scores, scores)))
        if self.nms_threshold is None:
            return instances
        return instances[oks_nms(instances, self.skeleton.sigmas, self.nms_threshold)]

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

    def _match(self, found: Candidates, tags: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Pair candidates (C,) with people of ``tags`` (P, D): indices of both, the best total of tag distance and score.

        Distances count in whole units (pose-ae-train): nearer than half a unit all are as good, and the score decides.
        Candidates are the rows, along which their score is constant: the solver is then several times as fast.
        """
        apart = cdist(found.tags, tags)  # (C, P); NaN for a diverged network's tags, which match no one
        if self.distance == "rms":
            apart /= np.sqrt(tags.shape[1])
        cost = np.round(apart) * _PER_UNIT - found.scores[:, None] + apart * _NEARER
        return assign(cost, apart < self.tag_threshold)

    def _instance_scores(self, scores: Floats) -> Floats:
        """(P,) mean keypoint score of each person."""
        counted = scores.shape[1] if self.instance_score == "all" else (scores > 0).sum(1)
        means: Floats = (scores.sum(1) / counted).astype(np.float32)
        return means


def _inside_content(tensors: dict[str, Tensor], prefix: str, frame: Frame) -> list[Candidates]:
    """The candidates of each image, without those whose cell does not touch its content."""
    content = frame.content.cpu()[:, None, None]  # (B, 1, 1, 4)
    reach = probability_grid(frame, "heatmap").stride / 2
    points = tensors[prefix + "points"]
    inside = ((points >= content[..., :2] - reach) & (points <= content[..., 2:] + reach)).all(-1)
    scores = torch.where(inside, tensors[prefix + "scores"], 0.0).clamp(max=1.0).numpy(force=True)
    placed = points.clamp(content[..., :2], content[..., 2:]).numpy(force=True)
    images = zip(scores, placed, tensors[prefix + "tags"].numpy(force=True), strict=True)
    return [Candidates(*image) for image in images]
