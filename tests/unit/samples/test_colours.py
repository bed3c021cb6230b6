"""Colours change as their names say, by one affine map, and change nothing else."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import albumentations as A
import numpy as np
import pytest
from numpy.typing import NDArray

from bottomup.errors import ConfigError
from bottomup.samples.augment import Augment
from bottomup.samples.colours import Colours, turned
from bottomup.skeletons import COCO
from tests.scenes import make_sample

LUMA = np.array([0.299, 0.587, 0.114])
RANGES: dict[str, tuple[float, float]] = {
    "brightness": (0.7, 1.3),
    "contrast": (0.5, 1.5),
    "saturation": (0.5, 1.5),
    "hue": (-0.2, 0.2),
}


def picture(low: int = 0, high: int = 256) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(low, high, (64, 80, 3), np.uint8)


def changed(image: NDArray[np.uint8], **values: float) -> NDArray[np.float64]:
    colours = Colours(**{name: (value, value) for name, value in values.items()})
    return colours(image, random.Random(0)).astype(float)


def test_nothing_asked_is_nothing_done() -> None:
    assert np.abs(changed(picture()) - picture()).max() <= 1


def test_brightness_multiplies_and_is_cut_once() -> None:
    assert np.abs(changed(picture(), brightness=1.3) - np.minimum(1.3 * picture(), 255)).max() <= 1
    there_and_back = changed(picture(100, 156), brightness=3.0, contrast=1 / 3)  # neither alone would stay below 256
    assert there_and_back.max() == 255 and np.ptp(changed(picture(100, 156), brightness=1.5, contrast=1 / 1.5)) < 60


def test_contrast_keeps_the_mean_and_stretches_what_lies_about_it() -> None:
    image = picture(90, 160)
    found = changed(image, contrast=1.5)
    assert found.mean() == pytest.approx(image.mean(), abs=1.5)
    assert found.std() == pytest.approx(1.5 * image.std(), rel=0.02)


@pytest.mark.parametrize("values", [{"saturation": 0.4}, {"saturation": 1.4}, {"hue": 0.15}, {"hue": -0.2, "saturation": 1.3}])
def test_saturation_and_hue_leave_luma_and_grey(values: dict[str, float]) -> None:
    image = picture(100, 156)
    assert np.abs((changed(image, **values) - image) @ LUMA).max() <= 2
    grey = np.repeat(picture()[..., :1], 3, axis=2)
    assert np.abs(changed(grey, **values) - grey).max() <= 2


def test_no_saturation_is_grey_and_a_whole_turn_is_none() -> None:
    assert np.ptp(changed(picture(), saturation=0.0), axis=2).max() <= 1
    np.testing.assert_allclose(turned(1.0, 1.0), np.eye(3), atol=1e-9)
    np.testing.assert_allclose(turned(1.0, 0.1) @ turned(1.0, 0.2), turned(1.0, 0.3), atol=1e-9)


def test_hue_turns_as_hsv_does_from_red_to_green_to_blue() -> None:
    """A third of a turn; the planes of both differ, so that only the strongest channel is the same."""
    for channel in range(3):
        assert (turned(1.0, 1 / 3) @ np.eye(3)[channel]).argmax() == (channel + 1) % 3


def test_draws_vary_a_picture_as_much_as_color_jitter_does() -> None:
    """Brightness and contrast, and how both spread over draws, beside albumentations' with equal ranges.

    Channels by themselves differ, as HSV's hue turns each as much, and YIQ's blue more than green, which has most of the luma.
    """
    image, jitter = picture(40, 220) // 2 + np.array([60, 30, 10], np.uint8), A.Compose([A.ColorJitter(**RANGES, p=1.0)])
    jitter.set_random_seed(0)
    rng, colours = random.Random(0), Colours(**RANGES)
    ours = [colours(image, rng) for _ in range(300)]
    theirs = [jitter(image=image)["image"] for _ in range(300)]
    for measure in (lambda one: one.mean((0, 1)), lambda one: one.std((0, 1))):
        drawn, expected = (np.array([measure(one.astype(float)) for one in images]) for images in (ours, theirs))
        assert drawn.mean() == pytest.approx(expected.mean(), rel=0.1)
        assert drawn.std(0).mean() == pytest.approx(expected.std(0).mean(), rel=0.2)


def test_colours_are_drawn_of_the_seed_and_padding_keeps_its_own() -> None:
    still: dict[str, Any] = {"rotate": 10.0, "scale": (0.5, 0.5), "translate": 0.0, "flip": 0.0}
    augment = Augment((128, 128), (1, 2, 3), COCO.flip_order, **still, colours=Colours(**RANGES))
    sample = replace(make_sample(0, (64, 64), people=1), image=picture()[:, :64].transpose(2, 0, 1))
    one, again, other = augment(sample, 1), augment(sample, 1), augment(sample, 2)
    np.testing.assert_array_equal(one.pixels, again.pixels)
    assert not np.array_equal(one.pixels, other.pixels)
    assert (one.pixels[:, :8, :8] == np.array([1, 2, 3])[:, None, None]).all() and one.ignore["padding"][:8, :8].all()


@pytest.mark.parametrize(
    "options", [{"hue": [0.0, 0.7]}, {"contrast": [1.5, 0.5]}, {"brightness": [-1.0, 1.0]}, {"gamma": [1.0, 1.0]}]
)
def test_ranges_that_there_are_not_are_refused(options: dict[str, list[float]]) -> None:
    with pytest.raises(ConfigError, match="colours"):
        Augment((64, 64), (0, 0, 0), COCO.flip_order, colours=options)  # type: ignore[arg-type]
