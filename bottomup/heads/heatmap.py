"""Heatmaps: one map of detection scores for each keypoint."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bottomup.errors import ConfigError
from bottomup.geometry import any_at_cells
from bottomup.ops.targets import keypoint_distance
from bottomup.shapes import check_shape
from bottomup.stages import HEADS, Head, Source
from bottomup.types import Batch, Features, Outputs, Targets, Task

_CUT = 4.0  # sigmas; a gaussian is 3e-4 there, and 0 beyond, so that no denormal number slows the loss


@HEADS.register
class Heatmap(Head):
    """Gaussians around keypoints by mean square error, Associative Embedding §3.3.

    ``sigma`` is the gaussian's, in input px (the reference's 2 cells of stride 4 are 8). The activation stands at the
    keypoint's exact place, of several people's the highest counts. ``unannotated`` keeps people without keypoint annotation
    out of the loss, as they are neither background nor taught.

    Deviates from the paper: it ignores crowds only; set ``unannotated: false`` for that.
    """

    def __init__(self, source: Source, task: Task, *, sigma: float = 8.0, unannotated: bool = True) -> None:
        super().__init__(source, task)
        if sigma <= 0:
            raise ConfigError(f"head heatmap: sigma should be positive input px, got {sigma}")
        if not task.keypoints:
            raise ConfigError("head heatmap needs a skeleton; the task has none")
        self.sigma = sigma
        self.conv = nn.Conv2d(source.level.channels, task.keypoints, 1)
        self.provides = {"heatmap": "B K h w"}
        self.grids = {"heatmap": source.level.grid}
        self.ignores = frozenset({"crowd", "padding"} | ({"unannotated"} if unannotated else set()))
        self.feedback = task.keypoints

    def forward(self, features: Features, outputs: Outputs) -> Outputs:
        """(B, K, h, w) linear scores, float32."""
        (maps,) = features.values()
        return {"heatmap": self.conv(maps).float()}

    def encode(self, batch: Batch, outputs: Outputs) -> Targets:
        """The gaussians, and the cells that the loss counts."""
        grid = self.grids["heatmap"]
        counted = ~any_at_cells(batch.ignored(self.ignores), grid)
        return {"heatmap": self._gaussians(batch), "counted": counted}

    def _gaussians(self, batch: Batch) -> Tensor:
        distance = keypoint_distance(batch, self.grids["heatmap"]) / self.sigma**2
        return torch.where(distance < _CUT**2, torch.exp(-distance / 2), 0.0)

    def loss(self, outputs: Outputs, targets: Targets) -> dict[str, Tensor]:
        """Mean square error over keypoints and cells, 0 where ignored."""
        heatmap = outputs["heatmap"]
        check_shape("heatmap", heatmap, "B K h w", {"K": self.task.keypoints})
        error = (heatmap - targets["heatmap"]).square() * targets["counted"][:, None]
        return {"mse": error.mean((1, 2, 3))}

    def ideal(self, batch: Batch) -> Outputs:
        """The gaussians themselves."""
        return {"heatmap": self._gaussians(batch)}
