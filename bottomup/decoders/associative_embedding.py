"""Peaks of the heatmaps, grouped into people by their tags: Associative Embedding §3.3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from torch import Tensor

from bottomup.contracts import DECODERS, Decoder, probability, probability_grid
from bottomup.errors import ConfigError
from bottomup.geometry import Grid
from bottomup.ops.matching import assign
from bottomup.ops.peaks import Peaks, Refinement, find_peaks, refine_peaks, touching
from bottomup.ops.sampling import gather_maps
from bottomup.ops.suppression import oks_nms
from bottomup.ops.tag_maps import best_cells
from bottomup.options import BelowOne, Count, Positive, Share, Window
from bottomup.shapes import check_shape
from bottomup.thresholds import Thresholds
from bottomup.types import Frame, Instances, Outputs, Prediction, Task

FillFrom = Literal["peaks", "map"]
InstanceScore = Literal["all", "found"]
Floats = NDArray[np.float32]

_PER_UNIT = 100.0  # cost of a whole unit of tag distance: more than any difference of scores, which are at most 1
_NEARLY = 0.8  # of a peak's score: its four neighbours, where two keypoints a cell apart share it; a gaussian of 2 cells has 0.88
_NEARER = 1e-3  # cost of a unit of the unrounded distance: it settles only what rounding and scores leave tied

# Of the demo's network at this decoder's defaults 9 % of who scores .15 are nobody, of all 39 %, and AP is the same. A mean over
# what was found says little: a lone peak is as good as a person whole.
_RECOMMENDED: dict[InstanceScore, Thresholds] = {
    "all": Thresholds(score=0.15, keypoint=0.15),
    "found": Thresholds(score=0.4, keypoint=0.15),
}


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


@DECODERS.register
class AssociativeEmbedding(Decoder):
    """Grouping by tags, Associative Embedding §3.3; what the paper leaves open is as in its reference, pose-ae-train.

    Keypoint by keypoint, head and torso first, the peaks of at least ``detection_threshold`` are matched to the people so
    far, whose tag is the mean of their keypoints' tags. Tags match if nearer than ``tag_threshold``, by their euclidean distance
    (``heads.tags.distance`` says what that is). Who matches no one starts a new person, up to ``max_people``, which is also how
    many peaks of each keypoint are read; those in the padding are none. ``window`` is the side of a peak's neighbourhood in cells
    (reference 3, HigherHRNet 5); ``refine`` says where between the cells it lies, see ``ops.peaks.refine_peaks``: of a gaussian
    "log_parabola" finds it exactly, "quarter", the reference's, within a quarter cell. ``instance_score`` is the mean keypoint
    score over "all" keypoints, a missing one counting 0, or over the "found".

    Where two people's keypoints lie a cell apart they share one peak; with ``shared_peaks`` its neighbour that carries
    another tag completes, after the grouping, who matches it and lacks that keypoint, but starts no one (not in the paper; the
    reference gives both people that peak when it fills them).

    ``fill_threshold``, below ``detection_threshold``, lets all that scores as much complete people after the grouping, without
    changing their score; None, as the paper, completes nobody. ``fill_from`` says what: weaker "peaks", by the same matching, or of
    the whole "map" the cell of the greatest score less whole units of tag distance, whoever else has it; with 0 as the reference,
    where nearly everybody is whole. What fills keeps its own score (HigherHRNet); with the reference's 1 nobody could tell a guess
    from a find.

    Deviates from the reference: pairs of tags beyond the threshold take no part in the matching, and its ties go to the nearer
    tag. ``nms_threshold`` drops instances with an OKS above it to a better one; the paper has none, None.
    """

    def __init__(
        self,
        task: Task,
        *,
        max_people: Count = 30,
        window: Window = 3,
        detection_threshold: BelowOne = 0.1,
        tag_threshold: Positive = 1.0,
        refine: Refinement = "log_parabola",
        fill_threshold: BelowOne | None = None,
        fill_from: FillFrom = "peaks",
        instance_score: InstanceScore = "all",
        nms_threshold: Annotated[Share, "OKS"] | None = None,
        shared_peaks: bool = True,
    ) -> None:
        if task.skeleton is None:
            raise ConfigError("decoder associative_embedding needs a skeleton; the task has none")
        if fill_threshold is not None and fill_threshold >= detection_threshold:
            raise ConfigError(
                "decoder associative_embedding: fill_threshold should be null or in [0, detection_threshold), "
                f"[0, {detection_threshold}), got {fill_threshold}"
            )
        self.skeleton = task.skeleton
        self.max_people, self.window, self.refine = max_people, window, refine
        self.limits = {"max_people": max_people}
        self.detection_threshold, self.tag_threshold, self.fill_threshold = detection_threshold, tag_threshold, fill_threshold
        self.instance_score, self.nms_threshold = instance_score, nms_threshold
        self.recommended = _RECOMMENDED[instance_score]
        self.whole_map = fill_from == "map" and fill_threshold is not None
        self.shared_peaks = shared_peaks
        self.requires = {"heatmap | heatmap_logits": "B K h w", "tags": "B K D h w"}

    def tensors(self, outputs: Outputs, frame: Frame) -> dict[str, Tensor]:
        """``scores`` (B, K, M), ``points`` (B, K, M, 2) input px and ``tags`` (B, K, M, D) of the best peaks, float32.

        With ``shared_peaks`` also ``shared_scores``, … of the keypoint that each peak hides, score 0 where it hides none; to fill
        from the map also ``heatmap`` (B, K, h, w), 0 in the padding, and ``tag_maps`` (B, K, D, h, w).
        ValueError where heatmap and tags do not lie on one grid.
        """
        heatmap, tags = probability(outputs, "heatmap").float(), outputs["tags"]
        grid = probability_grid(frame, "heatmap")
        check_shape("heatmap", heatmap, "B K h w", {"K": len(self.skeleton)})
        b, k, h, w = heatmap.shape
        check_shape("tags", tags, "B K D h w", {"B": b, "K": k, "h": h, "w": w})
        if frame.grids.get("tags", grid) != grid:
            raise ValueError(f"heatmap and tags should lie on one grid, got {grid} and {frame.grids['tags']}")
        inside = touching(frame.content.to(heatmap.device), grid, (h, w))
        peaks = find_peaks(heatmap, self.max_people, self.window, inside)
        found = {
            "scores": peaks.scores,
            "points": grid.to_input(refine_peaks(heatmap, peaks.cells, self.refine)),
            "tags": gather_maps(tags, peaks.cells).float(),
        }
        heatmap = torch.where(inside[:, None], heatmap, 0.0)
        if self.shared_peaks:
            found |= self._shared(heatmap, tags, peaks, grid)
        return found | {"heatmap": heatmap, "tag_maps": tags.float()} if self.whole_map else found

    def _shared(self, heatmap: Tensor, tags: Tensor, peaks: Peaks, grid: Grid) -> dict[str, Tensor]:
        """Of each peak the highest neighbour that nearly ties with it and carries somebody else's tag; score 0 where none does."""
        beside = peaks.cells[..., None, :] + peaks.cells.new_tensor(((-1, 0), (1, 0), (0, -1), (0, 1)))  # (B, K, M, 4, 2)
        scores, their_tags = gather_maps(heatmap, beside), gather_maps(tags, beside).float()
        apart = (their_tags - gather_maps(tags, peaks.cells).float()[..., None, :]).square().sum(-1).sqrt()  # (B, K, M, 4)
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
        """Group each image's peaks; points are kept inside the content."""
        peaks = _candidates(tensors, "", frame)
        shared = _candidates(tensors, "shared_", frame) if self.shared_peaks else [None] * len(peaks)
        maps = _maps(tensors, frame) if self.whole_map else [None] * len(peaks)
        return [Prediction(self._instances(*image), frame.size) for image in zip(peaks, shared, maps, strict=True)]

    def _instances(self, candidates: Candidates, shared: Candidates | None, maps: Maps | None) -> Instances:
        pool = self._group(candidates)
        if shared is not None:
            self._complete(pool, shared, self.detection_threshold)
        scores = self._instance_scores(pool.scores[: pool.count])  # before filling, as in the reference
        if self.fill_threshold is not None:
            if maps is not None:
                self._fill(pool, maps, self.fill_threshold)
            else:
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
        cost = np.round(apart) * _PER_UNIT - found.scores[:, None] + apart * _NEARER
        return assign(cost, apart < self.tag_threshold)

    def _instance_scores(self, scores: Floats) -> Floats:
        """(P,) mean keypoint score of each person."""
        counted = scores.shape[1] if self.instance_score == "all" else (scores > 0).sum(1)
        means: Floats = (scores.sum(1) / counted).astype(np.float32)
        return means


def _candidates(tensors: dict[str, Tensor], prefix: str, frame: Frame) -> list[Candidates]:
    """The candidates of each image, kept inside its content."""
    content = frame.content.cpu()[:, None, None]  # (B, 1, 1, 4)
    points = tensors[prefix + "points"].clamp(content[..., :2], content[..., 2:])
    parts = (tensors[prefix + "scores"].clamp(max=1.0), points, tensors[prefix + "tags"])
    return [Candidates(*image) for image in zip(*(part.numpy(force=True) for part in parts), strict=True)]


def _maps(tensors: dict[str, Tensor], frame: Frame) -> list[Maps]:
    """The whole maps of each image."""
    grid = probability_grid(frame, "heatmap")
    images = zip(tensors["heatmap"], tensors["tag_maps"], frame.content.cpu(), strict=True)
    return [Maps(heatmap, tags, grid, content) for heatmap, tags, content in images]
