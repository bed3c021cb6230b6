"""Where on the heatmap candidates of a keypoint lie: its own peaks, or those of PersonLab's Hough votes."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from bottomup.geometry import Grid
from bottomup.ops.hough import centre_of_mass, hough_votes
from bottomup.ops.peaks import Refinement, find_peaks, refine_peaks
from bottomup.types import Outputs


@dataclass(frozen=True)
class HeatmapPeaks:
    """Local maxima of the heatmap among ``window`` x ``window`` cells, placed between the cells by ``refine``."""

    window: int
    refine: Refinement

    def find(self, heatmap: Tensor, outputs: Outputs, grid: Grid, count: int) -> tuple[Tensor, Tensor]:
        """The cells (B, K, M, 2) and scores (B, K, M) of the ``count`` best of a heatmap (B, K, h, w)."""
        peaks = find_peaks(heatmap, count, self.window)
        return refine_peaks(heatmap, peaks.cells, self.refine), peaks.scores


@dataclass(frozen=True)
class VotePeaks:
    """Local maxima of what disks of ``radius`` input px vote for by short offsets, PersonLab eq. 1; at their centres of mass."""

    window: int
    radius: float

    def find(self, heatmap: Tensor, outputs: Outputs, grid: Grid, count: int) -> tuple[Tensor, Tensor]:
        """The cells (B, K, M, 2) and scores (B, K, M) of the ``count`` best of a heatmap (B, K, h, w)."""
        votes = hough_votes(heatmap, outputs["short_offsets"].float().detach(), grid, self.radius)
        peaks = find_peaks(votes, count, self.window)
        return centre_of_mass(votes, peaks.cells), peaks.scores
