"""Images that go through a network together: a function of the data set alone, so that whoever computes them finds the same.

What is found in an image hangs by a last digit on what it shares a batch with: batches of one and of several take other ways
through a convolution. Groups that are the same in one process and in several give the same results, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

import numpy as np
import torch

from bottomup.dataset import Dataset
from bottomup.errors import DataError
from bottomup.samples.labels import labels_only
from bottomup.samples.loader import alike
from bottomup.types import People, Sample

Group = Sequence[int]  # indices of a data set's images

_STRIDE = 1_000_003  # images of a data set, of whom none draws as another one does with the next seed
_SEEDS = 1 << 63


def groups_of(dataset: Dataset, shape: Callable[[Sample], Hashable], count: int) -> list[Group]:
    """The images of a data set, ``count`` of one shape together, in the order in which such groups fill; the rest at the end.

    ``shape`` says of a sample without pixels, in px of its image, what it becomes. No image is read, but for its size where
    nothing else says it; where that cannot be read, it is with others of which nothing is known.
    """
    shapes: dict[tuple[tuple[int, int], bool], Hashable] = {}

    def key(index: int) -> Hashable:
        with suppress(DataError, OSError):  # said where the image itself is read
            sample = _nobody(dataset, index)
            known = (sample.shape, sample.focus is not None)
            if known not in shapes:
                shapes[known] = shape(sample)
            return shapes[known]
        return None

    return list(alike(range(len(dataset)), count, key))


def _nobody(dataset: Dataset, index: int) -> Sample:
    """The frame of one image, in its own px, that nobody is in."""
    keypoints = dataset.task.keypoints
    nobody = labels_only(People.empty(keypoints), dataset.image_size(index), dataset.image_ids[index], np.ones(keypoints, bool))
    return replace(nobody, focus=dataset.focus(index))


@contextmanager
def drawn_alike(seed: int, group: Group) -> Iterator[None]:
    """Let what chance draws inside be a function of the seed and the group, whatever was drawn before, and leave no trace."""
    devices = [torch.cuda.current_device()] if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices):
        torch.manual_seed((seed * _STRIDE + group[0]) % _SEEDS)
        yield
