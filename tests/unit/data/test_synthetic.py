"""The drawn people are what their annotations say, and the frozen benchmark is what it was."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np
import pytest
import torch
from torchvision.ops import box_iou

from bottomup.data import synthetic
from bottomup.data._backgrounds import draw_background
from bottomup.data._figures import SEGMENTS, Figure, Segment, paint
from bottomup.data._poses import Body, Pose, draw_pose
from bottomup.data.synthetic import Synthetic
from bottomup.data.synthetic_standard import SyntheticStandard
from bottomup.errors import ConfigError
from bottomup.plan.data import DataPlan
from bottomup.samples.augment import Augment
from bottomup.samples.kept import Kept
from bottomup.samples.labels import Persons
from bottomup.samples.loader import TrainingSet, collate
from bottomup.samples.subset import Subset
from bottomup.skeletons import COCO
from bottomup.types import Sample

MAPS = frozenset({"instances", "crowd"})


def test_images_are_a_function_of_seed_split_and_index() -> None:
    first, again = Synthetic(split="val").sample(3, MAPS), Synthetic(split="val").sample(3, MAPS)
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.people.keypoints, again.people.keypoints)
    for other in (Synthetic(split="val", seed=1), Synthetic(split="test"), Synthetic(split="train")):
        assert not np.array_equal(first.image, other.sample(3, MAPS).image)


def test_a_painted_disc_lies_where_its_keypoint_is() -> None:
    """Half a pixel of slip in the drawing would be a bias that every network learns."""
    for x, y in ((20.0, 20.0), (20.5, 21.25), (22.75, 19.5)):
        image, labels = np.zeros((40, 40, 3), np.uint8), np.zeros((40, 40), np.int16)
        disc = Segment("nose", ((x, y), (x, y)), 12, 0.0, (255, 255, 255))
        paint(Figure((disc,), np.zeros((17, 2))), image, labels, 0)
        rows, columns = np.mgrid[0.5:40, 0.5:40]
        weight = image[..., 0].astype(float)
        centroid = ((weight * columns).sum() / weight.sum(), (weight * rows).sum() / weight.sum())
        assert np.abs(np.subtract(centroid, (x, y))).max() < 0.15
        assert (labels > 0).any() and labels.max() < SEGMENTS


@pytest.mark.parametrize("dataset", [Synthetic(split="test"), SyntheticStandard(split="test")], ids=["synthetic", "standard"])
def test_annotations_describe_what_is_visible(dataset: Synthetic) -> None:
    for index in range(12):
        sample = dataset.sample(index, MAPS)
        people, instances = sample.people, sample.instances
        assert instances is not None and not sample.ignore["crowd"].any()
        assert 1 <= len(people) <= 8 and set(np.unique(instances)) - {0} == set(range(1, len(people) + 1))
        for n in range(len(people)):
            rows, columns = np.nonzero(instances == n + 1)
            box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            np.testing.assert_array_equal(people.boxes[n], box)
            assert people.areas[n] == len(rows)
            seen = people.keypoints[n][people.visibility[n] == 2].astype(int)
            assert (instances[seen[:, 1], seen[:, 0]] == n + 1).all()
            labelled = people.keypoints[n][people.visibility[n] > 0]
            assert ((labelled >= 0) & (labelled < dataset.size)).all()


@pytest.mark.parametrize(("yaw", "sign"), [(0.0, 1), (math.pi, -1)], ids=["front", "back"])
def test_the_left_side_is_the_persons_own(yaw: float, sign: int) -> None:
    still = (0.0, 0.1, 0.1)
    body = Body(Pose(yaw, 0.0, 0.0, (still, still), (still, still)), 1.0)
    for left, right in (*zip(*body.arms, strict=True), *zip(*body.legs, strict=True)):
        assert sign * (left[0] - right[0]) > 0


@pytest.mark.parametrize("options", [{}, {"people": (6, 8), "overlap": 1.0, "occluders": 1.0}], ids=["default", "crowded"])
def test_nobody_is_annotated_who_hardly_shows(options: dict[str, object]) -> None:
    dataset = Synthetic(split="test", **options)  # type: ignore[arg-type]
    for index in range(15):
        people = dataset.people(index)
        assert len(people) == 1 or ((people.visibility == 2).sum(1) >= 3).all()


def test_people_larger_than_the_image_are_drawn_in_a_bounded_number_of_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of them even the nearest may show too few keypoints, and whoever is sent away must make room for nobody new."""
    most = 12 + 5  # attempts with everybody, then with one less each

    def counted(*args: Any) -> Any:
        nonlocal drawn
        drawn += 1
        assert drawn <= most
        return draw_background(*args)

    monkeypatch.setattr(synthetic, "draw_background", counted)
    dataset = Synthetic(people=(5, 5), height=(1.6, 2.4), size=64)
    for index in range(40):
        drawn = 0
        people = dataset.people(index)
        assert len(people) == 1 or ((people.visibility == 2).sum(1) >= 3).all()


