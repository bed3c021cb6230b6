"""Long-range offsets: from anywhere inside a person to each of their keypoints."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor, nn

from bottomup.contracts import HEADS, Head, Source
from bottomup.errors import ConfigError
from bottomup.geometry import any_at_cells, at_cells
from bottomup.ops.offsets import offset_error, offsets_to, refine_offsets
from bottomup.options import Natural, Positive
from bottomup.shapes import check_shape
from bottomup.types import Batch, Features, Outputs, Targets, Task


@HEADS.register
class LongOffsets(Head):
    """For every keypoint a field of offsets to it from all over its person, PersonLab §3.2.

    ``refine`` times it is continued by itself where it ends, then as often by the short offsets (eq. 5); 0 gives the raw field.
    Trained inside exactly one person's mask and no crowd. ``radius``, input px, divides the error as in the other offsets' losses.

    What the paper leaves open: the field that continues is the raw one each time, as in BodyPix.
    """

    ignores = frozenset({"crowd"})
    reads_instances = True

    def __init__(self, source: Source, task: Task, *, radius: Annotated[Positive, "input px"] = 32.0, refine: Natural = 2) -> None:
        super().__init__(source, task)
        if not task.keypoints:
            raise ConfigError("head long_offsets needs a skeleton; the task has none")
        self.radius, self.refine = radius, refine
        self.conv = nn.Conv2d(source.level.channels, task.keypoints * 2, 1)
        self.provides = {"long_offsets": "B K 2 h w"}
        self.requires = {"short_offsets": "B K 2 h w"} if refine else {}
        self.refined = frozenset({"long_offsets"} if refine else ())
        self.grids = {"long_offsets": source.grid_of("short_offsets") if refine else source.level.grid}
        self.feedback = task.keypoints * 2

    def forward(self, features: Features, outputs: Outputs) -> Outputs:
        """(B, K, 2, h, w) input px, float32."""
        (maps,) = features.values()
        offsets = self.conv(maps).float().unflatten(1, (-1, 2))
        if not self.refine:
            return {"long_offsets": offsets}
        grid = self.grids["long_offsets"]
        offsets = refine_offsets(offsets, offsets, grid, self.refine)
        return {"long_offsets": refine_offsets(offsets, outputs["short_offsets"], grid, self.refine)}

    def encode(self, batch: Batch, outputs: Outputs) -> Targets:
        """The offsets to the keypoints of the person at each cell, and the cells inside exactly one who has the keypoint."""
        if batch.instances is None:
            raise ValueError("head long_offsets reads Batch.instances; load the data with the map 'instances'")
        grid = self.grids["long_offsets"]
        person = at_cells(batch.instances, grid).long() - 1  # (B, h, w): below 0 nobody, or several
        whose = person.clamp(min=0)[:, None].expand(-1, self.task.keypoints, -1, -1)
        there = batch.labelled.transpose(1, 2).gather(2, whose.flatten(2)).view_as(whose)
        alone = (person >= 0) & ~any_at_cells(batch.ignored(self.ignores), grid)
        return {"target": offsets_to(batch.keypoints, whose, grid), "counted": there & alone[:, None]}

    def loss(self, outputs: Outputs, targets: Targets) -> dict[str, Tensor]:
        """L1 / radius of the refined field, averaged over the cells inside exactly one mask."""
        offsets = outputs["long_offsets"]
        check_shape("long_offsets", offsets, "B K 2 h w", {"K": self.task.keypoints})
        return {"l1": offset_error(offsets, targets["target"], targets["counted"], self.radius)}

    def ideal(self, batch: Batch) -> Outputs:
        """The targets; 0 where nothing is supervised, which points to the cell itself."""
        targets = self.encode(batch, {})
        return {"long_offsets": targets["target"] * targets["counted"][:, :, None]}
