"""Augmentation keeps to the pixel convention: what the image shows and what the annotations say stay one thing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bottomup.errors import ConfigError
from bottomup.geometry import transform_points
from bottomup.plan.composing import load_config
from bottomup.samples.augment import Augment
from bottomup.samples.letterbox import fit, letterbox
from bottomup.samples.loader import collate
from bottomup.samples.padding import padded_alike
from bottomup.skeletons import COCO
from bottomup.types import Sample
from tests.scenes import make_sample

GREY = (124, 116, 104)


def make_augment(fill: tuple[int, int, int] = GREY, **options: object) -> Augment:
    still = {"rotate": 0.0, "scale": (1.0, 1.0), "translate": 0.0, "flip": 0.0}
    return Augment((128, 128), fill, COCO.flip_order, **(still | options))  # type: ignore[arg-type]


def spots(seed: int = 0) -> Sample:
    """A black image with one soft white spot, exactly at the first person's nose."""
    sample = make_sample(seed, (128, 160), people=1)
    people = replace(sample.people, keypoints=sample.people.keypoints.copy())
    people.keypoints[0, 0] = np.random.default_rng(seed).uniform((60, 45), (100, 85))
    y, x = np.mgrid[0.5:128, 0.5:160]
    px, py = people.keypoints[0, 0]
    glow = 255 * np.exp(-((x - px) ** 2 + (y - py) ** 2) / 18)
    return replace(sample, image=np.repeat(glow[None], 3, 0).round().astype(np.uint8), people=people)


def centroid(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    weight = image[0].astype(float)
    y, x = np.mgrid[0.5 : weight.shape[0], 0.5 : weight.shape[1]]
    return np.array([(weight * x).sum(), (weight * y).sum()]) / weight.sum()


@pytest.mark.parametrize(("side", "scale"), [("long", 100 / 160), ("short", 100 / 128)])
def test_the_image_is_as_long_as_it_should_be_whatever_the_canvas(side: str, scale: float) -> None:
    still: dict[str, Any] = {"rotate": 0.0, "scale": (1.0, 1.0), "translate": 0.0, "flip": 0.0, "side": side}
    for canvas in (128, 160):
        augment = Augment((canvas, canvas), GREY, COCO.flip_order, 100, **still)
        assert augment(make_sample(0, (128, 160), people=1), 0).to_input[0, 0] == pytest.approx(scale)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"flip": 1.0},
        {"rotate": 40.0},
        {"scale": (0.7, 1.4)},
        {"scale": (0.3, 0.5)},
        {"translate": 0.1},
        {"side": "short"},
        {"crop": True, "side": "short"},
        {"transforms": [{"name": "HorizontalFlip", "p": 1.0}]},
        {"transforms": [{"name": "Affine", "rotate": 20, "p": 1.0}]},
    ],
)
def test_the_picture_of_a_keypoint_moves_with_the_keypoint(options: dict[str, object]) -> None:
    augment = make_augment(fill=(0, 0, 0), **options)
    for seed in range(4):
        moved = augment(spots(), seed)
        visible = moved.people.visibility[0, 0] > 0 if len(moved.people) else False
        if visible and moved.people.keypoints[0, 0].min() > 10 and moved.people.keypoints[0, 0].max() < 118:
            assert np.abs(centroid(moved.image) - moved.people.keypoints[0, 0]).max() < 0.1


def test_flipping_swaps_left_and_right() -> None:
    sample = make_sample(1, (128, 128), people=2)
    moved = make_augment(flip=1.0)(sample, 0)
    expected = sample.people.keypoints[:, COCO.flip_order].copy()
    expected[..., 0] = 128 - expected[..., 0]
    np.testing.assert_allclose(moved.people.keypoints, expected, atol=1e-3)


def test_to_input_moves_the_original_keypoints() -> None:
    sample = make_sample(2, (96, 128), people=2)
    moved = make_augment(rotate=30, scale=(0.6, 0.8))(sample, 3)
    expected = transform_points(sample.people.keypoints.astype(np.float64), moved.to_input)
    np.testing.assert_allclose(moved.people.keypoints, expected, atol=2e-3)


