"""Labels without images, and one sample a person."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bottomup.data.synthetic import Synthetic
from bottomup.errors import ConfigError
from bottomup.geometry import invert, transform_points
from bottomup.samples.augment import Augment
from bottomup.samples.labels import Labels, Persons
from bottomup.samples.letterbox import letterbox
from bottomup.samples.loader import Order, TrainingSet, collate
from bottomup.samples.subset import Subset
from bottomup.skeletons import COCO

DRAWN = Synthetic(split="val", size=96, people=[2, 5])


def test_labels_are_those_of_the_images_in_their_frames() -> None:
    labels = Labels(DRAWN)
    for index in range(4):
        alone, whole = labels.sample(index, frozenset({"instances"})), DRAWN.sample(index, frozenset())
        assert alone.image is None and alone.shape == whole.shape and alone.image_id == whole.image_id
        np.testing.assert_array_equal(alone.people.keypoints, whole.people.keypoints)


def test_they_are_letterboxed_as_their_images_are() -> None:
    labels = Labels(DRAWN)
    alone, whole = (
        letterbox(dataset.sample(1, frozenset()), 128, lambda side: -(-side // 32) * 32, (0, 0, 0)) for dataset in (labels, DRAWN)
    )
    assert alone.shape == whole.shape and alone.content == whole.content
    np.testing.assert_allclose(alone.people.keypoints, whole.people.keypoints, atol=1e-4)
    assert collate([alone]).images is None and collate([alone]).size == whole.shape


def test_each_person_stands_first_in_a_sample_of_their_own() -> None:
    persons = Persons(DRAWN, min_keypoints=1, max_people=30)
    seen = [persons.people(index).keypoints[0] for index in range(8)]
    expected = np.concatenate([DRAWN.people(index).keypoints for index in range(6)])
    labelled = np.concatenate([(DRAWN.people(index).visibility > 0).any(1) for index in range(6)])
    np.testing.assert_array_equal(np.stack(seen), expected[labelled][:8])


def test_neighbours_are_kept_as_far_as_there_is_room() -> None:
    everybody, alone = (Persons(DRAWN, min_keypoints=1, max_people=most) for most in (30, 1))
    counts = [len(everybody.people(index)) for index in range(20)]
    assert max(counts) > 1 and {len(alone.people(index)) for index in range(20)} == {1}


def test_persons_are_drawn_as_often_as_their_images() -> None:
    weighted = Labels(DRAWN)
    weighted.weights = [float(index) for index in range(len(DRAWN))]
    persons = Persons(weighted, min_keypoints=1, max_people=1)
    assert persons.weights == [float(persons._persons[index][0]) for index in range(len(persons))]
    curriculum = Order(persons, 4, 0, persons.easiest_first)
    assert curriculum.draws == len(persons) != Order(persons, 4, 0).draws


def test_the_easiest_have_the_most_keypoints() -> None:
    persons = Persons(DRAWN, min_keypoints=2, max_people=1)
    counts = [(persons.people(index).visibility[0] > 0).sum() for index in persons.easiest_first]
    assert counts == sorted(counts, reverse=True) and min(counts) >= 2
    order = Order(persons, 4, 0, persons.easiest_first)
    assert [p.image for p in next(order.positions(0, 0, 1, 4))] == persons.easiest_first[:4]


def test_a_batch_of_persons_has_their_boxes_in_one_frame() -> None:
    persons = Persons(DRAWN, min_keypoints=1, max_people=4)
    augment = Augment((64, 80), (0, 0, 0), COCO.flip_order, flip=0.5, rotate=0.0)
    samples = [TrainingSet(persons, augment, frozenset(), 0)[(0, index)] for index in range(12)]
    batch = collate(samples, 4)
    assert batch.images is None and batch.size == (64, 80) and batch.present[:, 0].all()
    assert len({sample.to_input[0, 0] > 0 for sample in samples}) == 2  # some are mirrored
    for index, sample in enumerate(samples):
        person, there = persons.people(index), sample.people
        order = COCO.flip_order if sample.to_input[0, 0] < 0 else tuple(range(17))
        labelled = there.visibility[0] > 0
        back = transform_points(there.keypoints[0], invert(sample.to_input).astype(np.float32))
        np.testing.assert_allclose(back[labelled], person.keypoints[0][list(order)][labelled], atol=1e-3)
    torch.testing.assert_close(batch.boxes[:, 0, 2:] > batch.boxes[:, 0, :2], torch.ones(12, 2, dtype=torch.bool))


def test_a_set_without_samples_says_so() -> None:
    """Not that a batch should be smaller than none."""
    with pytest.raises(ConfigError, match="nothing to train on: the data set has no images, or nobody"):
        Order(Subset(DRAWN, []), 1, 0)
