"""What decoders of PersonLab's fields read."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from bottomup.contracts import probability, probability_grid
from bottomup.geometry import Grid
from bottomup.shapes import check_shape
from bottomup.skeletons import Skeleton
from bottomup.types import Frame, Outputs

FIELDS = {"heatmap_logits | heatmap": "B K h w", "short_offsets": "B K 2 h w", "mid_offsets": "B 2E 2 h w"}

MASK_FIELDS = {"segmentation_logits | segmentation?": "B C h w", "long_offsets?": "B K 2 h w"}


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
    short, mid = (outputs[key].float().contiguous() for key in ("short_offsets", "mid_offsets"))  # they are read many times
    return Fields(heatmap.contiguous(), short, mid, grid)


def read_foreground(outputs: Outputs) -> Tensor | None:
    """The probability (B, h, w), float32, that somebody is there; None where the model has no segmentation."""
    if not outputs.keys() & {"segmentation", "segmentation_logits"}:
        return None
    return probability(outputs, "segmentation").float()[:, 0]


class MaskFields(NamedTuple):
    """Foreground and long offsets, float32, on one grid."""

    foreground: Tensor  # (B, h, w) in [0, 1]
    long: Tensor  # (B, K, 2, h, w) input px
    grid: Grid


def read_mask_fields(outputs: Outputs, frame: Frame, skeleton: Skeleton) -> MaskFields | None:
    """What masks are made of; None where the model has not both. ValueError where they do not lie on one grid."""
    foreground = read_foreground(outputs)
    if "long_offsets" not in outputs or foreground is None:
        return None
    grid = frame.grids["long_offsets"]
    if probability_grid(frame, "segmentation") != grid:
        raise ValueError(f"segmentation and long_offsets should lie on one grid, got {probability_grid(frame, 'segmentation')}")
    b, h, w = foreground.shape
    check_shape("long_offsets", outputs["long_offsets"], "B K 2 h w", {"B": b, "K": len(skeleton), "h": h, "w": w})
    return MaskFields(foreground, outputs["long_offsets"].float(), grid)