@pytest.mark.parametrize("scale_of", ["image", "box"])
def test_scales_are_drawn_evenly_of_the_image_or_of_the_box_around_it(scale_of: str) -> None:
    """The box is what the input shows, in long sides of the image."""
    sample = make_sample(2, (48, 64), people=1)
    augment = make_augment(scale=(0.5, 1.5), scale_of=scale_of)
    growth = np.array([augment(sample, seed).to_input[0, 0] * 64 / 128 for seed in range(200)])
    drawn = np.sort(growth if scale_of == "image" else 1 / growth)
    np.testing.assert_allclose(drawn, np.linspace(0.5, 1.5, 200), atol=0.12)  # what 200 even draws hardly ever exceed


def test_the_same_seed_draws_the_same_view() -> None:
    sample = make_sample(3, people=2)
    augment = make_augment(rotate=30, scale=(0.5, 1.5), flip=0.5, transforms=[{"name": "ColorJitter", "p": 1.0}])
    first, other, again = augment(sample, 7), augment(sample, 8), augment(sample, 7)
    np.testing.assert_array_equal(first.image, again.image)
    assert not np.array_equal(first.image, other.image)


def test_what_leaves_the_input_is_unlabelled_and_padding_is_marked() -> None:
    sample = make_sample(4, (96, 128), people=3)
    moved = make_augment(scale=(2.0, 2.0))(sample, 0)
    labelled = moved.people.labelled
    inside = ((moved.people.keypoints >= 0) & (moved.people.keypoints < 128)).all(-1)
    assert inside[labelled].all() and not labelled.all()
    small = make_augment(scale=(0.5, 0.5))(sample, 0)
    assert small.ignore["padding"].mean() == pytest.approx(1 - 64 * 48 / 128**2, abs=0.02)


def test_a_bending_transform_is_refused() -> None:
    with pytest.raises(ConfigError, match="bends"):
        make_augment(transforms=[{"name": "OpticalDistortion", "distort_limit": 0.9, "p": 1.0}])(make_sample(0, people=1), 0)
    with pytest.raises(ConfigError, match="did you mean"):
        make_augment(transforms=[{"name": "ColorJiter"}])


