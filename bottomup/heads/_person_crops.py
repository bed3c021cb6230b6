"""What the Pose Residual Network sees of a person: maps of each keypoint over its box, of ``ops.crops.CROP`` cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

from torch import Tensor

from bottomup.contracts import probability
from bottomup.geometry import Grid
from bottomup.ops.crops import best_in_boxes, cropped, cropped_gaussians, gaussians
from bottomup.types import Outputs


class Crops(Protocol):
    """Makes the crops (B, R, K, 56, 36) of the proposals from earlier heads' outputs."""

    requires: ClassVar[dict[str, str]]  # beside the proposals

    def __call__(self, outputs: Outputs) -> Tensor:
        """The crops of every proposal."""


@dataclass(frozen=True)
class PeakCrops:
    """Gaussians of ``sigma`` crop cells and ``mass`` about the candidates in each box.

    Those outside it by at most ``margin`` of its sides are moved to its border; with ``scored`` each counts by its score.
    """

    sigma: float
    mass: float
    scored: bool
    margin: float
    requires: ClassVar[dict[str, str]] = {"candidates": "B K M 3"}

    def __call__(self, outputs: Outputs) -> Tensor:
        """(B, R, K, 56, 36), of several candidates the sum."""
        points, scores, _ = best_in_boxes(outputs["candidates"], outputs["proposals"], self.margin)
        weights = scores if self.scored else (scores > 0).to(scores.dtype)
        return gaussians(points, weights * self.mass, self.sigma)


@dataclass(frozen=True)
class HeatmapCrops:
    """The heatmap, cropped and resized."""

    grid: Grid
    requires: ClassVar[dict[str, str]] = {"heatmap | heatmap_logits": "B K h w"}

    def __call__(self, outputs: Outputs) -> Tensor:
        """(B, R, K, 56, 36) of the heatmap in each box."""
        heatmap = probability(outputs, "heatmap").float().detach()  # maps learn from their own loss alone
        return cropped(heatmap, outputs["proposals"], self.grid)


@dataclass(frozen=True)
class DrawnCrops:
    """``HeatmapCrops`` where no head gives a heatmap: of one with gaussians of ``sigma`` input px, as high as candidates score."""

    grid: Grid
    sigma: float
    requires: ClassVar[dict[str, str]] = {"candidates": "B K M 3"}

    def __call__(self, outputs: Outputs) -> Tensor:
        """(B, R, K, 56, 36), of several candidates the highest."""
        points, scores = outputs["candidates"].split((2, 1), dim=-1)
        return cropped_gaussians(points, scores[..., 0], outputs["proposals"], self.sigma, self.grid)
