"""Hough votes, seeds, a walk along the skeleton's tree, scores, masks: PersonLab §3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor

from bottomup.contracts import DECODERS, Decoder
from bottomup.errors import ConfigError
from bottomup.geometry import Grid, in_content, resize
from bottomup.grouping.walked import InstanceMasks, SeedGrouping, Suppression
from bottomup.ops.fields import FIELDS, MASK_FIELDS, Fields, read_fields, read_foreground, read_mask_fields
from bottomup.ops.hough import centre_of_mass, expected_oks, hough_votes
from bottomup.ops.masks import embedding_distance
from bottomup.ops.peaks import find_peaks
from bottomup.ops.sampling import sample_bilinear, sample_channels
from bottomup.ops.seeds import select_seeds
from bottomup.ops.walk import strides, walk, walkable
from bottomup.options import BelowOne, Count, Formerly, Natural, Positive, Window, checked
from bottomup.thresholds import Thresholds
from bottomup.types import Frame, Instances, Outputs, Task

Scoring = Literal["expected_oks", "hough"]
SeedPlace = Literal["centre_of_mass", "cell"]

_FAINT = 1e-6  # the least score of a found person's keypoint, for the walk places every keypoint
# Of Google's weights at 513 px on COCO's people 4 % of who is left are nobody, or somebody once more, where 68 % of all are; AP is
# .308 of .320. Of keypoints in their place 96 % are left, 99 % of small people's, whose Expected-OKS would leave them 73 %.
_RECOMMENDED: dict[Scoring, Thresholds] = {
    "expected_oks": Thresholds(score=0.1, keypoint=0.3, alike=0.5),
    "hough": Thresholds(score=0.03, keypoint=0.3, alike=0.5),
}
_FOREGROUND = {"segmentation_logits | segmentation?": "B C h w"}  # of use without masks, too


@checked("decoder personlab", within="voting")
@dataclass(frozen=True, kw_only=True)
class Voting:
    """Where keypoints are: the votes of eq. 1, and those of their peaks that may seed an instance.

    Votes spread over disks of ``radius``, that of the disks which the heatmap was trained on. Only cells of a probability above
    ``threshold`` vote; None, as the paper, lets all. ``detection_threshold`` is what a seed's votes come to at least; it is the
    highest of ``window`` x ``window`` cells. ``max_peaks`` of each keypoint, the best, may seed an instance.

    What the paper leaves open: it votes on maps enlarged to the image. ``stride`` is that at which votes are cast here: None the
    maps' own, or one that divides it, to which scores and offsets are then resized. ``seed_place`` "centre_of_mass" says where
    between the cells a peak lies, "cell" takes its cell. Eq. 3 is read at the score map's cells: a small person's gaussian is
    narrower than one of stride 8 or 16, so that such people score below what their votes promise: a perfect one of 60 px .75 to
    .81 at stride 8, .92 at 4, .98 at 2, .99 at 1. (Each vote counted where it ends orders no better: of Google's weights AP falls
    by .003.)
    """

    radius: Annotated[Positive, "input px"] = 32.0
    threshold: Annotated[BelowOne, Formerly("vote_threshold")] | None = None
    stride: Annotated[Count, "input px", Formerly("vote_stride")] | None = None
    detection_threshold: BelowOne = 0.01
    window: Window = 3
    max_peaks: Count = 40
    seed_place: SeedPlace = "centre_of_mass"

    def cast(self, fields: Fields) -> tuple[Tensor, Grid]:
        """The Hough score maps (B, K, h, w), by the maps' cells or finer ones, and their grid."""
        heatmap, short, grid = fields.heatmap, fields.short, fields.grid
        fine = grid if self.stride is None else _finer(grid, self.stride)
        if fine != grid:
            h, w = ((side - 1) * (grid.stride // fine.stride) + 1 for side in heatmap.shape[-2:])
            shape = (h, w)
            heatmap = resize(heatmap, grid, fine, shape)
            short = resize(short.flatten(1, 2), grid, fine, shape).unflatten(1, (-1, 2))
        return hough_votes(heatmap, short, fine, self.radius, self.threshold), fine

    def seeds(self, votes: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
        """Where instances may start: points (B, K, M, 2) input px and their scores (B, K, M), 0 below the threshold."""
        peaks = find_peaks(votes, self.max_peaks, self.window)
        cells = centre_of_mass(votes, peaks.cells) if self.seed_place == "centre_of_mass" else peaks.cells
        return grid.to_input(cells), torch.where(peaks.scores >= self.detection_threshold, peaks.scores, 0.0)


@DECODERS.register
class Personlab(Decoder):
    """Greedy decoding of Hough votes along mid-range offsets, PersonLab §3.1.

    Cells vote by their short offsets and peaks of the votes may seed an instance, the best first (``voting``), unless it lies
    near the same keypoint of one found before (``suppression``), or in the padding. A seed grows along the mid offsets, which
    are read refined (eq. 2). ``scoring`` is by "expected_oks" (eq. 3) or by the "hough" votes. Seeds end with the
    ``max_people``-th instance, as in Google's code. Every instance has all keypoints, however faint.

    Where the model has segmentation and long offsets, ``masks`` says which pixels are whose (§3.2). The segmentation of the image
    is kept in any case.

    Where eqs 3 and 6 divide by an instance's size, it is ``smallest`` input px or more, which the paper leaves out.

    Beyond the paper: ``refine`` times each keypoint of an instance moves on by the short offset there, as eq. 2 refines offsets.

    All seeds are walked at once; only the rejection is one after the other.
    """

    def __init__(
        self,
        task: Task,
        *,
        max_people: Count = 20,
        refine: Natural = 0,
        scoring: Scoring = "expected_oks",
        smallest: Annotated[Positive, "input px"] = 10.0,
        voting: Voting = Voting(),
        suppression: Suppression = Suppression(),
        masks: InstanceMasks = InstanceMasks(),
    ) -> None:
        self.skeleton = walkable(task.skeleton, "personlab")
        self.plan = strides(self.skeleton)
        self.max_people, self.refine, self.scoring, self.smallest = max_people, refine, scoring, smallest
        self.limits = {"max_people": max_people, "voting.max_peaks": voting.max_peaks}
        self.voting, self.suppression, self.masks = voting, suppression, masks
        self.recommended = _RECOMMENDED[scoring]
        self.grouping = SeedGrouping(skeleton=self.skeleton, suppression=suppression, masks=masks)
        self.requires = FIELDS | _FOREGROUND | (MASK_FIELDS if masks.mode else {})

    def tensors(self, outputs: Outputs, frame: Frame) -> dict[str, Tensor]:
        """``points`` (B, P, K, 2) input px, ``scores`` and ``presence`` (B, P, K) in [0, 1] of P = ``max_people`` instances.

        Scores that are all 0 are nobody's. With segmentation ``foreground`` (B, h, w) in [0, 1], too, and with masks
        ``distance`` (B, P, h, w) of cells to instances, in their sizes.
        """
        fields = read_fields(outputs, frame, self.skeleton)
        votes, fine = self.voting.cast(fields)
        seeds, seed_scores = self.voting.seeds(votes, fine)
        seed_scores = seed_scores * in_content(seeds, frame.content)

        def step(points: Tensor, edges: Tensor) -> Tensor:
            return points + sample_channels(fields.mid, edges, fields.grid.to_cells(points))

        poses = walk(seeds, self.plan, step)
        points, _, found = select_seeds(poses, seed_scores, self.suppression.radius, self.max_people)
        for _ in range(self.refine):
            points = points + _read(fields.short, points, fields.grid)
        there = (found > 0)[..., None]
        presence = _read(fields.heatmap, points, fields.grid)
        scores = _read(votes, points, fine) if self.scoring == "hough" else presence * self._expected_oks(votes, points, fine)
        tensors = {"points": points, "scores": scores.clamp(min=_FAINT) * there, "presence": presence * there}
        return tensors | self._masks(points, presence * there, outputs, frame)

    def _expected_oks(self, votes: Tensor, points: Tensor, grid: Grid) -> Tensor:
        """Eq. 3 without the presence, (B, P, K)."""
        return expected_oks(votes, points, grid, self.voting.radius, self.smallest, self.skeleton.sigmas)

    def _masks(self, points: Tensor, presence: Tensor, outputs: Outputs, frame: Frame) -> dict[str, Tensor]:
        """The foreground, and what masks are made of: eq. 6; each where the model has it."""
        fields = read_mask_fields(outputs, frame, self.skeleton) if self.masks.mode else None
        if fields is None:
            foreground = read_foreground(outputs)
            return {} if foreground is None else {"foreground": foreground}
        distance = embedding_distance(fields.long, points, presence, fields.grid, self.smallest)
        return {"foreground": fields.foreground, "distance": distance}

    def suppress(self, joined: Instances) -> Instances:
        """Score and suppress instances that were joined from several views as those of one are."""
        return Instances.of(self.suppression.suppress(joined.found(), self.skeleton.sigmas))


def _read(maps: Tensor, points: Tensor, grid: Grid) -> Tensor:
    """What each keypoint's map (B, K, h, w) has at instances' points (B, P, K, 2), input px: (B, P, K); (B, K, D, h, w): with D."""
    return sample_bilinear(maps, grid.to_cells(points.transpose(1, 2))).transpose(1, 2)


def _finer(grid: Grid, stride: int) -> Grid:
    """The grid of ``stride`` whose first cell lies where that of ``grid`` does; ConfigError where it does not divide."""
    if grid.stride % stride:
        raise ConfigError(f"decoder personlab: voting.stride {stride} should divide the maps' stride, {grid.stride}")
    return Grid(stride, grid.origin)
