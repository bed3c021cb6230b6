"""Disks, offsets and foreground to decode, at output stride 8. The baseline decodes Google's way, which makes no masks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.scenes import Case, Scene, lattice, named, sigmoid_noise
from bottomup.contracts import Head, Level, Source
from bottomup.decoders.personlab import Personlab
from bottomup.decoders.posenet import Posenet
from bottomup.geometry import Grid
from bottomup.heads.heatmap import Heatmap
from bottomup.heads.long_offsets import LongOffsets
from bottomup.heads.mid_offsets import MidOffsets
from bottomup.heads.segmentation import Segmentation
from bottomup.heads.short_offsets import ShortOffsets
from bottomup.samples.loader import collate
from bottomup.skeletons import COCO
from bottomup.types import Batch, Outputs, People, Sample, Task

GRID = Grid.cornered(8)
CONFIG = {"keypoints": len(COCO), "stride": GRID.stride, "most_people": 30}
VOTERS = {"voting": {"threshold": 0.1}}
POSES = {"masks": {"mode": None}}
OPTIONS: tuple[dict[str, Any], ...] = (VOTERS | POSES, POSES, VOTERS)
OF_MASKS = ("segmentation_logits", "long_offsets")
NOISE = 0.5  # input px, of offsets


def cases() -> Iterator[Case]:
    """Every scene: few cells vote for poses alone, all vote, and with masks and foreground."""
    for side in (801, 1401):
        for people in (1, 3, 10, 30):
            yield from _cases(people_scene(people, side))
        yield from _cases(noise_scene(side))


def _cases(scene: Scene) -> Iterator[Case]:
    task, poses = Task(COCO), {key: maps for key, maps in scene.outputs.items() if key not in OF_MASKS}
    for options in OPTIONS:
        shown = scene if "masks" not in options else replace(scene, outputs=poses)
        yield Case(shown, Personlab(task, max_people=30, **options), options, Posenet(task, max_people=30))


def people_scene(people: int, side: int) -> Scene:
    """People on a lattice, each alone in the mask of a square; ideal maps with a little noise."""
    rng = torch.Generator().manual_seed(people)
    slots, keypoints = lattice(people, side, 0.3, rng)
    batch = scene_batch(keypoints, slots, side)
    outputs: Outputs = {}
    for head in _heads():
        outputs |= head.ideal(batch)
    outputs["heatmap"] = 0.9 * outputs["heatmap"] + 0.003 * torch.randn(outputs["heatmap"].shape, generator=rng)
    for key in ("short_offsets", "mid_offsets", "long_offsets"):
        outputs[key] = outputs[key] + NOISE * torch.randn(outputs[key].shape, generator=rng)
    outputs = {key: maps.contiguous() for key, maps in outputs.items()}
    return Scene(f"{named(people)}, {side} px", outputs, GRID, side, keypoints)


def noise_scene(side: int) -> Scene:
    """What an untrained network may give."""
    rng = torch.Generator().manual_seed(0)
    h, w = GRID.shape((side, side))
    channels = {"short_offsets": len(COCO), "mid_offsets": len(COCO.directed), "long_offsets": len(COCO)}
    outputs = {key: 10 * torch.randn(1, count, 2, h, w, generator=rng) for key, count in channels.items()}
    outputs["heatmap"] = sigmoid_noise(1, len(COCO), h, w, generator=rng)
    outputs["segmentation_logits"] = torch.randn(1, 1, h, w, generator=rng)
    return Scene(f"sigmoid of normal noise, {side} px", outputs, GRID, side, None)


def _heads() -> list[Head]:
    """The paper's, each on a map of one channel."""
    source, task = Source({"C5": Level(1, GRID)}, {"short_offsets": GRID}), Task(COCO)
    return [
        Heatmap(source, task, shape="disk", criterion="mse"),
        ShortOffsets(source, task),
        MidOffsets(source, task),
        LongOffsets(source, task),
        Segmentation(source, task),
    ]


def _squares(slots: Tensor, side: int) -> np.ndarray[Any, np.dtype[np.int16]]:
    """The map of instances: each slot's square, less a border."""
    instances = np.zeros((side, side), np.int16)
    pitch = side / (int(slots.max()) + 1)
    for n, (x, y) in enumerate(slots.tolist()):
        rows, columns = (slice(round((at + 0.1) * pitch), round((at + 0.9) * pitch)) for at in (y, x))
        instances[rows, columns] = n + 1
    return instances


def scene_batch(keypoints: Tensor, slots: Tensor, side: int) -> Batch:
    """An image of people with keypoints (N, K, 2), each alone in the mask of its slot (N, 2) of a lattice."""
    count, instances = len(keypoints), _squares(slots, side)
    corners = torch.cat((keypoints.amin(1), keypoints.amax(1)), dim=1).numpy()
    people = People(
        keypoints.numpy(), np.full((count, len(COCO)), 2, np.uint8), corners, np.ones(count, np.float32),
        np.zeros(count, np.int64), np.ones(count, bool),
    )  # fmt: skip
    image = np.zeros((3, side, side), np.uint8)
    return collate([Sample(image, people, {}, instances, 0, (side, side), np.eye(2, 3))])
