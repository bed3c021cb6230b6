"""Heatmaps: one map of detection scores for each keypoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bottomup.contracts import HEADS, Head, Source
from bottomup.errors import ConfigError
from bottomup.geometry import any_at_cells
from bottomup.ops.start import Start, start_as
from bottomup.ops.targets import keypoint_distance
from bottomup.options import Positive
from bottomup.shapes import check_shape
from bottomup.types import Batch, Features, IgnoreMap, Outputs, Targets, Task

Shape = Literal["gaussian", "disk"]
Criterion = Literal["mse", "logistic"]

_CUT = 4.0  # sigmas; a gaussian is 3e-4 there, and 0 beyond, so that no denormal number slows the loss
_PEOPLE = frozenset({"unannotated"})  # of the ignore maps: who has keypoints, but untold
_SURE = 1e-6  # ideal logits are of probabilities at least this far from 0 and 1


@HEADS.register
class Heatmap(Head):
    """Where keypoints are: gaussians by mean square error (Associative Embedding §3.3) or disks by logistic loss (PersonLab §3.1).

    ``shape`` "gaussian" has ``sigma`` input px (the reference's 2 cells of stride 4 are 8), at the keypoint's exact place; of
    several people's the highest counts. ``sigma_cells`` is given in cells of the map instead, so that finer stages have narrower
    ones, as in HigherHRNet. "disk" is 1 within ``radius`` input px of a keypoint. A keypoint just out of the picture marks what its
    shape covers of it. ``criterion`` is "mse" on linear maps or "logistic" on logits. ``ignore`` names the ignore maps whose cells
    the loss leaves out: "unannotated" are people without keypoint annotation, who are neither background nor supervised; where
    they overlap others' labelled keypoints of a kind, that kind is supervised. Of keypoints that a data set does not annotate at
    all (``Batch.annotated``) the whole map is left out there: the image may well show them.

    ``start`` says how the weights begin: as "torch" draws them, or as next to nothing, so that all is "background": 0, or a
    probability of 0.01 (RetinaNet §3.3 and §4.1). Behind batch norm, whose features are large from the first step on, the network
    otherwise spends its first thousands of images on unlearning its own noise.

    Deviates from Associative Embedding: its code ignores crowds only (set ``ignore: [crowd]`` for that), and draws nothing of
    keypoints out of the picture.
    """

    pointwise = True

    def __init__(
        self,
        source: Source,
        task: Task,
        *,
        shape: Shape = "gaussian",
        criterion: Criterion = "mse",
        sigma: Annotated[Positive, "input px"] = 8.0,
        sigma_cells: Annotated[Positive, "cells"] | None = None,
        radius: Annotated[Positive, "input px"] = 32.0,
        start: Start = "torch",
        ignore: Sequence[IgnoreMap] = ("crowd", "unannotated", "padding"),
    ) -> None:
        super().__init__(source, task)
        if not task.keypoints:
            raise ConfigError("head heatmap needs a skeleton; the task has none")
        self.shape, self.radius = shape, radius
        self.sigma = sigma if sigma_cells is None else sigma_cells * source.level.grid.stride
        self.key = "heatmap" if criterion == "mse" else "heatmap_logits"
        self.conv = nn.Conv2d(source.level.channels, task.keypoints, 1)
        start_as(self.conv, start, logits=criterion == "logistic")
        self.provides = {self.key: "B K h w"}
        self.grids = {self.key: source.level.grid}
        self.ignores = frozenset(ignore)
        self.feedback = task.keypoints

    def forward(self, features: Features, outputs: Outputs) -> Outputs:
        """(B, K, h, w) float32: linear ("mse") or before the sigmoid ("logistic")."""
        (maps,) = features.values()
        return {self.key: self.conv(maps).float()}

    def encode(self, batch: Batch, outputs: Outputs) -> Targets:
        """The gaussians or disks, and the cells (B, K, h, w) that the loss counts."""
        shapes = self._shapes(batch)
        ignored, people = (self._ignored(batch, names)[:, None] for names in (self.ignores - _PEOPLE, self.ignores & _PEOPLE))
        counted = ~ignored & (~people | (shapes > 0))
        if batch.annotated is not None:
            counted = counted & batch.annotated[..., None, None]
        return {"heatmap": shapes, "counted": counted}

    def _ignored(self, batch: Batch, names: frozenset[str]) -> Tensor:
        """(B, h, w) bool: the cells of the named ignore maps."""
        return any_at_cells(batch.ignored(names), self.grids[self.key])

    def _shapes(self, batch: Batch) -> Tensor:
        """(B, K, h, w) float32 in [0, 1]."""
        distance = keypoint_distance(batch, self.grids[self.key])  # squared
        if self.shape == "disk":
            return (distance <= self.radius**2).float()
        distance = distance / self.sigma**2
        return torch.where(distance < _CUT**2, torch.exp(-distance / 2), 0.0)

    def loss(self, outputs: Outputs, targets: Targets) -> dict[str, Tensor]:
        """The criterion's mean over keypoints and cells, 0 where ignored; "logistic" over the ones that count alone."""
        maps, target, counted = outputs[self.key], targets["heatmap"], targets["counted"]
        check_shape(self.key, maps, "B K h w", {"K": self.task.keypoints})
        if self.key == "heatmap":
            return {"mse": ((maps - target).square() * counted).mean((1, 2, 3))}
        error = F.binary_cross_entropy_with_logits(maps, target, reduction="none") * counted
        return {"logistic": error.sum((1, 2, 3)) / counted.sum((1, 2, 3)).clamp(min=1)}

    def ideal(self, batch: Batch) -> Outputs:
        """The gaussians or disks themselves, or their logits."""
        shapes = self._shapes(batch)
        return {self.key: shapes if self.key == "heatmap" else shapes.logit(_SURE)}
