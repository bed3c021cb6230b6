"""Some of the images of a data set: ``limit``, folds, a quick look."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bottomup.data.dataset import Dataset
from bottomup.types import People, Sample


class Subset(Dataset):
    """The images of ``dataset`` at ``indices``, in that order; IndexError where there is no such image."""

    def __init__(self, dataset: Dataset, indices: Sequence[int]) -> None:
        self.dataset, self.indices = dataset, list(indices)
        self.task = dataset.task
        self.image_ids = [dataset.image_ids[index] for index in self.indices]
        self.weights = None if dataset.weights is None else [dataset.weights[index] for index in self.indices]

    def sample(self, index: int, maps: frozenset[str]) -> Sample:
        """Read one image, in its own px."""
        return self.dataset.sample(self.indices[index], maps)

    def people(self, index: int) -> People:
        """The people of one image, in its own px."""
        return self.dataset.people(self.indices[index])

    def ground_truth(self, indices: Sequence[int] | None = None) -> dict[str, Any]:
        """The annotations of these images alone: what is not predicted must not count as missed."""
        return self.dataset.ground_truth(self.indices if indices is None else [self.indices[index] for index in indices])
