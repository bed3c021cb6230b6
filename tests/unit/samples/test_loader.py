"""The order of training images, and batches of equal shapes."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from itertools import combinations, islice

import numpy as np
import pytest
import torch

from bottomup.errors import ConfigError
from bottomup.samples.augment import Augment
from bottomup.samples.loader import (
    Order,
    Position,
    TrainingSet,
    buckets,
    collate,
    training_batches,
)
from bottomup.samples.workers import start_worker, start_yielding_worker
from bottomup.skeletons import COCO
from tests.scenes import Scenes, make_sample


def test_an_epoch_shows_every_image_once_and_every_epoch_another_order() -> None:
    order = Order(Scenes(12), 4, seed=0)
    steps = list(islice(order.positions(0, 0, 1, 4), 6))
    first, second = [p for step in steps[:3] for p in step], [p for step in steps[3:] for p in step]
    assert sorted(p.image for p in first) == sorted(p.image for p in second) == list(range(12))
    assert [p.image for p in first] != [p.image for p in second]
    assert {p.earlier for p in first} == {0}


@pytest.mark.parametrize(("world", "micro"), [(1, 8), (2, 4), (1, 4), (4, 1), (2, 2)])
def test_a_step_shows_the_same_images_however_it_is_cut(world: int, micro: int) -> None:
    order = Order(Scenes(20), 8, seed=1)
    parts = 8 // (world * micro)
    drawn = [list(islice(order.positions(3, rank, world, micro), parts)) for rank in range(world)]
    union = sorted(position for rank in drawn for part in rank for position in part)
    whole = next(order.positions(3, 0, 1, 8))
    assert union == sorted(whole)


def test_starting_in_the_middle_continues_the_order() -> None:
    order = Order(Scenes(20), 4, seed=1)
    assert list(islice(order.positions(0, 0, 1, 4), 12))[7:] == list(islice(order.positions(7, 0, 1, 4), 5))


def test_weights_draw_images_more_often() -> None:
    dataset = Scenes(4)
    dataset.weights = [3.0, 1.0, 0.5, 0.5]
    order = Order(dataset, 1, seed=0)
    drawn = np.bincount(np.concatenate([order.epoch(epoch) for epoch in range(40)]), minlength=4)
    assert order.draws == 5
    np.testing.assert_allclose(drawn / 40, dataset.weights, atol=0.2)


def weighted() -> Scenes:
    dataset = Scenes(4)
    dataset.weights = [5.0, 2.0, 1.0, 1.0]
    return dataset


def test_draws_of_an_image_are_counted_by_their_place_in_the_epoch_alone() -> None:
    order = Order(weighted(), 3, seed=0)
    steps = list(islice(order.positions(0, 0, 1, 3), 6))
    for epoch in (0, 1):
        drawn = [position for step in steps[3 * epoch : 3 * epoch + 3] for position in step]
        for index in range(4):
            assert [p.earlier for p in drawn if p.image == index] == list(range((5, 2, 1, 1)[index]))
        assert {p.epoch for p in drawn} == {epoch}
    for first in range(6):
        assert list(islice(order.positions(first, 0, 1, 3), 6 - first)) == steps[first:]
        ranks = [list(islice(order.positions(first, rank, 3, 1), 1)) for rank in range(3)]
        assert [position for rank in ranks for part in rank for position in part] == steps[first]


def test_every_draw_of_an_image_is_augmented_anew() -> None:
    samples = TrainingSet(weighted(), Augment((64, 64), (0, 0, 0), COCO.flip_order), frozenset(), seed=5)
    draws = [samples[Position(0, 0, earlier)].to_input for earlier in range(5)]
    assert (draws[0] == samples[(0, 0)].to_input).all()
    for one, other in combinations(draws, 2):
        assert (one != other).any()


@pytest.mark.parametrize(("images", "batch_size"), [(11, 4), (12, 4), (7, 5)])
def test_a_fixed_order_goes_on_where_the_last_epoch_ended(images: int, batch_size: int) -> None:
    fixed = list(reversed(range(images)))
    order = Order(Scenes(images), batch_size, 0, fixed)
    steps = list(islice(order.positions(0, 0, 1, batch_size), 3 * images))
    shown = [position.image for step in steps for position in step]
    assert shown == [fixed[n % images] for n in range(len(shown))]  # nobody is left out for ever
    per_epoch = np.unique([(p.epoch, p.image) for step in steps for p in step], axis=0, return_counts=True)[1]
    assert (per_epoch == 1).all()
    assert list(islice(order.positions(images, 0, 1, batch_size), images)) == steps[images : 2 * images]


def test_too_few_images_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"lower engine\.batch_size"):
        Order(Scenes(3), 8, seed=0)


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_do_not_depend_on_the_number_of_workers(workers: int) -> None:
    def batches(count: int) -> list[torch.Tensor]:
        samples = TrainingSet(Scenes(12), Augment((64, 64), (0, 0, 0), COCO.flip_order), frozenset({"crowd"}), seed=5)
        order = Order(samples.dataset, 4, seed=5)
        made = training_batches(samples, order, micro_batch=4, max_people=4, workers=count)
        return [batch.images for batch in islice(made, 5) if batch.images is not None]

    for one, other in zip(batches(0), batches(workers), strict=True):
        assert torch.equal(one, other)


def _niceness_of_a_worker(start: Callable[[int], None]) -> int:
    start(0)
    return os.nice(0)


@pytest.mark.skipif(not hasattr(os, "nice"), reason="no niceness here")
def test_workers_leave_the_cores_to_training_where_that_needs_them() -> None:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"), max_tasks_per_child=1) as processes:
        ordinary, yielding = processes.map(_niceness_of_a_worker, (start_worker, start_yielding_worker))
    assert (ordinary, yielding) == (os.nice(0), 19)


def test_the_largest_people_stay() -> None:
    sample = make_sample(0, people=5)
    sample.people.areas[:] = [5, 1, 4, 2, 3]
    batch = collate([sample], max_people=3)
    assert batch.areas.tolist() == [[5, 4, 3]]
    assert batch.instances is not None and batch.instances.max() == 3
    assert (batch.instances == 2).sum() == (sample.instances == 3).sum()


def test_buckets_hold_equal_shapes_and_lose_nothing() -> None:
    sizes = [(32, 64), (64, 32), (32, 64), (32, 64), (64, 64)]
    samples = [(index, make_sample(index, size)) for index, size in enumerate(sizes)]
    made = list(buckets(samples, 2))
    assert sorted(index for indices, _ in made for index in indices) == [0, 1, 2, 3, 4]
    for indices, batch in made:
        assert all(sizes[index] == batch.size for index in indices)
        assert list(batch.image_ids) == indices
