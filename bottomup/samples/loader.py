"""Samples become batches: for training in a drawn order that can be resumed anywhere, for evaluation in buckets of one shape."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from bottomup.coco.masks import paint_box
from bottomup.dataset import Dataset
from bottomup.errors import ConfigError
from bottomup.samples.content import select_people
from bottomup.samples.padding import padded_alike
from bottomup.samples.skipping import OnError, Readable, Unread, attempted
from bottomup.samples.workers import deaf, start_worker
from bottomup.types import OUTSIDE, Batch, People, Sample

T = TypeVar("T")
P = TypeVar("P")  # what a sample is prepared to


class Position(NamedTuple):
    """One draw of an image."""

    epoch: int
    image: int  # its index in the data set
    earlier: int = 0  # how often it was drawn in the epoch before


def collate(samples: list[Sample], max_people: int | None = None) -> Batch:
    """Samples of one shape as a batch, people padded to ``max_people`` (None: to the most that one image has, at least 1).

    Where an image has more, the largest stay, as they carry most of the supervision; the others are ignored as a crowd.
    """
    if max_people is not None:
        samples = [_largest(sample, max_people) for sample in samples]
    rows = [_rows(sample) for sample in samples]
    count = max_people if max_people is not None else max(1, *map(len, rows))
    names = dict.fromkeys(name for sample in samples for name in sample.ignore)
    return Batch(
        size=samples[0].shape,
        keypoints=_padded([people.keypoints for people in rows], count),
        visibility=_padded([people.visibility for people in rows], count),
        boxes=_padded([people.boxes for people in rows], count),
        areas=_padded([people.areas for people in rows], count),
        labels=_padded([people.labels for people in rows], count),
        has_mask=_padded([people.has_mask for people in rows], count),
        tracks=_tracks(rows, count),
        present=_padded([np.ones(len(sample.people), bool) for sample in samples], count),
        content=torch.tensor([_content(sample) for sample in samples], dtype=torch.float32),
        image_ids=tuple(sample.image_id for sample in samples),
        file_sizes=tuple(sample.file_size for sample in samples),
        to_input=torch.from_numpy(np.stack([sample.to_input for sample in samples])),
        ignore={name: _ignored([sample.ignore.get(name) for sample in samples], samples[0].shape) for name in names},
        images=_images(samples),
        instances=_instances(samples),
        annotated=torch.from_numpy(np.stack([_annotated(sample) for sample in samples])),
        most=max(1, *(min(len(people), count) for people in rows)),
        outside=any((people.visibility == OUTSIDE).any() for people in rows),
    )


def _rows(sample: Sample) -> People:
    """Everybody in the picture, then those just out of it."""
    people, beside = sample.people, sample.beside
    if beside is None or not len(beside):
        return people
    names = [f.name for f in fields(People) if getattr(people, f.name) is not None]
    return People(**{name: np.concatenate((getattr(people, name), getattr(beside, name))) for name in names})


def _largest(sample: Sample, count: int) -> Sample:
    if len(sample.people) <= count:
        return sample
    largest_first = np.argsort(-sample.people.areas, kind="stable")
    ignore = dict(sample.ignore)
    if ignore:
        ignore["crowd"] = ignore["crowd"].copy() if "crowd" in ignore else np.zeros(sample.shape, bool)
        for box in sample.people.boxes[largest_first[count:]].tolist():
            paint_box(ignore["crowd"], box)
    return replace(select_people(sample, np.sort(largest_first[:count])), ignore=ignore)


def _ignored(maps: list[NDArray[np.bool_] | None], size: tuple[int, int]) -> Tensor:
    """A map (B, H, W) of samples, of whom some may have nothing to ignore."""
    nothing = np.broadcast_to(np.False_, size)
    return torch.from_numpy(np.stack([nothing if pixels is None else pixels for pixels in maps]))


def _padded(arrays: list[NDArray[np.generic]], count: int) -> Tensor:
    padded = np.zeros((len(arrays), count, *arrays[0].shape[1:]), arrays[0].dtype)
    for row, array in zip(padded, arrays, strict=True):
        row[: len(array)] = array[:count]
    return torch.from_numpy(padded)


def _tracks(rows: list[People], count: int) -> Tensor | None:
    known = [people.tracks for people in rows if people.tracks is not None]
    return _padded(known, count) if len(known) == len(rows) else None  # type: ignore[arg-type]  # lists are invariant


def _content(sample: Sample) -> tuple[float, float, float, float]:
    return sample.content or (0.0, 0.0, float(sample.shape[1]), float(sample.shape[0]))


def _annotated(sample: Sample) -> NDArray[np.bool_]:
    return np.ones(sample.people.keypoints.shape[1], bool) if sample.annotated is None else sample.annotated


def _images(samples: list[Sample]) -> Tensor | None:
    """Images (B, 3, H, W), channels last in memory: as they are read, moved and, by networks, computed on."""
    images = [sample.image.transpose(1, 2, 0) for sample in samples if sample.image is not None]
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2) if len(images) == len(samples) else None


def _instances(samples: list[Sample]) -> Tensor | None:
    maps = [sample.instances for sample in samples if sample.instances is not None]
    return torch.from_numpy(np.stack(maps)) if len(maps) == len(samples) else None


@dataclass(frozen=True)
class Order:
    """In which order images are drawn: a function of seed and position alone, whatever the ranks and workers.

    One step draws ``batch_size`` images over all ranks and accumulation steps; micro-batches cut it in order, so that any
    way of cutting sees the same images.
    """

    dataset: Dataset
    batch_size: int
    seed: int
    fixed: Sequence[int] | None = None  # the order of every epoch, each once, as of a curriculum; None: drawn

    def __post_init__(self) -> None:
        if not len(self.dataset):
            raise ConfigError(
                "there is nothing to train on: the data set has no images, or nobody of whom a sample is made; "
                "give another data set or split, or lower data.min_keypoints"
            )
        if self.steps_per_epoch < 1:
            raise ConfigError(
                f"a step draws {self.batch_size} images, but the data set has {len(self.dataset)}; lower engine.batch_size"
            )

    @property
    def draws(self) -> int:
        """Images drawn in an epoch."""
        weights = self.dataset.weights if self.fixed is None else None
        return len(self.dataset) if weights is None else int(sum(weights))

    @property
    def steps_per_epoch(self) -> int:
        """Whole steps in an epoch; the remainder is left out, by a drawn order another one each time.

        A fixed order goes on with it in the next epoch, so that nobody is left out for ever.
        """
        return self.draws // self.batch_size

    def epoch(self, epoch: int) -> NDArray[np.int64]:
        """The order of one epoch, (draws,) indices."""
        if self.fixed is not None:
            return np.roll(np.asarray(self.fixed, np.int64), -epoch * self.steps_per_epoch * self.batch_size)
        rng = np.random.default_rng((self.seed, epoch))
        if self.dataset.weights is None:
            return rng.permutation(len(self.dataset))
        edges = np.cumsum(self.dataset.weights)
        return rng.permutation(np.searchsorted(edges, rng.random() + np.arange(self.draws), side="right") % len(edges))

    def positions(self, first_step: int, rank: int, world: int, micro_batch: int) -> Iterator[list[Position]]:
        """Micro-batches of one rank from a step on, without end."""
        step = first_step
        while True:
            epoch, step_in_epoch = divmod(step, self.steps_per_epoch)
            order = self.epoch(epoch)
            earlier = _draws_before(order)
            for start in range(step_in_epoch * self.batch_size, self.steps_per_epoch * self.batch_size, self.batch_size):
                for chunk in range(rank, self.batch_size // micro_batch, world):
                    drawn = slice(start + chunk * micro_batch, start + (chunk + 1) * micro_batch)
                    yield [Position(epoch, *draw) for draw in zip(order[drawn].tolist(), earlier[drawn].tolist(), strict=True)]
                step += 1


def _draws_before(order: NDArray[np.int64]) -> NDArray[np.int64]:
    """How often each entry of an order stands before itself."""
    together = np.argsort(order, kind="stable")  # equal ones side by side, as they stand
    ordered = order[together]
    before = np.empty_like(order)
    before[together] = np.arange(len(order)) - np.searchsorted(ordered, ordered)
    return before


class TrainingSet(TorchDataset[Sample]):
    """Augmented samples by position; the randomness is a function of (seed, epoch, image id, how often it was drawn before).

    ``augment`` takes a sample and the seed of its own draw, as ``samples.augment.Augment`` does.
    """

    def __init__(self, dataset: Dataset, augment: Callable[[Sample, int], Sample], maps: frozenset[str], seed: int) -> None:
        self.dataset, self.augment, self.maps, self.seed = dataset, augment, maps - {"padding"}, seed

    def __getitem__(self, position: tuple[int, ...]) -> Sample:
        """The sample of one position, (epoch, index) where it is the epoch's first draw, in input px."""
        epoch, index, earlier = Position(*position)
        key = (self.seed, epoch, self.dataset.image_ids[index], *([earlier] if earlier else []))
        drawn = int(np.random.SeedSequence(key).generate_state(1)[0])
        return self.augment(self.dataset.sample(index, self.maps), drawn)


