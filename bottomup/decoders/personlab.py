"""Hough votes, seeds, a walk along the skeleton's tree, scores: PersonLab §3.1."""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from bottomup.errors import ConfigError
from bottomup.geometry import Grid, resize
from bottomup.ops.fields import FIELDS, read_fields
from bottomup.ops.hough import centre_of_mass, hough_votes
from bottomup.ops.peaks import find_peaks
from bottomup.ops.sampling import gather_maps, sample_bilinear, sample_channels
from bottomup.ops.seeds import select_seeds
from bottomup.ops.suppression import claimed, oks_nms
from bottomup.ops.walk import strides, walk
from bottomup.registry import unknown
from bottomup.stages import DECODERS, Decoder
from bottomup.types import Frame, Instances, Outputs, Prediction, Task

Scoring = Literal["expected_oks", "hough"]
Suppression = Literal["soft", "hard"]
SeedPlace = Literal["centre_of_mass", "cell"]

_HARD = 0.5  # OKS, PersonLab A.2


@DECODERS.register
class Personlab(Decoder):
    """Greedy decoding of Hough votes along mid-range offsets, PersonLab §3.1.

    Cells vote by their short offsets (eq. 1, disks of ``radius`` input px); every local maximum of at least
    ``detection_threshold`` among ``window`` x ``window`` cells may seed an instance, the best first, unless it lies within
    ``nms_radius`` input px of the same keypoint of one found before. A seed grows along the mid offsets, which are read refined
    (eq. 2). ``scoring`` is "expected_oks" (eq. 3) or "hough"; ``nms`` is "soft" (eq. 4: only keypoints that no better
    instance has claimed count) or "hard" (OKS above 0.5 drops). At most ``max_people`` instances.

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
        max_peaks: int = 60,
        vote_threshold: float | None = None,
        vote_stride: int | None = None,
        seed_place: SeedPlace = "centre_of_mass",
        scoring: Scoring = "expected_oks",
        nms: Suppression = "soft",
    ) -> None:
        if task.skeleton is None or not task.skeleton.edges:
            raise ConfigError("decoder personlab walks the skeleton's tree; this task has none")
        _check("max_people", max_people, isinstance(max_people, int) and max_people >= 1, "a whole number, at least 1")
        _check("max_peaks", max_peaks, isinstance(max_peaks, int) and max_peaks >= 1, "a whole number, at least 1")
        _check("window", window, isinstance(window, int) and window % 2 == 1 and window >= 3, "an odd number of cells, at least 3")
        _check("radius", radius, radius > 0, "positive input px")
        _check("nms_radius", nms_radius, nms_radius >= 0, "input px, from 0")
        _check("detection_threshold", detection_threshold, 0 <= detection_threshold < 1, "in [0, 1)")
        _check("vote_threshold", vote_threshold, vote_threshold is None or 0 <= vote_threshold < 1, "null or in [0, 1)")
        _check("vote_stride", vote_stride, vote_stride is None or vote_stride >= 1, "null or whole input px, at least 1")
        for option, value, kind in (
            ("seed_place", seed_place, SeedPlace),
            ("scoring", scoring, Scoring),
            ("nms", nms, Suppression),
        ):
            if value not in get_args(kind):
                raise ConfigError("decoder personlab: " + unknown(f"{option} option", value, list(get_args(kind))))
        self.skeleton = task.skeleton
        self.plan = strides(task.skeleton)
        self.max_people, self.max_peaks, self.window = max_people, max_peaks, window
        self.radius, self.nms_radius, self.detection_threshold = radius, nms_radius, detection_threshold
        self.vote_threshold, self.vote_stride, self.seed_place = vote_threshold, vote_stride, seed_place
        self.scoring, self.nms = scoring, nms
        self.requires = dict(FIELDS)

    def tensors(self, outputs: Outputs, frame: Frame) -> dict[str, Tensor]:
        """``points`` (B, P, K, 2) input px and ``scores`` (B, P, K) in [0, 1] of P = ``max_people`` instances; all 0 is nobody."""
        heatmap, short, mid, grid = read_fields(outputs, frame, self.skeleton)
        votes, fine = self._vote(heatmap, short, grid)
        seeds, seed_scores = self._seeds(votes, fine)

        def step(points: Tensor, edges: Tensor) -> Tensor:
            return points + sample_channels(mid, edges, grid.to_cells(points))

        poses = walk(seeds, self.plan, step)
        points, _, found = select_seeds(poses, seed_scores, self.nms_radius, self.max_people)
        return {"points": points, "scores": self._score(points, heatmap, grid, votes, fine) * (found > 0)[..., None]}

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

    def _score(self, points: Tensor, heatmap: Tensor, grid: Grid, votes: Tensor, fine: Grid) -> Tensor:
        """The score (B, P, K) of every keypoint."""
        places = points.transpose(1, 2)  # (B, K, P, 2)
        if self.scoring == "hough":
            return sample_bilinear(votes, fine.to_cells(places)).transpose(1, 2)
        present = sample_bilinear(heatmap, grid.to_cells(places))
        return (present * self._expected_oks(places, votes, fine)).transpose(1, 2)

    def _expected_oks(self, places: Tensor, votes: Tensor, grid: Grid) -> Tensor:
        """(B, K, P) the OKS that the votes in the disk about each place (B, K, P, 2) promise: the integral of eq. 3."""
        h, w = votes.shape[-2:]
        reach = math.ceil(self.radius / grid.stride)
        steps = torch.cartesian_prod(*[torch.arange(-reach, reach + 1.0, device=votes.device)] * 2)
        around = grid.to_cells(places).round()[..., None, :] + steps  # (B, K, P, S, 2)
        x, y = around.unbind(-1)
        apart = (grid.to_input(around) - places[..., None, :]).square().sum(-1)
        counted = (apart <= self.radius**2) & (x >= 0) & (x < w) & (y >= 0) & (y < h)
        mass = torch.where(counted, gather_maps(votes, around), 0.0)
        scale = _areas(places).view(len(places), 1, -1, 1)  # λ², px²
        kappa = 2 * votes.new_tensor(self.skeleton.sigmas).view(1, -1, 1, 1)
        similar = torch.exp(-apart / (2 * scale * kappa.square()).clamp(min=1e-6))
        return (mass * similar).sum(-1) / mass.sum(-1).clamp(min=torch.finfo(mass.dtype).tiny)

    def people(self, tensors: dict[str, Tensor], frame: Frame) -> list[Prediction]:
        """Score the instances of each image and drop those that better ones explain; points are kept inside the content."""
        content = frame.content.cpu()
        images = zip(tensors["points"].float().cpu(), tensors["scores"].float().cpu(), content, strict=True)
        return [Prediction(self._instances(*image), frame.size) for image in images]

    def _instances(self, points: Tensor, scores: Tensor, content: Tensor) -> Instances:
        scores = scores.clamp(0.0, 1.0)
        there = (scores > 0).any(1)
        points, scores = points[there].clamp(content[:2], content[2:]), scores[there]
        order = scores.mean(1).argsort(descending=True, stable=True)
        points, scores = points[order], scores[order]
        if self.nms == "hard":
            instances = self._of(points, scores, scores.mean(1))
            return instances[oks_nms(instances, self.skeleton.sigmas, _HARD)]
        own = (scores * ~claimed(points, self.nms_radius)).mean(1)
        kept = own > 0
        order = own[kept].argsort(descending=True, stable=True)
        return self._of(points[kept][order], scores[kept][order], own[kept][order])

    @staticmethod
    def _of(points: Tensor, keypoint_scores: Tensor, scores: Tensor) -> Instances:
        found = (keypoint_scores > 0)[..., None]
        return Instances.of_keypoints(torch.where(found, points, torch.nan), keypoint_scores, scores)


def _areas(places: Tensor) -> Tensor:
    """(B, P) the area, px², of the box around the keypoints (B, K, P, 2) of each instance."""
    return (places.amax(1) - places.amin(1)).prod(-1)


def _finer(grid: Grid, stride: int) -> Grid:
    """The grid of ``stride`` whose first cell lies where that of ``grid`` does; ConfigError where it does not divide."""
    if grid.stride % stride:
        raise ConfigError(f"decoder personlab: vote_stride {stride} should divide the maps' stride, {grid.stride}")
    return Grid(stride, grid.origin)


def _check(option: str, given: Any, fits: bool, expected: str) -> None:
    if not fits:
        raise ConfigError(f"decoder personlab: {option} should be {expected}, got {given}")
