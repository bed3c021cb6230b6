"""Hough votes, seeds, a walk along the skeleton's tree, scores: PersonLab §3.1."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from bottomup.errors import ConfigError
from bottomup.geometry import Grid, resize
from bottomup.masks import Masks
from bottomup.ops.fields import FIELDS, MASK_FIELDS, read_fields, read_mask_fields
from bottomup.ops.hough import centre_of_mass, expected_oks, hough_votes
from bottomup.ops.masks import embedding_distance, foreground_level, nearer_than_others
from bottomup.ops.peaks import find_peaks
from bottomup.ops.sampling import sample_bilinear, sample_channels
from bottomup.ops.seeds import select_seeds
from bottomup.ops.suppression import claimed, oks_nms
from bottomup.ops.walk import strides, walk
from bottomup.options import Options
from bottomup.stages import DECODERS, Decoder
from bottomup.types import Frame, Instances, Outputs, Prediction, Task

Scoring = Literal["expected_oks", "hough"]
Suppression = Literal["soft", "hard"]
SeedPlace = Literal["centre_of_mass", "cell"]
MaskMode = Literal["overlapping", "exclusive"]

_HARD = 0.5  # OKS, PersonLab A.2
_FAINT = 1e-6  # the least score of a found person's keypoint, for the walk places every keypoint
_PIXELS = Grid.centred(1)


@DECODERS.register
class Personlab(Decoder):
    """Greedy decoding of Hough votes along mid-range offsets, PersonLab §3.1.

    Cells vote by their short offsets (eq. 1, disks of ``radius`` input px); every local maximum of at least
    ``detection_threshold`` among ``window`` x ``window`` cells may seed an instance, the best first, unless it lies within
    ``nms_radius`` input px of the same keypoint of one found before. A seed grows along the mid offsets, which are read refined
    (eq. 2). ``scoring`` is "expected_oks" (eq. 3) or "hough"; ``nms`` is "soft" (eq. 4: only keypoints that no better
    instance has claimed count) or "hard" (OKS above 0.5 drops). Seeds end with the ``max_people``-th instance, as in Google's
    code; those that score below ``instance_threshold`` are dropped. Every instance has all keypoints, however faint.

    Where the model has segmentation and long offsets, a pixel of foreground, a probability of ``mask_threshold`` or more, is in
    the mask of every instance whose keypoints its long offsets hit within ``mask_distance`` of the instance's size (eq. 6;
    None: any distance). ``masks`` "overlapping" is the paper's, "exclusive" leaves it to the nearest instance, however low its
    score (so raise ``instance_threshold``), None makes none.

    Where eqs 3 and 6 divide by an instance's size, it is ``smallest`` input px or more, which the paper leaves out.

    All seeds, ``max_peaks`` of each keypoint, are walked at once; only the rejection is one after the other.

    What the paper leaves open: it votes on maps enlarged to the image; here at the maps' own stride, or at ``vote_stride``
    input px where that divides it, to which scores and offsets are then resized. ``seed_place`` "centre_of_mass" says where
    between the cells a peak lies, "cell" takes its cell. With ``vote_threshold`` only cells of a higher probability vote;
    None, as the paper, lets all.
    """

    def __init__(
        self,
        task: Task,
        *,
        max_people: int = 20,
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
        instance_threshold: float = 0.0,
        smallest: float = 10.0,
        masks: MaskMode | None = "overlapping",
        mask_threshold: float = 0.5,
        mask_distance: float | None = 0.25,
    ) -> None:
        if task.skeleton is None or not task.skeleton.edges:
            raise ConfigError("decoder personlab walks the skeleton's tree; this task has none")
        options = Options("decoder personlab")
        options.whole("max_people", max_people)
        options.whole("max_peaks", max_peaks)
        options.window("window", window)
        options.check("radius", radius, radius > 0, "positive input px")
        options.check("instance_threshold", instance_threshold, 0 <= instance_threshold < 1, "in [0, 1)")
        options.check("smallest", smallest, smallest > 0, "positive input px")
        options.check("nms_radius", nms_radius, nms_radius >= 0, "input px, from 0")
        options.check("detection_threshold", detection_threshold, 0 <= detection_threshold < 1, "in [0, 1)")
        options.check("vote_threshold", vote_threshold, vote_threshold is None or 0 <= vote_threshold < 1, "null or in [0, 1)")
        options.check("vote_stride", vote_stride, vote_stride is None or vote_stride >= 1, "null or whole input px, at least 1")
        options.check("mask_threshold", mask_threshold, 0 < mask_threshold < 1, "in (0, 1)")
        options.check("mask_distance", mask_distance, mask_distance is None or mask_distance > 0, "null or positive")
        options.choice("seed_place", seed_place, SeedPlace)
        options.choice("scoring", scoring, Scoring)
        options.choice("nms", nms, Suppression)
        if masks is not None:
            options.choice("masks", masks, MaskMode)
        self.skeleton = task.skeleton
        self.plan = strides(task.skeleton)
        self.max_people, self.max_peaks, self.window = max_people, max_peaks, window
        self.radius, self.nms_radius, self.detection_threshold = radius, nms_radius, detection_threshold
        self.vote_threshold, self.vote_stride, self.seed_place = vote_threshold, vote_stride, seed_place
        self.scoring, self.nms, self.instance_threshold, self.smallest = scoring, nms, instance_threshold, smallest
        self.masks, self.mask_threshold, self.mask_distance = masks, mask_threshold, mask_distance
        self.requires = FIELDS | (MASK_FIELDS if masks else {})

    def tensors(self, outputs: Outputs, frame: Frame) -> dict[str, Tensor]:
        """``points`` (B, P, K, 2) input px and ``scores`` (B, P, K) in [0, 1] of P = ``max_people`` instances; all 0 is nobody.

        With masks ``foreground`` (B, h, w) in [0, 1] and ``distance`` (B, P, h, w) of cells to instances, in their sizes, too.
        """
        heatmap, short, mid, grid = read_fields(outputs, frame, self.skeleton)
        votes, fine = self._vote(heatmap, short, grid)
        seeds, seed_scores = self._seeds(votes, fine)

        def step(points: Tensor, edges: Tensor) -> Tensor:
            return points + sample_channels(mid, edges, grid.to_cells(points))

        poses = walk(seeds, self.plan, step)
        points, _, found = select_seeds(poses, seed_scores, self.nms_radius, self.max_people)
        there = (found > 0)[..., None]
        presence = sample_bilinear(heatmap, grid.to_cells(points.transpose(1, 2))).transpose(1, 2)  # (B, P, K)
        scores = self._score(points, presence, votes, fine).clamp(min=_FAINT) * there
        return {"points": points, "scores": scores} | self._embedding(points, presence * there, outputs, frame)

    def _embedding(self, points: Tensor, presence: Tensor, outputs: Outputs, frame: Frame) -> dict[str, Tensor]:
        """What masks are made of: eq. 6."""
        fields = read_mask_fields(outputs, frame, self.skeleton) if self.masks else None
        if fields is None:
            return {}
        distance = embedding_distance(fields.long, points, presence, fields.grid, self.smallest)
        return {"foreground": fields.foreground, "distance": distance}

    def _vote(self, heatmap: Tensor, short: Tensor, grid: Grid) -> tuple[Tensor, Grid]:
        """The Hough score maps and their grid: eq. 1."""
        fine = grid if self.vote_stride is None else _finer(grid, self.vote_stride)
        if fine != grid:
            h, w = ((side - 1) * (grid.stride // fine.stride) + 1 for side in heatmap.shape[-2:])
            shape = (h, w)
            heatmap = resize(heatmap, grid, fine, shape)
            short = resize(short.flatten(1, 2), grid, fine, shape).unflatten(1, (-1, 2))
        return hough_votes(heatmap, short, fine, self.radius, self.vote_threshold), fine

    def _seeds(self, votes: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
        """Where instances may start: points (B, K, M, 2) input px and their scores (B, K, M), 0 below the threshold."""
        peaks = find_peaks(votes, self.max_peaks, self.window)
        cells = centre_of_mass(votes, peaks.cells) if self.seed_place == "centre_of_mass" else peaks.cells
        return grid.to_input(cells), torch.where(peaks.scores >= self.detection_threshold, peaks.scores, 0.0)

    def _score(self, points: Tensor, presence: Tensor, votes: Tensor, fine: Grid) -> Tensor:
        """The score (B, P, K) of every keypoint."""
        if self.scoring == "hough":
            return sample_bilinear(votes, fine.to_cells(points.transpose(1, 2))).transpose(1, 2)
        return presence * expected_oks(votes, points, fine, self.radius, self.smallest, self.skeleton.sigmas)

    def people(self, tensors: dict[str, Tensor], frame: Frame) -> list[Prediction]:
        """Score the instances of each image and drop those that better ones explain; points are kept inside the content."""
        tensors = {name: tensor.float().cpu() for name, tensor in tensors.items()}
        content = frame.content.cpu()
        images = [{name: tensor[row] for name, tensor in tensors.items()} for row in range(len(content))]
        return [self._prediction(image, inner, frame) for image, inner in zip(images, content, strict=True)]

    def _prediction(self, image: dict[str, Tensor], content: Tensor, frame: Frame) -> Prediction:
        scores = image["scores"].clamp(0.0, 1.0)
        there = (scores > 0).any(1).nonzero()[:, 0]
        rows = there[scores[there].mean(1).argsort(descending=True, stable=True)]
        kept, own = self._suppress(Instances.of_keypoints(image["points"][rows], scores[rows], scores[rows].mean(1)))
        rows = rows[kept]
        found = Instances.of_keypoints(image["points"][rows].clamp(content[:2], content[2:]), scores[rows], own)
        if "distance" not in image:
            return Prediction(found, frame.size)
        grid, foreground = frame.grids["long_offsets"], image["foreground"]
        masks = Masks.of_levels(self._levels(foreground, image["distance"][rows]), grid)
        return Prediction(replace(found, masks=masks), frame.size, resize(foreground[None, None], grid, _PIXELS, frame.size)[0, 0])

    def _suppress(self, found: Instances) -> tuple[Tensor, Tensor]:
        """Which of instances, given best first, better ones do not explain, and the scores that are left to them, best first."""
        if self.nms == "hard":
            kept, scores = oks_nms(found, self.skeleton.sigmas, _HARD).nonzero()[:, 0], found.scores
        else:
            scores = (found.keypoint_scores * ~claimed(found.keypoints, self.nms_radius)).mean(1)
            kept = scores.argsort(descending=True, stable=True)
        kept = kept[(scores[kept] > 0) & (scores[kept] >= self.instance_threshold)]
        return kept, scores[kept]

    def _levels(self, foreground: Tensor, distance: Tensor) -> Tensor:
        """(P, h, w) in [-1, 1], above 0 inside an instance, of foreground (h, w) and distance (P, h, w)."""
        level = foreground_level(foreground, self.mask_threshold).expand_as(distance)
        if self.mask_distance is not None:
            level = torch.minimum(level, 1 - distance / self.mask_distance)
        if self.masks == "exclusive":
            level = torch.minimum(level, nearer_than_others(distance))
        return level.clamp(-1, 1)


def _finer(grid: Grid, stride: int) -> Grid:
    """The grid of ``stride`` whose first cell lies where that of ``grid`` does; ConfigError where it does not divide."""
    if grid.stride % stride:
        raise ConfigError(f"decoder personlab: vote_stride {stride} should divide the maps' stride, {grid.stride}")
    return Grid(stride, grid.origin)