class _Collate:
    """``collate`` with a fixed N, of samples of several shapes once they are padded with ``fill``; picklable for the workers."""

    def __init__(self, max_people: int, fill: Sequence[int]) -> None:
        self.max_people, self.fill = max_people, fill

    def __call__(self, samples: list[Sample]) -> Batch:
        return collate(padded_alike(samples, self.fill), self.max_people)


class _Batches(torch.utils.data.Sampler[list[Position]]):
    """The order of one rank as a batch sampler."""

    def __init__(self, order: Order, first_step: int, rank: int, world: int, micro_batch: int) -> None:
        self.order, self.args = order, (first_step, rank, world, micro_batch)

    def __iter__(self) -> Iterator[list[Position]]:
        return self.order.positions(*self.args)


def training_batches(
    samples: TrainingSet,
    order: Order,
    *,
    micro_batch: int,
    max_people: int,
    first_step: int = 0,
    rank: int = 0,
    world: int = 1,
    workers: int = 2,
    pin_memory: bool = False,
    fill: Sequence[int] = (0, 0, 0),
    start: Callable[[int], None] = start_worker,
) -> Iterator[Batch]:
    """Micro-batches of one rank from step ``first_step`` on, without end; workers, begun by ``start``, live between epochs.

    Images of several shapes are padded to the largest of their micro-batch with the colour ``fill``.
    """
    loader = DataLoader(
        samples,
        batch_sampler=_Batches(order, first_step, rank, world, micro_batch),
        num_workers=workers,
        collate_fn=_Collate(max_people, fill),
        pin_memory=pin_memory,
        persistent_workers=workers > 0,
        worker_init_fn=start,
    )
    with deaf():
        return iter(loader)


