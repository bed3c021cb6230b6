"""Annotations without their images: what needs no pixels trains and is judged on labels alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bottomup.dataset import Dataset, GroundTruth
from bottomup.types import People, Sample

_GROWTH = 0.5  # of a box's sides; keypoints further off are in no crop of it


class Labels(Dataset):
    """The people of ``dataset`` in frames of their images' sizes; no image is read, no map made."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.task, self.image_ids, self.weights = dataset.task, dataset.image_ids, dataset.weights

    def sample(self, index: int, maps: frozenset[str]) -> Sample:
        """The people of one image, in its own px."""
        return labels_only(self.people(index), self.image_size(index), self.image_ids[index], self.annotated(index))

    def people(self, index: int) -> People:
        """The people of one image, in its own px."""
        return self.dataset.people(index)

    def source(self, index: int) -> tuple[Dataset, int]:
        """The same image of ``dataset``."""
        return self.dataset, index

    def ground_truth(self, indices: Sequence[int] | None = None) -> GroundTruth:
        """What is annotated in the images at ``indices`` (default: all)."""
        return self.dataset.ground_truth(indices)


class Persons(Dataset):
    """One sample for each person of ``dataset`` with ``min_keypoints`` or more: that person first, then its neighbours.

    Neighbours are those whose box touches the person's, grown by half of its sides on each side; the largest, so that there
    are at most ``max_people``. No image is read. ``image_ids`` count the persons, who are drawn as often as their image would be.
    ``easiest_first`` orders them as
    MultiPoseNet's curriculum does: those with the most keypoints first, of equals those of the largest box (§3.5).
    """

    def __init__(self, dataset: Dataset, min_keypoints: int, max_people: int) -> None:
        self.dataset, self.task, self.max_people = dataset, dataset.task, max_people
        self._persons: list[tuple[int, int]] = []
        difficulty: list[tuple[int, float]] = []
        for index in range(len(dataset)):
            people = dataset.people(index)
            labelled = (people.visibility > 0).sum(1)
            for person in np.flatnonzero(labelled >= min_keypoints).tolist():
                x1, y1, x2, y2 = people.boxes[person].tolist()
                self._persons.append((index, person))
                difficulty.append((-int(labelled[person]), -(x2 - x1) * (y2 - y1)))
        self.image_ids = list(range(len(self._persons)))
        own = dataset.weights
        self.weights = None if own is None else [own[index] for index, _ in self._persons]
        self.easiest_first = sorted(self.image_ids, key=difficulty.__getitem__)

    def sample(self, index: int, maps: frozenset[str]) -> Sample:
        """One person and its neighbours, in the image's px."""
        return labels_only(self.people(index), self.image_size(index), index, self.annotated(index))

    def people(self, index: int) -> People:
        """The person and its neighbours, in the image's px."""
        image, person = self._persons[index]
        people = self.dataset.people(image)
        near = _touches(people.boxes, people.boxes[person])
        near[person] = False
        largest_first = np.argsort(-people.areas, kind="stable")
        neighbours = largest_first[near[largest_first]][: self.max_people - 1]
        return people[np.concatenate(([person], neighbours))]

    def source(self, index: int) -> tuple[Dataset, int]:
        """The image of ``dataset`` that the person is in."""
        return self.dataset, self._persons[index][0]

    def ground_truth(self, indices: Sequence[int] | None = None) -> GroundTruth:
        """What is annotated in the images of the persons at ``indices`` (default: all)."""
        chosen = range(len(self)) if indices is None else indices
        return self.dataset.ground_truth(sorted({self._persons[index][0] for index in chosen}))


def _touches(boxes: NDArray[np.float32], box: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which boxes (N, 4) touch ``box`` (4,), grown."""
    sides = (box[2:] - box[:2]) * _GROWTH
    low, high = box[:2] - sides, box[2:] + sides
    return np.asarray(((boxes[:, :2] <= high) & (boxes[:, 2:] >= low)).all(1))


def labels_only(people: People, size: tuple[int, int], image_id: int, annotated: NDArray[np.bool_]) -> Sample:
    """A sample without image, in a frame of ``size`` (H, W), whose data set annotates the keypoints ``annotated`` (K,)."""
    return Sample(
        image=None,
        people=people,
        ignore={},
        instances=None,
        image_id=image_id,
        file_size=size,
        to_input=np.eye(2, 3),
        frame=size,
        annotated=annotated,
    )
