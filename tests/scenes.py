"""Small made-up batches and data sets for tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bottomup.dataset import Dataset
from bottomup.samples.loader import collate
from bottomup.skeletons import COCO
from bottomup.types import Batch, Instances, People, Sample, Task


def make_people(rng: np.random.Generator, count: int, size: tuple[int, int], labelled: float = 1.0) -> People:
    """People with keypoints anywhere in an image of ``size``, those of a kind at least 20 px apart where there is room."""
    h, w = size
    keypoints = np.zeros((count, 17, 2), np.float32)
    for k in range(17):
        for n in range(count):
            for _ in range(200):  # a small image may have no such place left
                point = rng.uniform((7, 7), (w - 7, h - 7))
                if all(np.abs(point - keypoints[other, k]).max() > 20 for other in range(n)):
                    break
            keypoints[n, k] = point
    visibility = np.where(rng.random((count, 17)) < labelled, 2, 0).astype(np.uint8)
    keypoints *= (visibility > 0)[..., None]
    boxes = np.tile(np.array([[0, 0, w, h]], np.float32), (count, 1))
    return People(
        keypoints, visibility, boxes, np.full(count, h * w / 4, np.float32), np.zeros(count, np.int64), np.ones(count, bool)
    )


def make_sample(seed: int, size: tuple[int, int] = (96, 128), people: int | None = None, labelled: float = 1.0) -> Sample:
    """A noise image with people; the masks are stripes."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(0, 4)) if people is None else people
    instances = np.zeros(size, np.int16)
    for n in range(count):
        instances[8 * n : 8 * n + 8] = n + 1
    image = rng.integers(0, 256, (3, *size), dtype=np.uint8)
    return Sample(image, make_people(rng, count, size, labelled), {}, instances, seed, size, np.eye(2, 3))


def make_batch(people: list[int], size: tuple[int, int] = (96, 128), labelled: float = 1.0) -> Batch:
    """One image for each number of people."""
    return collate([make_sample(seed, size, count, labelled) for seed, count in enumerate(people)])


def assert_found(instances: Instances, batch: Batch, row: int, within: float) -> None:
    """Everybody annotated is found, every labelled keypoint within ``within`` px, and nobody else."""
    people = batch.keypoints[row][batch.present[row]]
    assert len(instances) == len(people)
    for n, keypoints in enumerate(people):
        labelled = batch.labelled[row, n]
        apart = (instances.keypoints[:, labelled] - keypoints[labelled]).abs().nan_to_num(1e3).amax((1, 2))
        assert apart.min() < within


class Scenes(Dataset):
    """A data set of made-up samples."""

    def __init__(self, images: int = 12, size: tuple[int, int] = (96, 128)) -> None:
        self.task, self.size = Task(COCO), size
        self.image_ids = list(range(images))

    def sample(self, index: int, maps: frozenset[str]) -> Sample:
        made = make_sample(index, self.size)
        made.ignore.update({name: np.zeros(self.size, bool) for name in maps - {"instances", "padding"}})
        return made

    def people(self, index: int) -> People:
        return self.sample(index, frozenset()).people

    def ground_truth(self, indices: Sequence[int] | None = None) -> dict[str, Any]:
        return {}