def test_an_occluder_takes_pixels_but_keeps_the_keypoints_labelled() -> None:
    bare, covered = (Synthetic(split="test", people=(1, 1), height=(0.7, 0.9), occluders=share) for share in (0.0, 1.0))
    share = [np.mean([(data.people(i).visibility == 1).mean() for i in range(30)]) for data in (bare, covered)]
    labelled = [np.mean([(data.people(i).visibility > 0).mean() for i in range(30)]) for data in (bare, covered)]
    assert share[1] > share[0] and labelled[1] > 0.7


def test_ground_truth_repeats_the_people() -> None:
    dataset = Synthetic(split="test", images=5)
    truth = dataset.ground_truth()
    assert [image["id"] for image in truth["images"]] == dataset.image_ids
    assert len(truth["annotations"]) == sum(len(dataset.people(index)) for index in range(5))
    record = truth["annotations"][0]
    people = dataset.people(0)
    expected = np.where(people.visibility[0] > 0, people.keypoints[0, :, 0] - 0.5, 0)
    np.testing.assert_allclose(record["keypoints"][::3], expected, atol=1e-4)


def test_many_people_of_the_standard_overlap() -> None:
    dataset = SyntheticStandard(split="test")
    overlapping = total = 0
    for index in range(60):
        boxes = torch.from_numpy(dataset.people(index).boxes)
        apart = box_iou(boxes, boxes).fill_diagonal_(0)
        overlapping += int((apart.max(1).values > 0.2).sum())
        total += len(boxes)
    assert overlapping / total >= 0.4


def test_the_standard_is_frozen() -> None:
    digest = hashlib.sha256()
    for split in ("train", "test"):
        dataset = SyntheticStandard(split=split)
        for index in range(10):
            sample = dataset.sample(index, MAPS)
            digest.update(sample.image.tobytes())
            digest.update(np.round(sample.people.keypoints, 2).astype("<f4").tobytes())
            digest.update(sample.people.visibility.tobytes())
    assert digest.hexdigest() == CHECKSUM, digest.hexdigest()


CHECKSUM = "a2e0b546414a247adb932adca130a32da91a9d0c092375abc17a7c5bcc26ca78"


def test_things_are_categories_of_their_own_with_masks_and_without_keypoints() -> None:
    dataset = Synthetic(split="val", size=160, things=("ball", "crate"), thing_count=(1, 1), images=6)
    assert dataset.task.categories == ("person", "ball", "crate") and dataset.task.skeleton == COCO
    truth = dataset.ground_truth()
    assert [category["name"] for category in truth["categories"]] == list(dataset.task.categories)
    labels = [dataset.people(index).labels for index in range(len(dataset))]
    assert [record["category_id"] - 1 for record in truth["annotations"]] == np.concatenate(labels).tolist()
    assert {*np.concatenate(labels).tolist()} == {0, 1, 2}
    for index in range(len(dataset)):
        sample = dataset.sample(index, MAPS)
        people, instances = sample.people, sample.instances
        assert instances is not None and not people.visibility[people.labels > 0].any()
        assert (people.visibility[people.labels == 0] > 0).any(1).all()
        assert np.bincount(instances.ravel())[1:].tolist() == people.areas.tolist()


def test_things_of_a_kind_look_alike_and_of_two_kinds_do_not() -> None:
    """A ball fills the disc of its size, a turned crate half of the square."""
    ball, crate = (
        Synthetic(size=256, things=(kind,), thing_size=(0.3, 0.3), people=(1, 1), images=8) for kind in ("ball", "crate")
    )
    filled = [
        [data.people(i).areas[data.people(i).labels == 1].max() / (0.3 * 256) ** 2 for i in range(8)] for data in (ball, crate)
    ]
    assert max(filled[0]) == pytest.approx(math.pi / 4, abs=0.03) and 0.5 <= max(filled[1]) < 0.7


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(ConfigError, match="did you mean 'train'"):
        Synthetic(split="trian")


@pytest.mark.parametrize("option", ["overlap", "occluders", "turned", "lying"])
def test_a_share_that_is_none_is_refused_by_name(option: str) -> None:
    with pytest.raises(ConfigError, match=f"{option} should be a number from 0 to 1"):
        Synthetic(**{option: 1.5})


