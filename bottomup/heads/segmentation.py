"""Segmentation: for each category, the probability that a pixel belongs to any of its instances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bottomup.contracts import HEADS, Head, Source
from bottomup.geometry import any_at_cells, share_of_cells
from bottomup.heads._objects import Sizes, in_boxes, left_out
from bottomup.ops.start import Start, start_as
from bottomup.ops.targets import counted_mean
from bottomup.options import Natural
from bottomup.shapes import check_shape
from bottomup.types import Batch, Features, IgnoreMap, Outputs, Targets, Task

Criterion = Literal["mse", "logistic"]


@HEADS.register
class Segmentation(Head):
    """The union of all instance masks.

    ``criterion`` is "mse" on linear maps (Associative Embedding §3.4, the heatmap of foreground) or "logistic" on logits
    (PersonLab §3.2). ``ignore`` names the ignore maps whose cells the loss leaves out ("unmasked" are people without a mask); it
    also leaves out, of several categories', what lies inside several instances. ``start`` says how the weights begin: as "torch"
    draws them, or so that all is "background", as a heatmap's may. Associative Embedding §4.2 masks its loss: objects whose boxes'
    longer side is not in ``sizes`` do not count (None: all do), nor do pixels at most ``border`` px from an outline.

    What the papers leave open: the target is the share of a cell's square that the masks cover, so that a mask drawn between the
    cells where the map crosses 1/2 keeps its outline.
    """

    pointwise = True
    reads_instances = True

    def __init__(
        self,
        source: Source,
        task: Task,
        *,
        criterion: Criterion = "logistic",
        start: Start = "torch",
        ignore: Sequence[IgnoreMap] = ("crowd", "unmasked", "padding"),
        sizes: Sizes | None = None,
        border: Annotated[Natural, "input px"] = 0,
    ) -> None:
        super().__init__(source, task)
        self.sizes, self.border = sizes, border
        self.ignores = frozenset(ignore)
        self.key = "segmentation" if criterion == "mse" else "segmentation_logits"
        channels = len(task.categories)
        self.conv = nn.Conv2d(source.level.channels, channels, 1)
        start_as(self.conv, start, logits=criterion == "logistic")
        self.provides = {self.key: "B C h w"}
        self.grids = {self.key: source.level.grid}
        self.feedback = channels

    def forward(self, features: Features, outputs: Outputs) -> Outputs:
        """(B, C, h, w) float32: linear ("mse") or before the sigmoid ("logistic")."""
        (maps,) = features.values()
        return {self.key: self.conv(maps).float()}

    def encode(self, batch: Batch, outputs: Outputs) -> Targets:
        """The masks' share of each cell, and the cells that the loss counts."""
        ignored, several = batch.ignored(self.ignores), len(self.task.categories) > 1
        if batch.instances is not None:
            ignored = ignored | left_out(batch.instances, batch, self.sizes, self.border)
            ignored = ignored | (batch.instances < 0) if several else ignored
        return {"mask": self._masks(batch), "counted": ~any_at_cells(ignored, self.grids[self.key])}

    def _masks(self, batch: Batch) -> Tensor:
        """(B, C, h, w) in [0, 1]; a pixel inside several instances belongs to all categories of whose boxes one holds it."""
        if batch.instances is None:
            raise ValueError("head segmentation reads Batch.instances; load the data with the map 'instances'")
        pixels = batch.instances.long()
        labels = F.pad(batch.labels, (1, 0))  # index n + 1
        label = labels.gather(1, pixels.clamp(min=0).flatten(1)).view_as(pixels)
        inside = [((pixels > 0) & (label == category)) | self._shared(batch, category) for category in self._labels]
        return torch.stack([share_of_cells(mask, self.grids[self.key]) for mask in inside], dim=1)

    @property
    def _labels(self) -> range:
        return range(len(self.task.categories))

    def _shared(self, batch: Batch, category: int) -> Tensor:
        """(B, H, W) bool: the pixels inside several instances, of several categories those that may be of this one."""
        assert batch.instances is not None
        shared = batch.instances < 0
        return shared & in_boxes(batch, category) if len(self._labels) > 1 else shared

    def loss(self, outputs: Outputs, targets: Targets) -> dict[str, Tensor]:
        """The criterion's mean over categories and cells, 0 where ignored; "logistic" over the cells that count alone."""
        check_shape(self.key, outputs[self.key], "B C h w", {"C": len(self.task.categories)})
        if self.key == "segmentation":
            error = (outputs[self.key] - targets["mask"]).square()
            return {"mask": (error * targets["counted"][:, None]).mean((1, 2, 3))}
        error = F.binary_cross_entropy_with_logits(outputs[self.key], targets["mask"], reduction="none")
        return {"mask": counted_mean(error, targets["counted"])}

    def ideal(self, batch: Batch) -> Outputs:
        """The shares themselves; as logits, from -20 to 20."""
        masks = self._masks(batch)
        return {self.key: masks if self.key == "segmentation" else torch.logit(masks).clamp(-20.0, 20.0)}