@pytest.mark.parametrize("side", ["long", "short", "square"])
def test_letterboxing_keeps_the_picture_of_a_keypoint(side: str) -> None:
    sample = spots(5)
    boxed = letterbox(sample, 96, lambda length: -(-length // 32) * 32, (0, 0, 0), side)  # type: ignore[arg-type]
    assert boxed.image.shape[1] % 32 == boxed.image.shape[2] % 32 == 0
    assert np.abs(centroid(boxed.image) - boxed.people.keypoints[0, 0]).max() < 0.1
    assert boxed.content is not None
    content_pixels = boxed.content[2] * boxed.content[3]
    assert boxed.ignore["padding"].sum() == boxed.image[0].size - content_pixels


def test_people_may_stand_in_the_middle() -> None:
    sample = make_sample(3, people=2)
    sample.people.boxes[:] = np.array(((10, 20, 30, 60), (30, 30, 50, 80)), np.float32)
    augment = Augment((96, 96), (0, 0, 0), COCO.flip_order, centre="people", translate=0.0, rotate=30.0, flip=0.5)
    for seed in range(4):
        moved = augment(sample, seed)
        middle = transform_points(np.array((30.0, 50.0)), moved.to_input)  # of the box around both
        np.testing.assert_allclose(middle, (48.0, 48.0), atol=0.05)


def test_associative_embedding_moves_and_scales_images_as_its_reference_does() -> None:
    """A box of 0.75 to 1.25 long sides becomes the input; its middle moves by up to 40 / 200 of that."""
    options = load_config("train", ["method=associative_embedding", "augment.rotate=0", "augment.flip=0", "augment.transforms=[]"])
    augment = Augment((512, 512), GREY, COCO.flip_order, **options["augment"])
    sample = make_sample(0, (48, 64), people=1)
    moves = np.array([augment(sample, seed).to_input for seed in range(200)])
    factors, middles = moves[:, 0, 0] * 64 / 512, moves @ (32, 24, 1) - 256
    assert 0.8 <= factors.min() < 0.82 and 1.3 < factors.max() <= 1 / 0.75
    assert 95 < np.abs(middles).max() <= 102.4 + 0.5  # whole pixels


def test_a_main_person_is_as_large_as_asked_for_and_in_the_middle() -> None:
    """Whoever else is there, and however large the image; the crowd's middle is another."""
    for seed in range(6):
        sample = make_sample(seed, (240, 320), people=3)
        labelled = np.flatnonzero(sample.people.labelled.any(1))
        main = labelled[sample.people.areas[labelled].argmax()]
        augment = make_augment(scale=(1.0, 1.0), scale_of="main_person", centre="main_person", person_share=0.5)
        x1, y1, x2, y2 = transform_points(
            sample.people.boxes[main].reshape(2, 2).astype(float), augment(sample, 0).to_input
        ).ravel()
        assert max(x2 - x1, y2 - y1) == pytest.approx(64) and ((x1 + x2) / 2, (y1 + y2) / 2) == pytest.approx((64, 64))


def test_a_tiny_or_absent_main_person_leaves_the_image_sharp() -> None:
    sample = make_sample(1, (128, 128), people=1)
    middle = sample.people.boxes[:, :2] + 1
    tiny = replace(sample, people=replace(sample.people, boxes=np.concatenate((middle, middle + 1), 1)))
    options: dict[str, Any] = {"scale_of": "main_person", "centre": "main_person"}
    assert make_augment(**options)(tiny, 0).to_input[0, 0] == pytest.approx(4.0)
    nobody = replace(sample, people=sample.people[:0])
    np.testing.assert_allclose(make_augment(**options)(nobody, 0).to_input, np.eye(2, 3))


@pytest.mark.parametrize("shape", [(60, 90), (90, 60), (64, 64), (40, 200)])
def test_a_whole_image_has_a_canvas_of_its_own_as_prediction_has(shape: tuple[int, int]) -> None:
    """The same size and the same scale as the letterbox's; what is no image is padding."""
    sample = make_sample(3, shape, people=2)
    accept = lambda side: -(-side // 32) * 32  # noqa: E731
    still: dict[str, Any] = {"rotate": 0.0, "scale": (1.0, 1.0), "translate": 0.0, "flip": 0.0, "side": "short", "canvas": "image"}
    moved = Augment((128, 128), GREY, COCO.flip_order, 96, accept, **still)(sample, 0)
    boxed = letterbox(sample, 96, accept, GREY, side="short")
    assert moved.shape == boxed.shape and max(moved.shape) <= 160
    scale = np.sqrt(np.linalg.det(moved.to_input[:, :2]))
    assert scale == pytest.approx(boxed.to_input[0, 0], rel=0.02)
    assert moved.ignore["padding"].mean() == pytest.approx(boxed.ignore["padding"].mean(), abs=0.03)
    assert len(moved.people) == 2 and (moved.people.visibility[moved.people.visibility > 0] != 3).all()


def test_images_of_several_shapes_make_a_batch_whose_padding_nothing_learns_from() -> None:
    still: dict[str, Any] = {"rotate": 0.0, "scale": (1.0, 1.0), "translate": 0.0, "flip": 0.0, "side": "short", "canvas": "image"}
    augment = Augment((64, 64), GREY, COCO.flip_order, 64, None, **still)
    samples = [augment(make_sample(seed, shape, people=1), seed) for seed, shape in enumerate([(64, 96), (100, 64)])]
    alike = padded_alike(samples, GREY)
    batch = collate(alike, 3)
    assert batch.size == (100, 96) and batch.images is not None
    assert batch.content.tolist() == [[0, 0, 96, 64], [0, 0, 64, 100]]
    for row, (sample, size) in enumerate(zip(samples, [(64, 96), (100, 64)], strict=True)):
        h, w = size
        np.testing.assert_array_equal(batch.images[row, :, :h, :w].numpy(), sample.pixels)
        outside = np.ones(batch.size, bool)
        outside[:h, :w] = False
        assert (batch.images[row].numpy()[:, outside] == np.array(GREY)[:, None]).all()
        assert batch.ignore["padding"][row].numpy()[outside].all()
        if batch.instances is not None:
            assert not batch.instances[row].numpy()[outside].any()
    assert padded_alike(samples[:1], GREY) == samples[:1]


@pytest.mark.parametrize(("shape", "scale"), [((480, 640), 800 / 480), ((640, 427), 800 / 427), ((300, 1200), 4000 / 3 / 1200)])
def test_a_short_side_grows_only_as_far_as_the_long_one_may(shape: tuple[int, int], scale: float) -> None:
    """A detector's 800 by 1333 px."""
    assert fit(max(shape), min(shape), 800, "short") == pytest.approx(scale)
    assert fit(max(shape), min(shape), 800, "long") == 800 / max(shape)