def test_ground_truth_of_some_images_draws_these_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []
    sample = Synthetic.sample

    def watched(self: Synthetic, index: int, maps: frozenset[str]) -> Sample:
        drawn.append(index)
        return sample(self, index, maps)

    monkeypatch.setattr(Synthetic, "sample", watched)
    dataset = Synthetic(size=64, images=50)
    truth = Subset(dataset, [7, 3]).ground_truth()
    assert drawn == [7, 3] and [image["id"] for image in truth["images"]] == [dataset.image_ids[7], dataset.image_ids[3]]


def test_who_faces_the_viewer_has_the_left_at_the_right_of_the_image() -> None:
    """Nobody turned, nobody lying: left shoulders lie right of right ones, heads above hips."""
    left, right, nose, hip = (COCO.index(name) for name in ("left_shoulder", "right_shoulder", "nose", "left_hip"))
    dataset = Synthetic(turned=0.0, lying=0.0)
    for index in range(20):
        people = dataset.people(index)
        x, y = people.keypoints[..., 0], people.keypoints[..., 1]
        shoulders = (people.visibility[:, [left, right]] > 0).all(1)
        upright = (people.visibility[:, [nose, hip]] > 0).all(1)
        assert (x[shoulders, left] > x[shoulders, right]).all() and (y[upright, nose] < y[upright, hip]).all()


def test_shares_of_turned_and_lying_people() -> None:
    rng = np.random.default_rng(0)
    poses = [draw_pose(rng, turned=0.4, lying=0.2) for _ in range(2000)]
    assert sum(math.cos(pose.yaw) < 0.5 for pose in poses) / 2000 == pytest.approx(0.4, abs=0.03)
    assert sum(abs(pose.roll) > 1 for pose in poses) / 2000 == pytest.approx(0.2, abs=0.03)


def test_kept_samples_are_drawn_once_and_equal_the_drawn() -> None:
    dataset = Synthetic(images=3)
    kept = Kept(dataset)
    maps = frozenset({"crowd", "instances"})
    assert kept.sample(1, maps) is kept.sample(1, maps) and kept.people(1) is kept.people(1)
    np.testing.assert_array_equal(kept.people(1).keypoints, dataset.people(1).keypoints)
    np.testing.assert_array_equal(kept.sample(1, maps).image, dataset.sample(1, maps).image)
    assert kept.sample(1, frozenset()).instances is None and kept.sample(1, maps).instances is not None
    assert kept.ground_truth([2]) == dataset.ground_truth([2]) and len(kept) == 3


def test_persons_of_kept_images_are_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    persons = Persons(Kept(Subset(Synthetic(images=3), [0, 2])), min_keypoints=1, max_people=4)

    def drawn(_: Synthetic, index: int) -> None:
        raise AssertionError(f"scene {index} is drawn once more")

    monkeypatch.setattr(Synthetic, "_scene", drawn)
    for index in range(len(persons)):
        assert persons.sample(index, frozenset()).file_size == (128, 128)


def test_a_part_of_a_split_is_those_images_of_it() -> None:
    options = {"name": "synthetic", "images": 6}
    whole = DataPlan.of(options | {"split": "train"}).dataset("val").image_ids
    assert DataPlan.of(options | {"split": "train[4:]"}).dataset("val").image_ids == whole[4:]
    assert DataPlan.of(options | {"split": "train[:4]"}).dataset("val", limit=2).image_ids == whole[:2]
    assert DataPlan.of(options | {"split": "train[1:3]"}).dataset("val").image_ids == whole[1:3]
    with pytest.raises(ConfigError, match=r"written as in train\[100:\]"):
        DataPlan.of(options | {"split": "train[-2:]"}).dataset("val")


def test_augmenting_and_collating_leave_a_kept_sample_as_it_is() -> None:
    kept = DataPlan.of({"name": "synthetic", "images": 2, "keep": True} | {"split": "train"}).dataset("val")
    before = kept.sample(0, frozenset({"crowd"})).image.copy()
    augment = Augment((96, 96), [0, 0, 0], COCO.flip_order, rotate=40, scale=(0.5, 1.5), flip=1.0)
    order = TrainingSet(kept, augment, frozenset({"crowd"}), seed=0)
    collate([order[(0, 0)], order[(1, 0)]], 2).images.zero_()
    np.testing.assert_array_equal(kept.sample(0, frozenset({"crowd"})).image, before)
