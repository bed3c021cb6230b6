"""Peaks of the heatmaps, grouped into people by their tags: Associative Embedding §3.3."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from torch import Tensor

from bottomup.contracts import DECODERS, Decoder, probability, probability_grid
from bottomup.devices import beside, constant
from bottomup.errors import ConfigError
from bottomup.geometry import Grid, resize
from bottomup.grouping.tags import InstanceScore, TagGrouping, Ties
from bottomup.ops.peaks import Peaks, Refinement, find_peaks, refine_peaks, touching
from bottomup.ops.sampling import gather_maps
from bottomup.ops.tag_maps import TagsBetween, read_tags, resize_tags
from bottomup.options import BelowOne, Count, Positive, Share, Window
from bottomup.shapes import check_shape
from bottomup.thresholds import Thresholds
from bottomup.types import Frame, Outputs, Task

FillFrom = Literal["peaks", "map"]

_NEARLY = 0.8  # of a peak's score: its four neighbours, where two keypoints a cell apart share it; a gaussian of 2 cells has 0.88

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

    grouping: TagGrouping

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
        self.skeleton, self.window, self.tags_between = task.skeleton, window, tags_between
        self.limits, self.recommended = {"max_people": max_people}, _RECOMMENDED[instance_score]
        self.grouping = TagGrouping(
            skeleton=task.skeleton,
            max_people=max_people,
            detection_threshold=detection_threshold,
            tag_threshold=tag_threshold,
            refine=refine,
            fill_threshold=fill_threshold,
            whole_map=fill_from == "map" and fill_threshold is not None,
            instance_score=instance_score,
            nms_threshold=nms_threshold,
            shared_peaks=shared_peaks,
            ties=ties,
            stride=stride,
        )
        self.requires = {"heatmap | heatmap_logits": "B K h w", "tags": "B K D h w"}

    def tensors(self, outputs: Outputs, frame: Frame) -> dict[str, Tensor]:
        """``scores`` (B, K, M), ``points`` (B, K, M, 2) input px and ``tags`` (B, K, M, D) of the best peaks, float32.

        With ``shared_peaks`` also ``shared_scores``, … of the keypoint that each peak hides, score 0 where it hides none; to fill
        from the map also ``heatmap`` (B, K, h, w), 0 in the padding, and ``tag_maps`` (B, K, D, h, w), both on one grid.
        """
        heatmap, tags, tag_grid = self._maps(outputs, frame)
        grid, (h, w) = self._grid(frame), heatmap.shape[-2:]
        inside = touching(beside(frame.content, heatmap), grid, (h, w))
        peaks = find_peaks(heatmap, self.grouping.max_people, self.window, inside)
        found = {
            "scores": peaks.scores,
            "points": grid.to_input(refine_peaks(heatmap, peaks.cells, self.grouping.refine)),
            "tags": read_tags(tags, tag_grid, peaks.cells, grid, self.tags_between),
        }
        heatmap = torch.where(inside[:, None], heatmap, 0.0)
        if self.grouping.shared_peaks:
            found |= self._shared(heatmap, tags, tag_grid, peaks, grid)
        if self.grouping.whole_map:
            found |= {"heatmap": heatmap, "tag_maps": resize_tags(tags, tag_grid, grid, (h, w), self.tags_between)}
        return found

    def _grid(self, frame: Frame) -> Grid:
        """Where peaks are looked for."""
        return probability_grid(frame, "heatmap") if self.grouping.stride is None else Grid.centred(self.grouping.stride)

    def _maps(self, outputs: Outputs, frame: Frame) -> tuple[Tensor, Tensor, Grid]:
        """The heatmap (B, K, h, w) on the grid of the peaks, float32, the tags (B, K, D, h', w') and the grid that these lie on."""
        heatmap, tags = probability(outputs, "heatmap").float(), outputs["tags"]
        own, grid = probability_grid(frame, "heatmap"), self._grid(frame)
        tag_grid = frame.grids.get("tags", own)
        check_shape("heatmap", heatmap, "B K h w", {"K": len(self.skeleton)})
        h, w = heatmap.shape[-2:] if tag_grid == own else tag_grid.shape(frame.size)
        check_shape("tags", tags, "B K D h w", {"B": heatmap.shape[0], "K": len(self.skeleton), "h": h, "w": w})
        return heatmap if grid == own else resize(heatmap, own, grid, grid.shape(frame.size)), tags, tag_grid

    def _shared(self, heatmap: Tensor, tags: Tensor, tag_grid: Grid, peaks: Peaks, grid: Grid) -> dict[str, Tensor]:
        """Of each peak the highest neighbour that nearly ties with it and carries somebody else's tag; score 0 where none does."""
        beside = peaks.cells[..., None, :] + constant(((-1, 0), (1, 0), (0, -1), (0, 1)), peaks.cells)  # (B, K, M, 4, 2)
        scores = gather_maps(heatmap, beside)
        own_tags, their_tags = (read_tags(tags, tag_grid, cells, grid, self.tags_between) for cells in (peaks.cells, beside))
        apart = (their_tags - own_tags[..., None, :]).square().sum(-1).sqrt()  # (B, K, M, 4)
        other = (
            (apart >= self.grouping.tag_threshold) & (scores >= _NEARLY * peaks.scores[..., None]) & (peaks.scores[..., None] > 0)
        )
        highest, which = torch.where(other, scores, 0.0).max(-1)
        pick = which[..., None, None]
        points = grid.to_input((peaks.cells + beside.gather(3, pick.expand(*which.shape, 1, 2)).squeeze(3)) / 2)
        return {
            "shared_scores": highest,
            "shared_points": points,
            "shared_tags": their_tags.gather(3, pick.expand(*which.shape, 1, their_tags.shape[-1])).squeeze(3),
        }
