"""Heatmaps and tags to decode. The baseline finds its peaks by max_pool2d in the same window."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.scenes import Case, Scene, lattice, named, sigmoid_noise
from bottomup.decoders import associative_embedding
from bottomup.decoders.associative_embedding import AssociativeEmbedding
from bottomup.geometry import Grid
from bottomup.ops.peaks import Peaks
from bottomup.skeletons import COCO
from bottomup.types import Task

GRID, SIDE, TAG_SIZE, SIGMA = Grid.centred(4), 128, 2, 2.0  # cells
WEAK = 0.06  # the height of one keypoint in ten where the decoder fills; below its threshold
CONFIG = {"keypoints": len(COCO), "side": SIDE, "stride": GRID.stride, "tag_size": TAG_SIZE}


def cases() -> Iterator[Case]:
    """Every scene with every decoder."""
    for people in (1, 3, 10, 30):
        for options in ({}, {"fill_threshold": 0.03}):
            yield _case(people_scene(people, weak=bool(options)), options)
    for name, heatmap in (("sigmoid of normal noise", sigmoid_noise), ("uniform noise", torch.rand)):
        for max_people in (30, 100):
            for options in ({}, {"fill_threshold": 0.03}):
                yield _case(noise_scene(name, heatmap), {"max_people": max_people, **options})


def _case(scene: Scene, options: dict[str, Any]) -> Case:
    decoder = AssociativeEmbedding(Task(COCO), **options)
    return Case(scene, decoder, options, decoder, _with_pooled_peaks)


def people_scene(people: int, weak: bool) -> Scene:
    """People on a lattice, keypoints about them; gaussians and tags with a little noise."""
    rng = torch.Generator().manual_seed(people)
    slots, cells = lattice(people, SIDE, 0.3, rng)
    squared = _squared_distances(cells)  # (N, K, h, w)
    height = torch.where((torch.rand(people, len(COCO), generator=rng) < 0.1) & weak, WEAK, 0.9)
    gaussians = (height[..., None, None] * torch.exp(-squared / (2 * SIGMA**2))).amax(0)
    heatmap = gaussians + 0.003 * torch.randn(gaussians.shape, generator=rng)
    tags = 3.0 * slots.float()[squared.argmin(0)].permute(0, 3, 1, 2)  # (K, D, h, w): the nearest person's
    tags = tags + 0.1 * torch.randn(tags.shape, generator=rng)
    return _scene(named(people), heatmap[None], tags[None], GRID.to_input(cells))


def noise_scene(name: str, heatmap: Callable[..., Tensor]) -> Scene:
    """What an untrained network may give."""
    rng = torch.Generator().manual_seed(0)
    tags = torch.randn(1, len(COCO), TAG_SIZE, SIDE, SIDE, generator=rng)
    return _scene(name, heatmap(1, len(COCO), SIDE, SIDE, generator=rng), tags, None)


def _scene(name: str, heatmap: Tensor, tags: Tensor, keypoints: Tensor | None) -> Scene:
    return Scene(name, {"heatmap": heatmap, "tags": tags}, GRID, SIDE * GRID.stride, keypoints)


def _squared_distances(cells: Tensor) -> Tensor:
    x = (cells[..., :1] - torch.arange(SIDE)).square()
    y = (cells[..., 1:] - torch.arange(SIDE)).square()
    return x[..., None, :] + y[..., :, None]


def _with_pooled_peaks() -> AbstractContextManager[Any]:
    return patch.object(associative_embedding, "find_peaks", pooled_peaks)


def pooled_peaks(heatmap: Tensor, count: int, window: int = 5, where: Tensor | None = None) -> Peaks:
    """The usual way to find peaks: cells that equal the maximum of their window, of those in ``where`` (B, h, w)."""
    peak = heatmap == F.max_pool2d(heatmap, window, 1, window // 2)
    peak = peak if where is None else peak & where[:, None]
    scores, index = torch.where(peak, heatmap, 0.0).flatten(2).topk(count)
    return Peaks(scores, torch.stack((index % SIDE, index // SIDE), dim=-1).float())
