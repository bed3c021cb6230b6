"""Peaks of the heatmaps, grouped into people by their tags: Associative Embedding §3.3."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from torch import Tensor

from bottomup.contracts import DECODERS, Decoder, probability, probability_grid
from bottomup.decoders._tagged import Candidates, Floats, Maps, Pool
from bottomup.errors import ConfigError
from bottomup.geometry import Grid, resize
from bottomup.ops.matching import assign
from bottomup.ops.peaks import Peaks, Refinement, find_peaks, refine_peaks, touching
from bottomup.ops.sampling import gather_maps
from bottomup.ops.suppression import oks_nms
from bottomup.ops.tag_maps import TagsBetween, read_tags, resize_tags
from bottomup.options import BelowOne, Count, Positive, Share, Window
from bottomup.shapes import check_shape
from bottomup.thresholds import Thresholds
from bottomup.types import Frame, Instances, Outputs, Prediction, Task

FillFrom = Literal["peaks", "map"]
InstanceScore = Literal["all", "found"]
Ties = Literal["nearer", "earlier"]

_PER_UNIT = 100.0  # cost of a whole unit of tag distance: more than any difference of scores, which are at most 1
_NEARLY = 0.8  # of a peak's score: its four neighbours, where two keypoints a cell apart share it; a gaussian of 2 cells has 0.88
_NEARER: dict[Ties, float] = {"nearer": 1e-3, "earlier": 0.0}  # cost of a unit of the unrounded distance: it settles ties alone

# Of the demo's network at this decoder's defaults 9 % of who scores .15 are nobody, of all 39 %, and AP is the same. A mean over
# what was found says little: a lone peak is as good as a person whole.
_RECOMMENDED: dict[InstanceScore, Thresholds] = {
    "all": Thresholds(score=0.15, keypoint=0.15),
    "found": Thresholds(score=0.4, keypoint=0.15),
}


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

    Two peaks within half a unit of two people are as good either way round; ``ties`` says who gets which: by the "nearer" tag,
    or the higher peak the "earlier" person, as the reference's solver mostly has it.

    Maps are read on the heatmap's grid, or, with ``stride``, on cells of so many input px onto which it is resized bilinearly: 1 is
    what HigherHRNet and mmpose call projecting to the image, and ``window`` is then in input px. Of tags on another grid
    ``tags_between`` reads the "nearest" cell; "bilinear", as published, mixes the tags of people who touch.

    Deviates from the reference: pairs of tags beyond the threshold take no part in the matching, equal neighbours are one peak,
    and people whose first tags are equal stay two. ``nms_threshold`` drops instances with an OKS above it to a better one; the
    paper has none, None.
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
        ties: Ties = "nearer",
        stride: Annotated[Count, "input px"] | None = None,
        tags_between: TagsBetween = "nearest",
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
        self.shared_peaks, self.ties, self.stride, self.tags_between = shared_peaks, ties, stride, tags_between
        self.requires = {"heatmap | heatmap_logits": "B K h w", "tags": "B K D h w"}

    def tensors(self, outputs: Outputs, frame: Frame) -> dict[str, Tensor]:
        """``scores`` (B, K, M), ``points`` (B, K, M, 2) input px and ``tags`` (B, K, M, D) of the best peaks, float32.

        With ``shared_peaks`` also ``shared_scores``, … of the keypoint that each peak hides, score 0 where it hides none; to fill
        from the map also ``heatmap`` (B, K, h, w), 0 in the padding, and ``tag_maps`` (B, K, D, h, w), both on one grid.
        """
        heatmap, tags, tag_grid = self._maps(outputs, frame)
        grid, (h, w) = self._grid(frame), heatmap.shape[-2:]
        inside = touching(frame.content.to(heatmap.device), grid, (h, w))
        peaks = find_peaks(heatmap, self.max_people, self.window, inside)
        found = {
            "scores": peaks.scores,
            "points": grid.to_input(refine_peaks(heatmap, peaks.cells, self.refine)),
            "tags": read_tags(tags, tag_grid, peaks.cells, grid, self.tags_between),
        }
        heatmap = torch.where(inside[:, None], heatmap, 0.0)
        if self.shared_peaks:
            found |= self._shared(heatmap, tags, tag_grid, peaks, grid)
        if self.whole_map:
            found |= {"heatmap": heatmap, "tag_maps": resize_tags(tags, tag_grid, grid, (h, w), self.tags_between)}
        return found

    def _grid(self, frame: Frame) -> Grid:
        """Where peaks are looked for."""
        return probability_grid(frame, "heatmap") if self.stride is None else Grid.centred(self.stride)

    def _maps(self, outputs: Outputs, frame: Frame) -> tuple[Tensor, Tensor, Grid]:
        """The heatmap (B, K, h, w) on the grid of the peaks, float32, the tags (B, K, D, h', w') and the grid that these lie on."""
        heatmap, tags = probability(outputs, "heatmap").float(), outputs["tags"]
        own, grid = probability_grid(frame, "heatmap"), self._grid(frame)
        tag_grid = frame.grids.get("tags", own)
        check_shape("heatmap", heatmap, "B K h w", {"K": len(self.skeleton)})
        h, w = heatmap.shape[-2:] if tag_grid == own else tag_grid.shape(frame.size)
        check_shape("tags", tags, "B K D h w", {"B": len(heatmap), "K": len(self.skeleton), "h": h, "w": w})
        return heatmap if grid == own else resize(heatmap, own, grid, grid.shape(frame.size)), tags, tag_grid

    def _shared(self, heatmap: Tensor, tags: Tensor, tag_grid: Grid, peaks: Peaks, grid: Grid) -> dict[str, Tensor]:
        """Of each peak the highest neighbour that nearly ties with it and carries somebody else's tag; score 0 where none does."""
        beside = peaks.cells[..., None, :] + peaks.cells.new_tensor(((-1, 0), (1, 0), (0, -1), (0, 1)))  # (B, K, M, 4, 2)
        scores = gather_maps(heatmap, beside)
        own_tags, their_tags = (read_tags(tags, tag_grid, cells, grid, self.tags_between) for cells in (peaks.cells, beside))
        apart = (their_tags - own_tags[..., None, :]).square().sum(-1).sqrt()  # (B, K, M, 4)
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
        maps = _whole_maps(tensors, frame, self._grid(frame)) if self.whole_map else [None] * len(peaks)
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
        instances = replace(instances, tags=torch.from_numpy(pool.mean_tags(slice(pool.count))[order]))
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
        cost = np.round(apart) * _PER_UNIT - found.scores[:, None] + apart * _NEARER[self.ties]
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


def _whole_maps(tensors: dict[str, Tensor], frame: Frame, grid: Grid) -> list[Maps]:
    """The whole maps of each image, which lie on one grid."""
    images = zip(tensors["heatmap"], tensors["tag_maps"], frame.content.cpu(), strict=True)
    return [Maps(heatmap, tags, grid, content) for heatmap, tags, content in images]
