"""Short-range offsets: from around a keypoint to its exact place."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor, nn

from bottomup.contracts import HEADS, Head, Source
from bottomup.errors import ConfigError
from bottomup.ops.offsets import offset_error, offsets_to
from bottomup.ops.targets import nearest_keypoints
from bottomup.options import Positive
from bottomup.shapes import check_shape
from bottomup.types import Batch, Features, Outputs, Targets, Task


@HEADS.register
class ShortOffsets(Head):
    """For every keypoint a field of offsets to it, PersonLab §3.1; trained within ``radius`` input px of the keypoint.

    Where disks overlap, the closest person's keypoint counts, be it just out of the picture.
    """

    def __init__(self, source: Source, task: Task, *, radius: Annotated[Positive, "input px"] = 32.0) -> None:
        super().__init__(source, task)
        if not task.keypoints:
            raise ConfigError("head short_offsets needs a skeleton; the task has none")
        self.radius = radius
        self.conv = nn.Conv2d(source.level.channels, task.keypoints * 2, 1)
        self.provides = {"short_offsets": "B K 2 h w"}
        self.grids = {"short_offsets": source.level.grid}
        self.feedback = task.keypoints * 2

    def forward(self, features: Features, outputs: Outputs) -> Outputs:
        """(B, K, 2, h, w) input px, float32."""
        (maps,) = features.values()
        return {"short_offsets": self.conv(maps).float().unflatten(1, (-1, 2))}

    def encode(self, batch: Batch, outputs: Outputs) -> Targets:
        """The offsets to the closest keypoint, and the cells within its disk."""
        grid = self.grids["short_offsets"]
        nearest = nearest_keypoints(batch, grid)
        target = offsets_to(batch.keypoints, nearest.person, grid)
        return {"target": target, "inside": nearest.distance <= self.radius**2}

    def loss(self, outputs: Outputs, targets: Targets) -> dict[str, Tensor]:
        """L1 / radius, averaged over the disks."""
        offsets = outputs["short_offsets"]
        check_shape("short_offsets", offsets, "B K 2 h w", {"K": self.task.keypoints})
        return {"l1": offset_error(offsets, targets["target"], targets["inside"], self.radius)}

    def ideal(self, batch: Batch) -> Outputs:
        """Every cell points to the closest keypoint, however far."""
        grid = self.grids["short_offsets"]
        return {"short_offsets": offsets_to(batch.keypoints, nearest_keypoints(batch, grid).person, grid)}
