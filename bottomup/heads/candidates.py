"""Candidates: where each kind of keypoint may be, whoever's it is."""

from __future__ import annotations

from typing import Annotated

import torch

from bottomup.contracts import HEADS, Head, Source, probability, probability_grid
from bottomup.heads._faults import Faults
from bottomup.heads._peaks import HeatmapPeaks, VotePeaks
from bottomup.ops.peaks import Refinement
from bottomup.options import BelowOne, Count, Fraction, FromZero, Positive, Window
from bottomup.types import Batch, Features, Outputs, Task


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
        count: Count = 30,
        threshold: BelowOne = 0.1,
        window: Window = 3,
        refine: Refinement = "quarter",
        radius: Annotated[Positive, "input px"] = 32.0,
        jitter: FromZero = 0.0,
        misses: BelowOne = 0.0,
        false_peaks: Fraction = 0.0,
    ) -> None:
        super().__init__(source, task)
        self.count, self.threshold = count, threshold
        self.peaks = VotePeaks(window, radius) if "short_offsets" in source.grids else HeatmapPeaks(window, refine)
        self.faults = Faults(jitter, misses, false_peaks)
        self.limits = {"count": count}
        self.requires = {"heatmap | heatmap_logits": "B K h w", "short_offsets?": "B K 2 h w"}
        self.provides = {"candidates": "B K M 3"}

    def forward(self, features: Features, outputs: Outputs) -> Outputs:
        """(B, K, M, 3) x, y in input px and score in [0, 1], best first; score 0 is padding. Float32, without gradients."""
        heatmap = probability(outputs, "heatmap").float().detach()  # maps learn from their own loss alone
        grid = probability_grid(self.source, "heatmap")
        cells, scores = self.peaks.find(heatmap, outputs, grid, self.count)
        scores = torch.where(scores >= self.threshold, scores.clamp(max=1.0), 0.0)
        return {"candidates": torch.cat((grid.to_input(cells), scores[..., None]), dim=-1)}

    def ideal(self, batch: Batch) -> Outputs:
        """Every annotated keypoint, score 1; M is the number of people, twice as many where there are false ones."""
        scores = batch.labelled.transpose(1, 2).float()[..., None]  # (B, K, N, 1)
        true = torch.cat((batch.keypoints.transpose(1, 2), scores), dim=-1)
        return {"candidates": self.faults(true, batch)}
