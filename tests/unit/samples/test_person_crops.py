"""One sample a person: its focus, its truth, and the frame that training and prediction see it in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from bottomup.data.synthetic import Synthetic
from bottomup.errors import ConfigError
from bottomup.evaluation.coco import evaluate_keypoints
from bottomup.geometry import transform_boxes, transform_points
from bottomup.heads.heatmap import Heatmap
from bottomup.plan.data import DataPlan
from bottomup.plan.training import train_plan
from bottomup.samples.augment import Augment
from bottomup.samples.letterbox import letterbox
from bottomup.samples.loader import collate
from bottomup.samples.person_crops import MARGIN, PersonCrops
from bottomup.skeletons import COCO
from bottomup.types import Instances, Prediction

DRAWN = Synthetic(split="val", size=160, people=[2, 4])
CROPS = PersonCrops(DRAWN, min_keypoints=1)
STILL = Augment((96, 96), (0, 0, 0), COCO.flip_order, 96, rotate=0.0, scale=(1.0, 1.0), translate=0.0, flip=0.0)


def test_everybody_with_keypoints_has_a_sample_of_their_own() -> None:
    expected = [person for index in range(len(DRAWN)) for person in DRAWN.people(index).keypoints]
    assert len(CROPS) == len(expected)
    for index in (0, 1, 7):
        np.testing.assert_array_equal(CROPS.people(index).keypoints, expected[index][None])
        np.testing.assert_array_equal(CROPS.sample(index, frozenset()).people.keypoints, expected[index][None])
        assert CROPS.number_of_people(index) == 1


def test_the_focus_is_a_square_around_the_box() -> None:
    for index in range(5):
        sample = CROPS.sample(index, frozenset())
        assert sample.focus is not None
        (box,), sides = sample.people.boxes, sample.focus[2:] - sample.focus[:2]
        np.testing.assert_allclose(sides, MARGIN * (box[2:] - box[:2]).max(), rtol=1e-5)
        np.testing.assert_allclose(sample.focus[:2] + sample.focus[2:], box[:2] + box[2:], rtol=1e-5)


def test_the_true_pose_of_each_is_judged_perfect() -> None:
    found = []
    for index in range(len(CROPS)):
        people = CROPS.people(index)
        points = torch.from_numpy(people.keypoints)
        instances = Instances.of_keypoints(points, torch.from_numpy(people.labelled).float(), torch.ones(1))
        found.append(Prediction(instances, CROPS.image_size(index), image_id=CROPS.image_ids[index]))
    assert evaluate_keypoints(found, CROPS.ground_truth(), COCO)["AP"] == pytest.approx(1.0)


def test_training_without_variation_sees_what_prediction_sees() -> None:
    for index in range(4):
        sample = CROPS.sample(index, frozenset())
        trained, seen = STILL(sample, 0), letterbox(sample, 96, lambda side: side, (0, 0, 0))
        np.testing.assert_allclose(trained.to_input, seen.to_input, atol=1e-4)  # px, of float32 boxes
        np.testing.assert_allclose(trained.pixels.astype(float), seen.pixels, atol=1)  # of a place that differs in its last bit
        np.testing.assert_allclose(trained.people.keypoints, seen.people.keypoints, atol=1e-4)


def test_the_focus_fills_the_middle_of_a_square() -> None:
    sample = CROPS.sample(0, frozenset())
    assert sample.focus is not None
    seen = letterbox(sample, 90, lambda side: side + 6, (9, 9, 9))
    np.testing.assert_allclose(transform_boxes(sample.focus[None], seen.to_input), [[3, 3, 93, 93]], atol=1e-4)
    assert seen.content is not None and seen.shape == (96, 96)
    whole = transform_points(np.array(((0.0, 0.0), sample.shape[::-1])), seen.to_input)
    np.testing.assert_allclose(seen.content, whole.clip(0, 96).flatten(), atol=1e-4)
    x1, y1, x2, y2 = np.array(seen.content).round().astype(int)
    outside = np.ones((96, 96), bool)
    outside[max(y1 - 1, 0) : y2 + 1, max(x1 - 1, 0) : x2 + 1] = False
    assert (seen.pixels[:, outside] == 9).all()


def test_augmented_people_keep_to_their_picture() -> None:
    """Keypoints move as ``to_input`` says, and the person stays in the picture's middle half."""
    augment = Augment((96, 96), (0, 0, 0), COCO.flip_order, 96, rotate=30.0, scale=(0.75, 1.3), translate=0.08, flip=0.0)
    for seed in range(12):
        sample = CROPS.sample(seed, frozenset())
        moved = augment(sample, seed)
        expected = transform_points(sample.people.keypoints, moved.to_input.astype(np.float32))
        np.testing.assert_allclose(moved.people.keypoints, expected, atol=1e-3)
        middle = transform_points((sample.people.boxes[:, :2] + sample.people.boxes[:, 2:]) / 2, moved.to_input.astype(np.float32))
        assert np.abs(middle - 48).max() <= 0.08 * 96 + 1e-3


def test_other_people_are_background() -> None:
    plan = train_plan(["experiment=demo/single_person", "backbone=hourglass_tiny"])
    model, _ = plan.model.compose(DRAWN.task)
    head = model.stack("heatmap").last
    assert isinstance(head, Heatmap)
    batch = collate([letterbox(CROPS.sample(index, model.ignores - {"padding"}), 128, model.side, (0, 0, 0)) for index in range(6)])
    targets = head.encode(batch, {})
    peaks = targets["heatmap"].flatten(2).amax(2) > 0
    assert torch.equal(peaks, batch.labelled[:, 0])  # a kind that the person lacks has none, though a neighbour has it
    in_picture = ~batch.ignore["padding"]
    assert targets["counted"].any() and in_picture.any()
    assert targets["counted"].sum() >= 17 * in_picture[:, 2::4, 2::4].sum() * 0.9


def test_crops_are_chosen_by_the_plan(shared: Path) -> None:
    root = shared / "data" / "coco_person"
    plans = (DataPlan(name="coco", options={"root": str(root)}, unit=unit, keep=True) for unit in ("image", "crop"))
    whole, crops = (plan.dataset("val", 3) for plan in plans)
    assert len(crops) == sum(int((people.visibility > 0).any(1).sum()) for people in map(whole.people, range(3)))
    with pytest.raises(ConfigError, match="crop"):
        DataPlan.of({"name": "coco", "unit": "crops"})
