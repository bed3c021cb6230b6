"""Candidates: where each kind of keypoint may be, whoever's it is."""

from __future__ import annotations

import torch
from torch import Tensor

from bottomup.ops.hough import centre_of_mass, hough_votes
from bottomup.ops.peaks import Refinement, find_peaks, refine_peaks
from bottomup.options import BELOW_ONE, FRACTION, FROM_ZERO, POSITIVE, Options
from bottomup.stages import HEADS, Head, Source, probability, probability_grid
from bottomup.types import Batch, Features, Outputs, Task

_DOUBT = 0.5  # how far below 1 a true score may lie, and how high a false one, where they are made as faulty as predicted ones


@HEADS.register
class Candidates(Head):
    """The best peaks of the heatmap, or of PersonLab's Hough votes where there are short offsets; no weights.

    ``count`` peaks of each keypoint of at least ``threshold``, each the highest of ``window`` x ``window`` cells, are placed
    between the cells by ``refine`` (see ``ops.peaks.refine_peaks``); votes are of disks of ``radius`` input px and their peaks
    lie at the centre of mass.

    MultiPoseNet names neither threshold nor window; 0.1 and 3 cells are its PyTorch re-implementation's.

    ``ideal`` may be made as faulty as predictions are, to train on labels alone what will read those (not in the paper): each
    true keypoint is moved by a normal deviate of ``jitter`` times the root of its person's area and lost with the probability
    ``misses``; ``false_peaks`` is the chance that a person's box holds a false one of a kind, anywhere. True ones then score from
    a half on, false ones less, in evaluation, too. The random numbers are torch's.
    """

    reads_features = False

    def __init__(
        self,
        source: Source,
        task: Task,
        *,
        count: int = 30,
        threshold: float = 0.1,
        window: int = 3,
        refine: Refinement = "quarter",
        radius: float = 32.0,
        jitter: float = 0.0,
        misses: float = 0.0,
        false_peaks: float = 0.0,
    ) -> None:
        super().__init__(source, task)
        options = Options("head candidates")
        options.whole("count", count)
        options.window("window", window)
        options.choice("refine", refine, Refinement)
        options.number("threshold", threshold, BELOW_ONE)
        options.number("radius", radius, POSITIVE)
        options.number("jitter", jitter, FROM_ZERO)
        options.number("misses", misses, BELOW_ONE)
        options.number("false_peaks", false_peaks, FRACTION)
        self.jitter, self.misses, self.false_peaks = jitter, misses, false_peaks
        self.count, self.threshold, self.window, self.refine, self.radius = count, threshold, window, refine, radius
        self.limits = {"count": count}
        self.requires = {"heatmap | heatmap_logits": "B K h w", "short_offsets?": "B K 2 h w"}
        self.provides = {"candidates": "B K M 3"}

    def forward(self, features: Features, outputs: Outputs) -> Outputs:
        """(B, K, M, 3) x, y in input px and score in [0, 1], best first; score 0 is padding. Float32, without gradients."""
        heatmap = probability(outputs, "heatmap").float().detach()  # maps learn from their own loss alone
        grid = probability_grid(self.source, "heatmap")
        if "short_offsets" in outputs:
            heatmap = hough_votes(heatmap, outputs["short_offsets"].float().detach(), grid, self.radius)
        peaks = find_peaks(heatmap, self.count, self.window)
        if "short_offsets" in outputs:
            cells = centre_of_mass(heatmap, peaks.cells)
        else:
            cells = refine_peaks(heatmap, peaks.cells, self.refine)
        scores = torch.where(peaks.scores >= self.threshold, peaks.scores.clamp(max=1.0), 0.0)
        return {"candidates": torch.cat((grid.to_input(cells), scores[..., None]), dim=-1)}

    def ideal(self, batch: Batch) -> Outputs:
        """Every annotated keypoint, score 1; M is the number of people, twice as many where there are false ones."""
        scores = batch.labelled.transpose(1, 2).float()[..., None]  # (B, K, N, 1)
        points = batch.keypoints.transpose(1, 2)
        if self.jitter or self.misses or self.false_peaks:
            sizes = batch.areas.sqrt()[:, None, :, None]
            points = points + torch.randn_like(points) * self.jitter * sizes
            kept = torch.rand_like(scores) >= self.misses
            scores = scores * kept * (1 - _DOUBT * torch.rand_like(scores))
        true = torch.cat((points, scores), dim=-1)
        return {"candidates": torch.cat((true, self._false(batch)), dim=2) if self.false_peaks else true}

    def _false(self, batch: Batch) -> Tensor:
        """(B, K, N, 3) candidates anywhere in people's boxes."""
        b, n, k = batch.visibility.shape
        corner, sides = batch.boxes[:, None, :, :2], (batch.boxes[..., 2:] - batch.boxes[..., :2])[:, None]
        points = corner + sides * torch.rand(b, k, n, 2, device=batch.boxes.device)
        drawn = torch.rand(b, k, n, 1, device=batch.boxes.device)
        there = (drawn < self.false_peaks) & batch.present[:, None, :, None]
        return torch.cat((points, there * _DOUBT * torch.rand_like(drawn)), dim=-1)
