"""Mid-range offsets: from around a keypoint to the next keypoint of the same person, along the skeleton's tree."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import torch
from torch import Tensor, nn

from bottomup.contracts import HEADS, Head, Source
from bottomup.devices import constant
from bottomup.errors import ConfigError
from bottomup.geometry import in_content
from bottomup.ops.offsets import offset_error, offsets_to, refine_offsets
from bottomup.ops.targets import Nearest, carried_keypoints, nearest_keypoints
from bottomup.options import Natural, Positive
from bottomup.shapes import check_shape
from bottomup.skeletons import Skeleton
from bottomup.types import Batch, Features, Frame, Outputs, Targets, Task


@HEADS.register
class MidOffsets(Head):
    """For every directed edge (k, l) of the skeleton's tree a field of offsets from keypoint k to l, PersonLab §3.1.

    ``refine`` times it is continued by the short offsets where it ends (eq. 2); 0 gives the raw field and needs none. Channels
    are those of ``Skeleton.directed``: the tree's edges away from its root, then back. Trained within ``radius`` input px of
    k, where the closest person has both keypoints; one out of the picture is the end of an edge where it is no farther out than
    that. With ``carry``, ``ideal`` walks through keypoints that nobody annotated: such
    a one stands where its nearest annotated neighbour in the tree stands.
    """

    def __init__(
        self, source: Source, task: Task, *, radius: Annotated[Positive, "input px"] = 32.0, refine: Natural = 2, carry: bool = True
    ) -> None:
        super().__init__(source, task)
        if task.skeleton is None or not task.skeleton.edges:
            raise ConfigError("head mid_offsets follows the skeleton's edges; this task has none: give the skeleton a tree")
        self.radius, self.refine, self.carry = radius, refine, carry
        edges = torch.tensor(task.skeleton.directed)
        self.register_buffer("sources", edges[:, 0], persistent=False)
        self.register_buffer("ends", edges[:, 1], persistent=False)
        self.conv = nn.Conv2d(source.level.channels, len(edges) * 2, 1)
        self.provides = {"mid_offsets": "B 2E 2 h w"}
        self.requires = {"short_offsets": "B K 2 h w"} if refine else {}
        self.refined = frozenset({"mid_offsets"} if refine else ())
        self.grids = {"mid_offsets": source.grid_of("short_offsets") if refine else source.level.grid}
        self.feedback = len(edges) * 2

    def forward(self, features: Features, outputs: Outputs) -> Outputs:
        """(B, 2E, 2, h, w) input px, float32."""
        (maps,) = features.values()
        offsets = self.conv(maps).float().unflatten(1, (-1, 2))
        if not self.refine:
            return {"mid_offsets": offsets}
        short = outputs["short_offsets"].index_select(1, self.get_buffer("ends"))
        return {"mid_offsets": refine_offsets(offsets, short, self.grids["mid_offsets"], self.refine)}

    def encode(self, batch: Batch, outputs: Outputs) -> Targets:
        """The offsets to the end of each edge, and the cells within its source's disk where that person has both."""
        nearest, target = self._along_edges(batch)
        shown = batch.placed & in_content(batch.keypoints, batch.content, self.radius)
        ends_there = shown[:, :, self.get_buffer("ends")].transpose(1, 2)  # (B, 2E, N)
        both = ends_there.gather(2, nearest.person.flatten(2)).view_as(nearest.person)
        return {"target": target, "counted": both & (nearest.distance <= self.radius**2)}

    def _along_edges(self, batch: Batch) -> tuple[Nearest, Tensor]:
        """Of each cell and edge: the closest source keypoint, and the offset to that person's end of the edge."""
        grid, sources = self.grids["mid_offsets"], self.get_buffer("sources")
        nearest = Nearest(*(maps.index_select(1, sources) for maps in nearest_keypoints(batch, grid)))
        return nearest, offsets_to(batch.keypoints[:, :, self.get_buffer("ends")], nearest.person, grid)

    def loss(self, outputs: Outputs, targets: Targets) -> dict[str, Tensor]:
        """L1 / radius of the refined field, averaged over the disks of people who have both keypoints."""
        offsets = outputs["mid_offsets"]
        check_shape("mid_offsets", offsets, "B 2E 2 h w", {"2E": len(self.get_buffer("ends"))})
        return {"l1": offset_error(offsets, targets["target"], targets["counted"], self.radius)}

    def ideal(self, batch: Batch) -> Outputs:
        """Every cell points to where the closest person's end of the edge is, or is carried to."""
        return {"mid_offsets": self._along_edges(_carried(batch, self._skeleton) if self.carry else batch)[1]}

    @property
    def _skeleton(self) -> Skeleton:
        assert self.task.skeleton is not None
        return self.task.skeleton

    def unflip(self, outputs: Outputs, frame: Frame) -> Outputs:
        """Mirror the fields, each becoming that of the mirrored edge; ConfigError where the mirrored tree is another one."""
        maps = outputs["mid_offsets"].flip(-1)
        index = constant(self._skeleton.flipped_directed, maps, torch.int64)
        return {"mid_offsets": maps.index_select(1, index) * constant((-1.0, 1.0), maps).view(2, 1, 1)}


def _carried(batch: Batch, skeleton: Skeleton) -> Batch:
    keypoints, placed = carried_keypoints(batch, skeleton)
    return replace(batch, keypoints=keypoints, visibility=placed.to(batch.visibility.dtype) * 2)
