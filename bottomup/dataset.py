"""The contract of a data set: what the loader, the predictor and the evaluation know of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import numpy as np
from numpy.typing import NDArray

from bottomup.registry import Registry
from bottomup.types import People, Sample, Task

Record = dict[str, Any]  # of an image, an annotation or a category: a JSON object with COCO's fields, and others


class GroundTruth(TypedDict):
    """What is annotated, as COCO's files have it and pycocotools reads it: keypoints are indices of pixels."""

    images: list[Record]
    annotations: list[Record]
    categories: list[Record]
    info: NotRequired[Record]
    measures: NotRequired[Mapping[str, Mapping[str, object]]]  # by what it is judged beside COCO's: names with their options


class Dataset(ABC):
    """Images with people, read by index; the same for every format."""

    task: Task
    image_ids: list[int]  # one per index, unique
    weights: list[float] | None = None  # per index: how often it is drawn in training; None: once an epoch
    path: Path | None = None  # the annotation file it reads, if it reads one
    labelled: bool = True  # False: images alone, of whose people nothing is said

    def __len__(self) -> int:
        return len(self.image_ids)

    @abstractmethod
    def sample(self, index: int, maps: frozenset[str]) -> Sample:
        """Read one image in its own px: ``to_input`` the identity, ``content`` None.

        ``maps`` says which of "crowd", "unannotated", "unmasked" (into ``ignore``) and "instances" are wanted; no other is
        made. ``Sample.annotated`` is what ``annotated`` says, or None for all. Raises DataError naming the file and the field.
        """

    @abstractmethod
    def people(self, index: int) -> People:
        """The people of one image, without reading the image where the format allows it."""

    @abstractmethod
    def ground_truth(self, indices: Sequence[int] | None = None) -> GroundTruth:
        """What is annotated in the images at ``indices`` (default: all), as a COCO dictionary for pycocotools."""

    def source(self, index: int) -> tuple[Dataset, int]:
        """Where one image comes from: the data set and its index there; itself, but for data sets made of others."""
        return self, index

    def number_of_people(self, index: int) -> int | None:
        """How many people one image has, where that is known without reading or drawing it."""
        dataset, there = self.source(index)
        return None if dataset is self else dataset.number_of_people(there)

    def annotated(self, index: int) -> NDArray[np.bool_]:
        """Which keypoints (K,) are annotated at all where one image comes from; all others are unlabelled in everybody there."""
        dataset, there = self.source(index)
        return np.ones(self.task.keypoints, bool) if dataset is self else dataset.annotated(there)

    def focus(self, index: int) -> NDArray[np.float64] | None:
        """The square xyxy px of one image that is seen instead of all of it, without reading it; None: all of it is."""
        dataset, there = self.source(index)
        return None if dataset is self else dataset.focus(there)

    def image_size(self, index: int) -> tuple[int, int]:
        """The (H, W) of one image in px, without reading it."""
        dataset, there = self.source(index)
        if dataset is not self:
            return dataset.image_size(there)
        image = self.ground_truth([index])["images"][0]
        return image["height"], image["width"]


class Clips(ABC):
    """What a data set of videos can do beside: say which of its images are frames of one clip."""

    @abstractmethod
    def in_clips(self, together: int, seed: int) -> list[int]:
        """Indices in a drawn order in which ``together`` frames of one clip stand side by side, one group after another."""


DATASETS: Registry[Dataset] = Registry("data set", "bottomup.data")
