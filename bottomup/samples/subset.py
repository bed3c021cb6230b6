"""Some of the images of a data set: ``limit``, folds, a quick look; and whether two such parts have images in common."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bottomup.dataset import Dataset, GroundTruth
from bottomup.errors import warn
from bottomup.types import People, Sample


class Subset(Dataset):
    """The images of ``dataset`` at ``indices``, in that order; IndexError where there is no such image."""

    def __init__(self, dataset: Dataset, indices: Sequence[int]) -> None:
        self.dataset, self.indices = dataset, list(indices)
        self.task, self.labelled = dataset.task, dataset.labelled
        self.image_ids = [dataset.image_ids[index] for index in self.indices]
        self.weights = None if dataset.weights is None else [dataset.weights[index] for index in self.indices]

    def sample(self, index: int, maps: frozenset[str]) -> Sample:
        """Read one image, in its own px."""
        return self.dataset.sample(self.indices[index], maps)

    def people(self, index: int) -> People:
        """The people of one image, in its own px."""
        return self.dataset.people(self.indices[index])

    def source(self, index: int) -> tuple[Dataset, int]:
        """The image of ``dataset`` that it is."""
        return self.dataset, self.indices[index]

    def ground_truth(self, indices: Sequence[int] | None = None) -> GroundTruth:
        """The annotations of these images alone: what is not predicted must not count as missed."""
        return self.dataset.ground_truth(self.indices if indices is None else [self.indices[index] for index in indices])


def warn_of_shared_images(training: Dataset, validation: Dataset) -> None:
    """Say that validation judges images that are trained on, where both read them from one annotation file."""
    shared = _images(training) & _images(validation)
    if shared:
        files = ", ".join(sorted({str(path) for path, _ in shared}))
        warn(
            f"training and validation share {len(shared)} images of {files}, so validation judges what was learned by heart; hold "
            "some back with \"data.train_split='all[100:]'\" \"data.val_split='all[:100]'\", or give each a file: "
            "\"data.annotations='…{split}.json'\""
        )


def _images(dataset: Dataset) -> set[tuple[Path, int]]:
    """The annotation files and ids of all images that come from a file."""
    origins = (_origin(dataset, index) for index in range(len(dataset)))
    return {(source.path, source.image_ids[index]) for source, index in origins if source.path is not None}


def _origin(dataset: Dataset, index: int) -> tuple[Dataset, int]:
    source, there = dataset.source(index)
    return (source, there) if source is dataset else _origin(source, there)
