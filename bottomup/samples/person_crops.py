"""One person at a time: each image as often as it has people, and each time one of them is to be found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bottomup.dataset import Dataset, GroundTruth, Record
from bottomup.geometry import square_around
from bottomup.types import People, Sample

MARGIN = 1.3  # of a person's box: the sides of what is seen of it (Associative Embedding §4.1, as its authors' demo crops)


class PersonCrops(Dataset):
    """One sample for each person of ``dataset`` with ``min_keypoints`` or more: the image, its focus on that person, nobody else.

    The focus is the square around 1.3 times the person's box. Who else is seen there is background, as nothing but its place in
    the middle tells whose pose is asked for: a network that is taught everybody's keypoints, or nothing of others', has no reason
    not to find a neighbour's. ``image_ids`` count the persons, who are drawn as often as their image would be; to
    ``ground_truth`` each is an image of its own with one person in it.
    """

    def __init__(self, dataset: Dataset, min_keypoints: int) -> None:
        self.dataset, self.task, self.path, self.labelled = dataset, dataset.task, dataset.path, dataset.labelled
        self._persons = [
            (index, person)
            for index in range(len(dataset))
            for person in np.flatnonzero(dataset.people(index).labelled.sum(1) >= min_keypoints).tolist()
        ]
        self.image_ids = list(range(1, len(self._persons) + 1))
        own = dataset.weights
        self.weights = None if own is None else [own[index] for index, _ in self._persons]

    def sample(self, index: int, maps: frozenset[str]) -> Sample:
        """The image of one person, in its own px, with the focus on that person."""
        image, person = self._persons[index]
        sample = self.dataset.sample(image, maps)
        people = sample.people[person : person + 1]
        instances = sample.instances
        if instances is not None:
            own = instances == person + 1
            instances = np.where(own, 1, np.where(instances < 0, -1, 0)).astype(np.int16)
        focus = _around(people)
        return replace(sample, people=people, instances=instances, image_id=self.image_ids[index], focus=focus)

    def focus(self, index: int) -> NDArray[np.float64]:
        """The square around one person, xyxy px of the image."""
        return _around(self.people(index))

    def people(self, index: int) -> People:
        """The person by itself, in the image's px."""
        image, person = self._persons[index]
        return self.dataset.people(image)[person : person + 1]

    def number_of_people(self, index: int) -> int:
        """One."""
        return 1

    def source(self, index: int) -> tuple[Dataset, int]:
        """The image of ``dataset`` that the person is in."""
        return self.dataset, self._persons[index][0]

    def ground_truth(self, indices: Sequence[int] | None = None) -> GroundTruth:
        """The persons at ``indices`` (default: all), each in an image of its own, whose id is the person's."""
        images: list[Record] = []
        annotations: list[Record] = []
        chosen = range(len(self)) if indices is None else indices
        truth = self.dataset.ground_truth([])
        for index in chosen:
            image, person = self._persons[index]
            own = self.dataset.ground_truth([image])
            people = [record for record in own["annotations"] if not record["iscrowd"]]
            number = self.image_ids[index]
            images.append({**own["images"][0], "id": number})
            annotations.append({**people[person], "id": number, "image_id": number})
        return {"images": images, "annotations": annotations, "categories": truth["categories"]}


def _around(people: People) -> NDArray[np.float64]:
    """The square around 1.3 times the box of one person, xyxy px."""
    square: NDArray[np.float64] = square_around(people.boxes, MARGIN)[0]
    return square
