"""What decoders of PersonLab's fields read."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from bottomup.geometry import Grid
from bottomup.shapes import check_shape
from bottomup.skeletons import Skeleton
from bottomup.stages import probability, probability_grid
from bottomup.types import Frame, Outputs

FIELDS = {"heatmap_logits | heatmap": "B K h w", "short_offsets": "B K 2 h w", "mid_offsets": "B 2E 2 h w"}


class Fields(NamedTuple):
    """Heatmap and offsets, float32, on one grid."""

    heatmap: Tensor  # (B, K, h, w) in [0, 1]
    short: Tensor  # (B, K, 2, h, w) input px
    mid: Tensor  # (B, 2E, 2, h, w) input px
    grid: Grid


def read_fields(outputs: Outputs, frame: Frame, skeleton: Skeleton) -> Fields:
    """The fields of a skeleton's keypoints and edges; ValueError where they differ in shape or do not lie on one grid."""
    heatmap, grid = probability(outputs, "heatmap").float(), probability_grid(frame, "heatmap")
    check_shape("heatmap", heatmap, "B K h w", {"K": len(skeleton)})
    b, _, h, w = heatmap.shape
    sizes = {"B": b, "K": len(skeleton), "2E": len(skeleton.directed), "h": h, "w": w}
    for key in ("short_offsets", "mid_offsets"):
        check_shape(key, outputs[key], FIELDS[key], sizes)
        if frame.grids.get(key, grid) != grid:
            raise ValueError(f"heatmap and {key} should lie on one grid, got {grid} and {frame.grids[key]}")
    return Fields(heatmap, outputs["short_offsets"].float(), outputs["mid_offsets"].float(), grid)