class _Prepared(TorchDataset[tuple[int, P | Unread]]):
    def __init__(self, dataset: Dataset, prepare: Callable[[Sample], P], maps: frozenset[str], on_error: OnError) -> None:
        self.dataset, self.prepare, self.maps, self.on_error = dataset, prepare, maps - {"padding"}, on_error

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[int, P | Unread]:
        return index, attempted(lambda: self.prepare(self.dataset.sample(index, self.maps)), self.on_error)


def first(items: list[T]) -> T:
    """The only item of a batch of one."""
    return items[0]


def prepared_samples(
    dataset: Dataset, prepare: Callable[[Sample], P], maps: frozenset[str], workers: int
) -> Iterator[tuple[int, P]]:
    """Every sample of a data set once, in order, prepared (letterboxed) in workers."""
    return Readable().of(attempted_samples(dataset, prepare, maps, workers, "raise"))


def attempted_samples(
    dataset: Dataset, prepare: Callable[[Sample], P], maps: frozenset[str], workers: int, on_error: OnError
) -> Iterator[tuple[int, P | Unread]]:
    """The same; ``Unread`` for each that cannot be read, where those are skipped."""
    loader: DataLoader[tuple[int, P | Unread]] = DataLoader(
        _Prepared(dataset, prepare, maps, on_error),
        batch_size=1,
        collate_fn=first,
        num_workers=workers,
        worker_init_fn=start_worker,
    )
    with deaf():
        return iter(loader)


def buckets(samples: Iterable[tuple[int, Sample]], batch_size: int) -> Iterator[tuple[list[int], Batch]]:
    """Batches of equal shapes, with the indices of their samples; batched = single, as shapes depend on the image alone."""
    for bucket in alike(samples, batch_size, lambda item: item[1].shape):
        yield [index for index, _ in bucket], collate([sample for _, sample in bucket])


def alike(items: Iterable[T], count: int, key: Callable[[T], Hashable]) -> Iterator[list[T]]:
    """``count`` items of one key, as soon as they are there; at the end those that are left."""
    waiting: dict[Hashable, list[T]] = {}
    for item in items:
        bucket = waiting.setdefault(key(item), [])
        bucket.append(item)
        if len(bucket) == count:
            yield waiting.pop(key(item))
    yield from waiting.values()
