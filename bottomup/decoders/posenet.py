"""Google's own decoder of PersonLab's fields, as PoseNet for TensorFlow.js has it."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from bottomup.contracts import DECODERS, Decoder
from bottomup.devices import constant
from bottomup.geometry import Grid, in_content, sides
from bottomup.grouping.walked import PosenetGrouping
from bottomup.ops.fields import FIELDS, read_fields
from bottomup.ops.peaks import find_peaks
from bottomup.ops.sampling import gather_maps, sample_channels
from bottomup.ops.seeds import select_seeds
from bottomup.ops.walk import strides, walk, walkable
from bottomup.options import BelowOne, Count, FromZero, Natural
from bottomup.thresholds import Thresholds
from bottomup.types import Frame, Outputs, Task

_WINDOW = 3  # cells: a local maximum of radius 1


@DECODERS.register
class Posenet(Decoder):
    """Peaks of the heatmap itself, grown along raw mid offsets read at the nearest cells; tfjs-models/posenet, multi_pose.

    ``max_people`` of an image are found, the best. A peak of at least ``detection_threshold`` stands where its cell's short offset
    points. The best seeds an instance unless it lies within ``nms_radius`` input px of the same keypoint of one before, or in the
    padding. Each step of the walk goes by the mid offset of the nearest cell, then ``refine`` times to where the short offset of
    the nearest cell points. A keypoint's score is the heatmap's at its nearest cell, an instance's the mean over all keypoints of
    those that no instance before it has claimed. A head that refines the mid offsets, too, is refused when the model is composed:
    ``heads.mid_offsets.refine=0``.

    Deviates from Google's: of tied neighbours one is a peak, not both; at most ``max_peaks`` of each keypoint.
    """

    raw = frozenset({"mid_offsets"})
    recommended = Thresholds(score=0.1, keypoint=0.3, alike=0.6)  # of Google's weights 7 % are nobody then, 33 % of all

    def __init__(
        self,
        task: Task,
        *,
        max_people: Count = 20,
        detection_threshold: BelowOne = 0.5,
        nms_radius: Annotated[FromZero, "input px"] = 20.0,
        refine: Natural = 2,
        max_peaks: Count = 40,
    ) -> None:
        self.skeleton = walkable(task.skeleton, "posenet")
        self.plan = strides(self.skeleton)
        self.max_people, self.max_peaks, self.refine = max_people, max_peaks, refine
        self.limits = {"max_people": max_people, "max_peaks": max_peaks}
        self.detection_threshold, self.nms_radius = detection_threshold, nms_radius
        self.requires = dict(FIELDS)
        self.grouping = PosenetGrouping(nms_radius=nms_radius)

    def tensors(self, outputs: Outputs, frame: Frame) -> dict[str, Tensor]:
        """``points`` (B, P, K, 2) input px and ``scores`` (B, P, K) in [0, 1] of P = ``max_people`` instances; all 0 is nobody."""
        heatmap, short, mid, grid = read_fields(outputs, frame, self.skeleton)
        ends = constant([end for _, end in self.skeleton.directed], mid, torch.int64)
        peaks = find_peaks(heatmap, self.max_peaks, _WINDOW)
        seeds = grid.to_input(peaks.cells) + gather_maps(short, peaks.cells)
        found = (peaks.scores >= self.detection_threshold) & in_content(seeds, frame.content)
        scores = torch.where(found, peaks.scores, 0.0)

        def step(points: Tensor, edges: Tensor) -> Tensor:
            points = points + sample_channels(mid, edges, nearest_cells(points, grid, heatmap))
            for _ in range(self.refine):
                cells = nearest_cells(points, grid, heatmap)
                points = grid.to_input(cells) + sample_channels(short, ends[edges], cells)
            return points

        points, roots, best = select_seeds(walk(seeds, self.plan, step), scores, self.nms_radius, self.max_people)
        read = gather_maps(heatmap, nearest_cells(points, grid, heatmap).transpose(1, 2)).transpose(1, 2)  # (B, P, K)
        read = read.scatter(2, roots[..., None], best[..., None])  # the seed's is its peak's
        return {"points": points, "scores": read * (best > 0)[..., None]}


def nearest_cells(points: Tensor, grid: Grid, maps: Tensor) -> Tensor:
    """The cells of a map (..., h, w) nearest to points (..., 2) input px, whole x, y as float."""
    last = sides(maps.shape[-2], maps.shape[-1], points) - 1
    return torch.minimum(grid.nearest(points).to(points.dtype).clamp(min=0.0), last)
