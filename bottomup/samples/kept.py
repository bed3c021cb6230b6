"""Samples kept in memory: a few images drawn or read once, however often they are trained on."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from bottomup.dataset import Dataset, GroundTruth
from bottomup.types import People, Sample


class Kept(Dataset):
    """``dataset`` whose samples stay in memory once read, in each loading process by itself.

    For sets that fit: a sample of 256 x 256 px takes 0.2 MB, a quarter more for each map. Samples are shared, nobody may write
    into one.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.task, self.image_ids, self.weights = dataset.task, dataset.image_ids, dataset.weights
        self.labelled = dataset.labelled
        self._samples: dict[tuple[int, frozenset[str]], Sample] = {}
        self._people: dict[int, People] = {}

    def sample(self, index: int, maps: frozenset[str]) -> Sample:
        """The image at ``index`` in its own px, read at the first call."""
        key = (range(len(self))[index], maps)
        if key not in self._samples:
            self._samples[key] = self.dataset.sample(index, maps)
        return self._samples[key]

    def people(self, index: int) -> People:
        """The people of one image, in its own px, read at the first call: to know who covers whom, synthetic ones are drawn."""
        key = range(len(self))[index]
        if key not in self._people:
            self._people[key] = self.dataset.people(index)
        return self._people[key]

    def source(self, index: int) -> tuple[Dataset, int]:
        """The same image of ``dataset``."""
        return self.dataset, index

    def ground_truth(self, indices: Sequence[int] | None = None) -> GroundTruth:
        """What is annotated in the images at ``indices`` (default: all)."""
        return self.dataset.ground_truth(indices)


_shared: ContextVar[dict[Hashable, Kept] | None] = ContextVar("_shared", default=None)


@contextmanager
def sharing() -> Iterator[None]:
    """Within, data sets that are kept under equal keys are one: trainings that are compared draw or read their images once."""
    token = _shared.set({})
    try:
        yield
    finally:
        _shared.reset(token)


def kept(dataset: Dataset, key: Hashable) -> Kept:
    """``dataset``, kept in memory; within ``sharing`` the one that was first kept under ``key``."""
    shared = _shared.get()
    return Kept(dataset) if shared is None else shared.setdefault(key, Kept(dataset))
