"""Hough votes, seeds, a walk along the skeleton's tree, scores, masks: PersonLab §3."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from bottomup.errors import ConfigError
from bottomup.geometry import Grid, in_content, resize
from bottomup.masks import Masks
from bottomup.ops.fields import FIELDS, MASK_FIELDS, Fields, read_fields, read_foreground, read_mask_fields
from bottomup.ops.hough import centre_of_mass, expected_oks, hough_votes
from bottomup.ops.masks import embedding_distance, foreground_level, left_by_better, nearer_than_others
from bottomup.ops.peaks import find_peaks
from bottomup.ops.sampling import sample_bilinear, sample_channels
from bottomup.ops.seeds import select_seeds
from bottomup.ops.suppression import claimed, oks_nms
from bottomup.ops.walk import strides, walk
from bottomup.options import Options
from bottomup.stages import DECODERS, Decoder, probability_grid
from bottomup.thresholds import Thresholds
from bottomup.types import Frame, Instances, Outputs, Prediction, Task

Scoring = Literal["expected_oks", "hough"]
Suppression = Literal["soft", "hard"]
SeedPlace = Literal["centre_of_mass", "cell"]
MaskMode = Literal["overlapping", "exclusive", "nearest"]

_FAINT = 1e-6  # the least score of a found person's keypoint, for the walk places every keypoint
_PIXELS = Grid.centred(1)
# Of Google's weights at 513 px on COCO's people 4 % of who is left are nobody, or somebody once more, where 68 % of all are; AP is
# .308 of .320. Of keypoints in their place 96 % are left, 99 % of small people's, whose Expected-OKS would leave them 73 %.
_RECOMMENDED: dict[Scoring, Thresholds] = {
    "expected_oks": Thresholds(score=0.1, keypoint=0.3, alike=0.5),
    "hough": Thresholds(score=0.03, keypoint=0.3, alike=0.5),
}
_FOREGROUND = {"segmentation_logits | segmentation?": "B C h w"}  # of use without masks, too
_OPTIONS = Options("decoder personlab")


@DECODERS.register
class Personlab(Decoder):
    """Greedy decoding of Hough votes along mid-range offsets, PersonLab §3.1.

    Cells vote by their short offsets (eq. 1, disks of ``radius`` input px); every local maximum of at least
    ``detection_threshold`` among ``window`` x ``window`` cells may seed an instance, the best first, unless it lies within
    ``nms_radius`` input px of the same keypoint of one found before, or in the padding. A seed grows along the mid offsets, which
    are read refined (eq. 2). ``scoring`` is "expected_oks" (eq. 3) or "hough"; ``nms`` is "soft" (eq. 4: only keypoints that no
    better instance has claimed count) or "hard" (an OKS above ``nms_oks`` to a better one drops). Seeds end with the
    ``max_people``-th instance, as in Google's code; those that score below ``instance_threshold`` are dropped. Every instance has
    all keypoints, however faint.

    Where the model has segmentation and long offsets, a pixel of foreground, a probability of ``mask_threshold`` or more, is in
    the mask of every instance whose keypoints its long offsets hit within ``mask_distance`` of the instance's size (eq. 6;
    None: any distance). ``masks`` "overlapping" is the paper's, "exclusive" leaves it to the best-scored of these instances,
    "nearest" to the nearest one, however low its score (so raise ``instance_threshold``), as BodyPix; None makes none. The
    segmentation of the image is kept in any case.

    Where eqs 3 and 6 divide by an instance's size, it is ``smallest`` input px or more, which the paper leaves out.

    Beyond the paper: ``refine`` times each keypoint of an instance moves on by the short offset there, as eq. 2 refines offsets.

    All seeds, ``max_peaks`` of each keypoint, are walked at once; only the rejection is one after the other.

    What the paper leaves open: it votes on maps enlarged to the image; here at the maps' own stride, or at ``vote_stride``
    input px where that divides it, to which scores and offsets are then resized. ``seed_place`` "centre_of_mass" says where
    between the cells a peak lies, "cell" takes its cell. With ``vote_threshold`` only cells of a higher probability vote;
    None, as the paper, lets all. Eq. 3 is read at the score map's cells: a small person's gaussian is narrower than one of stride
    8 or 16, so that such people score below what their votes promise: a perfect one of 60 px .75 to .81 at stride 8, .92 at 4,
    .98 at 2, .99 at 1. (Each vote counted where it ends orders no better: of
    Google's weights AP falls by .003.)
    """

    def __init__(
        self,
        task: Task,
        *,
        max_people: int = 20,
        refine: int = 0,
        radius: float = 32.0,
        nms_radius: float = 10.0,
        detection_threshold: float = 0.01,
        window: int = 3,
        max_peaks: int = 40,
        vote_threshold: float | None = None,
        vote_stride: int | None = None,
        seed_place: SeedPlace = "centre_of_mass",
        scoring: Scoring = "expected_oks",
        nms: Suppression = "soft",
        nms_oks: float = 0.5,
        instance_threshold: float = 0.0,
        smallest: float = 10.0,
        masks: MaskMode | None = "overlapping",
        mask_threshold: float = 0.5,
        mask_distance: float | None = 0.25,
    ) -> None:
        if task.skeleton is None or not task.skeleton.edges:
            raise ConfigError("decoder personlab walks the skeleton's tree; this task has none")
        _OPTIONS.whole("max_people", max_people)
        _OPTIONS.whole("refine", refine, least=0)
        _OPTIONS.choice("scoring", scoring, Scoring)
        _OPTIONS.check("smallest", smallest, smallest > 0, "positive input px")
        self.skeleton, self.plan = task.skeleton, strides(task.skeleton)
        self.max_people, self.refine, self.scoring, self.smallest = max_people, refine, scoring, smallest
        self.limits = {"max_people": max_people, "max_peaks": max_peaks}
        self.voting = _Voting(radius, vote_threshold, vote_stride, detection_threshold, window, max_peaks, seed_place)
        self.suppression = _Suppression(nms, nms_radius, nms_oks, instance_threshold)
        self.recommended = _RECOMMENDED[scoring]
        self.masks = _InstanceMasks(masks, mask_threshold, mask_distance)
        self.requires = FIELDS | _FOREGROUND | (MASK_FIELDS if masks else {})

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
        points, _, found = select_seeds(poses, seed_scores, self.suppression.nms_radius, self.max_people)
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
        fields = read_mask_fields(outputs, frame, self.skeleton) if self.masks.masks else None
        if fields is None:
            foreground = read_foreground(outputs)
            return {} if foreground is None else {"foreground": foreground}
        distance = embedding_distance(fields.long, points, presence, fields.grid, self.smallest)
        return {"foreground": fields.foreground, "distance": distance}

    def suppress(self, joined: Instances) -> Instances:
        """Score and suppress instances that were joined from several views as those of one are."""
        order = joined.keypoint_scores.mean(1).argsort(descending=True, stable=True)
        kept, own = self.suppression.left(joined[order], self.skeleton.sigmas)
        return replace(joined[order[kept]], scores=own)

    def people(self, tensors: dict[str, Tensor], frame: Frame) -> list[Prediction]:
        """Score the instances of each image and drop those that better ones explain; points are kept inside the content."""
        tensors = {name: tensor.float().cpu() for name, tensor in tensors.items()}
        content = frame.content.cpu()
        images = [{name: tensor[row] for name, tensor in tensors.items()} for row in range(len(content))]
        return [self._prediction(image, inner, frame) for image, inner in zip(images, content, strict=True)]

    def _prediction(self, image: dict[str, Tensor], content: Tensor, frame: Frame) -> Prediction:
        scores, presence = image["scores"].clamp(0.0, 1.0), image["presence"].clamp(0.0, 1.0)
        there = (scores > 0).any(1).nonzero()[:, 0]
        rows = there[scores[there].mean(1).argsort(descending=True, stable=True)]
        better_first = Instances.of_keypoints(image["points"][rows], scores[rows], scores[rows].mean(1))
        kept, own = self.suppression.left(better_first, self.skeleton.sigmas)
        rows = rows[kept]
        found = Instances.of_keypoints(image["points"][rows].clamp(content[:2], content[2:]), scores[rows], own)
        found = replace(found, keypoint_presence=presence[rows])
        if "foreground" not in image:
            return Prediction(found, frame.size)
        grid, foreground = probability_grid(frame, "segmentation"), image["foreground"]
        if "distance" in image:
            levels = self.masks.levels(foreground, image["distance"][rows])
            found = replace(found, masks=Masks.of_levels(levels, grid))
        return Prediction(found, frame.size, resize(foreground[None, None], grid, _PIXELS, frame.size)[0, 0])


@dataclass(frozen=True)
class _Voting:
    """Where keypoints are: the votes of eq. 1, and those of their peaks that may seed an instance."""

    radius: float
    vote_threshold: float | None
    vote_stride: int | None
    detection_threshold: float
    window: int
    max_peaks: int
    seed_place: SeedPlace

    def __post_init__(self) -> None:
        least, stride = self.vote_threshold, self.vote_stride
        _OPTIONS.check("radius", self.radius, self.radius > 0, "positive input px")
        _OPTIONS.check("vote_threshold", least, least is None or 0 <= least < 1, "null or in [0, 1)")
        _OPTIONS.check("vote_stride", stride, stride is None or stride >= 1, "null or whole input px, at least 1")
        _OPTIONS.check("detection_threshold", self.detection_threshold, 0 <= self.detection_threshold < 1, "in [0, 1)")
        _OPTIONS.window("window", self.window)
        _OPTIONS.whole("max_peaks", self.max_peaks)
        _OPTIONS.choice("seed_place", self.seed_place, SeedPlace)

    def cast(self, fields: Fields) -> tuple[Tensor, Grid]:
        """The Hough score maps (B, K, h, w), by the maps' cells or finer ones, and their grid."""
        heatmap, short, grid = fields.heatmap, fields.short, fields.grid
        fine = grid if self.vote_stride is None else _finer(grid, self.vote_stride)
        if fine != grid:
            h, w = ((side - 1) * (grid.stride // fine.stride) + 1 for side in heatmap.shape[-2:])
            shape = (h, w)
            heatmap = resize(heatmap, grid, fine, shape)
            short = resize(short.flatten(1, 2), grid, fine, shape).unflatten(1, (-1, 2))
        return hough_votes(heatmap, short, fine, self.radius, self.vote_threshold), fine

    def seeds(self, votes: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
        """Where instances may start: points (B, K, M, 2) input px and their scores (B, K, M), 0 below the threshold."""
        peaks = find_peaks(votes, self.max_peaks, self.window)
        cells = centre_of_mass(votes, peaks.cells) if self.seed_place == "centre_of_mass" else peaks.cells
        return grid.to_input(cells), torch.where(peaks.scores >= self.detection_threshold, peaks.scores, 0.0)


@dataclass(frozen=True)
class _Suppression:
    """Who is left beside better instances, and with what score: eq. 4, or hard OKS-NMS."""

    nms: Suppression
    nms_radius: float
    nms_oks: float
    instance_threshold: float

    def __post_init__(self) -> None:
        _OPTIONS.choice("nms", self.nms, Suppression)
        _OPTIONS.check("nms_radius", self.nms_radius, self.nms_radius >= 0, "input px, from 0")
        _OPTIONS.check("nms_oks", self.nms_oks, 0 < self.nms_oks <= 1, "in (0, 1]")
        _OPTIONS.check("instance_threshold", self.instance_threshold, 0 <= self.instance_threshold < 1, "in [0, 1)")

    def left(self, found: Instances, sigmas: Sequence[float]) -> tuple[Tensor, Tensor]:
        """Which of instances, given best first, better ones do not explain, and the scores that are left to them, best first."""
        if self.nms == "hard":
            kept, scores = oks_nms(found, sigmas, self.nms_oks).nonzero()[:, 0], found.scores
        else:
            scores = (found.keypoint_scores * ~claimed(found.keypoints, self.nms_radius)).mean(1)
            kept = scores.argsort(descending=True, stable=True)
        kept = kept[(scores[kept] > 0) & (scores[kept] >= self.instance_threshold)]
        return kept, scores[kept]


@dataclass(frozen=True)
class _InstanceMasks:
    """Which pixels are whose: §3.2."""

    masks: MaskMode | None
    mask_threshold: float
    mask_distance: float | None

    def __post_init__(self) -> None:
        if self.masks is not None:
            _OPTIONS.choice("masks", self.masks, MaskMode)
        reach = self.mask_distance
        _OPTIONS.check("mask_threshold", self.mask_threshold, 0 < self.mask_threshold < 1, "in (0, 1)")
        _OPTIONS.check("mask_distance", reach, reach is None or reach > 0, "null or positive")
        everything = self.masks == "exclusive" and reach is None
        _OPTIONS.check("mask_distance", reach, not everything, "a number with masks=exclusive: the best instance would have all")

    def levels(self, foreground: Tensor, distance: Tensor) -> Tensor:
        """(P, h, w) in [-1, 1], above 0 inside an instance, of foreground (h, w) and distance (P, h, w)."""
        level = foreground_level(foreground, self.mask_threshold).expand_as(distance)
        if self.mask_distance is not None:
            level = torch.minimum(level, 1 - distance / self.mask_distance)
        if self.masks == "exclusive":
            level = left_by_better(level)
        elif self.masks == "nearest":
            level = torch.minimum(level, nearer_than_others(distance))
        return level.clamp(-1, 1)


def _read(maps: Tensor, points: Tensor, grid: Grid) -> Tensor:
    """What each keypoint's map (B, K, h, w) has at instances' points (B, P, K, 2), input px: (B, P, K); (B, K, D, h, w): with D."""
    return sample_bilinear(maps, grid.to_cells(points.transpose(1, 2))).transpose(1, 2)


def _finer(grid: Grid, stride: int) -> Grid:
    """The grid of ``stride`` whose first cell lies where that of ``grid`` does; ConfigError where it does not divide."""
    if grid.stride % stride:
        raise ConfigError(f"decoder personlab: vote_stride {stride} should divide the maps' stride, {grid.stride}")
    return Grid(stride, grid.origin)
