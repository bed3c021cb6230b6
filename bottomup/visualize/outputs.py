"""Everything that a network says of an image, or should say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bottomup.contracts import probability, probability_grid
from bottomup.drawing.sheets import Picture
from bottomup.skeletons import Skeleton
from bottomup.types import Frame, Outputs
from bottomup.visualize.maps import draw_heatmap, draw_instance_tags, draw_strongest, draw_tags
from bottomup.visualize.offsets import draw_offsets

_THERE = 0.5  # the probability from which on offsets mean something


def draw_outputs(
    image: NDArray[np.uint8], outputs: Outputs, frame: Frame, skeleton: Skeleton | None, categories: Sequence[str] = ("person",)
) -> dict[str, Picture]:
    """A picture by name of each kind of map that ``outputs``, of a batch of one, hold; the image (3, H, W) is in input px.

    Maps of keypoints are titled by ``skeleton``, those of categories by their names.
    """
    maps = {key: maps[0].detach().cpu() for key, maps in outputs.items()}
    pictures = dict(_of_categories(image, maps, frame, categories))
    return pictures if skeleton is None else dict(_pictures(image, maps, frame, skeleton)) | pictures


def _of_categories(
    image: NDArray[np.uint8], maps: Outputs, frame: Frame, categories: Sequence[str]
) -> Iterator[tuple[str, Picture]]:
    foreground = _probability(maps, "segmentation")
    if foreground is None:
        return
    grid = probability_grid(frame, "segmentation")
    yield "segmentation", draw_strongest(image, foreground, grid)
    if "instance_tags" in maps:
        yield "instance_tags", draw_instance_tags(image, maps["instance_tags"], foreground, grid, categories)


def _pictures(image: NDArray[np.uint8], maps: Outputs, frame: Frame, skeleton: Skeleton) -> Iterator[tuple[str, Picture]]:
    heatmap = _probability(maps, "heatmap")
    if heatmap is not None:
        grid = probability_grid(frame, "heatmap")
        yield "heatmap", draw_heatmap(image, heatmap, grid, skeleton)
        yield "heatmap_strongest", draw_strongest(image, heatmap, grid)
        yield from _of_keypoints(image, maps, heatmap, frame, skeleton)
    if "long_offsets" in maps:
        foreground = _probability(maps, "segmentation")
        field, grid = maps["long_offsets"], frame.grids["long_offsets"]
        inside = _everywhere(field) if foreground is None else foreground[:1].expand(len(field), -1, -1) > _THERE
        yield "long_offsets", draw_offsets(image, field, inside, grid, skeleton.keypoints)


def _of_keypoints(
    image: NDArray[np.uint8], maps: Outputs, heatmap: Tensor, frame: Frame, skeleton: Skeleton
) -> Iterator[tuple[str, Picture]]:
    """What means something only where the heatmap (K, h, w) says that a keypoint is."""
    names = skeleton.keypoints
    if "tags" in maps:
        yield "tags", draw_tags(image, maps["tags"], heatmap, frame.grids["tags"], skeleton)
    if "short_offsets" in maps:
        yield "short_offsets", draw_offsets(image, maps["short_offsets"], heatmap > _THERE, frame.grids["short_offsets"], names)
    if "mid_offsets" in maps:
        titles = [f"{names[source]} to {names[end]}" for source, end in skeleton.directed]
        there = heatmap[[source for source, _ in skeleton.directed]] > _THERE
        yield "mid_offsets", draw_offsets(image, maps["mid_offsets"], there, frame.grids["mid_offsets"], titles)


def _probability(maps: Outputs, name: str) -> Tensor | None:
    return probability(maps, name).float() if maps.keys() & {name, f"{name}_logits"} else None


def _everywhere(field: Tensor) -> Tensor:
    return torch.ones_like(field[:, 0], dtype=torch.bool)
