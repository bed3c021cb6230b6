"""Crops of an image: where they lie, what they show, and that all of it can be found again."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from bottomup.crops import Crops, Window
from bottomup.errors import ConfigError
from bottomup.samples.cropping import cropped
from bottomup.samples.letterbox import letterbox
from bottomup.types import OUTSIDE
from tests.scenes import make_sample

SIZES = [(480, 700), (427, 1600), (1000, 1500), (641, 640)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("side", "overlap"), [(256, 0.25), (640, 0.5), (100, 0.0), (512, 0.9)])
def test_crops_cover_an_image_and_neighbours_share_what_was_asked_for(size: tuple[int, int], side: int, overlap: float) -> None:
    crops = Crops(size=side, overlap=overlap).of(size)
    for axis in (0, 1):
        length = min(side, size[1 - axis])
        ends = sorted({(crop[axis], crop[axis + 2]) for crop in crops})
        assert ends[0][0] == 0 and ends[-1][1] == size[1 - axis]
        assert all(high - low == length for low, high in ends)
        shared = [high - low for (_, high), (low, _) in itertools.pairwise(ends)]
        assert all(own >= overlap * length - 1 for own in shared)  # crops begin at whole px
    assert len(crops) == len(set(crops)) and all(crop.size == (crop.y2 - crop.y1, crop.x2 - crop.x1) for crop in crops)


def test_whoever_is_no_larger_than_what_neighbours_share_is_whole_in_one_of_them() -> None:
    crops, shared = Crops(size=200, overlap=0.4).of((480, 640)), 78
    for x, y in itertools.product(range(0, 640 - shared, 7), range(0, 480 - shared, 7)):
        assert any(c.x1 <= x and c.y1 <= y and x + shared <= c.x2 and y + shared <= c.y2 for c in crops)


def test_an_image_no_larger_than_a_crop_has_none() -> None:
    assert Crops(size=640).of((480, 640)) == [] and len(Crops(size=640).of((480, 641))) == 2


@pytest.mark.parametrize(("options", "told"), [({"size": 0}, "crops.*size"), ({"size": 8, "overlap": 1.0}, "crops.*overlap")])
def test_crops_that_cannot_be_are_refused(options: dict[str, float], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        Crops(**options)  # type: ignore[arg-type]


WINDOW = Window(32, 16, 128, 80)


def test_a_crop_shows_the_pixels_and_the_people_of_its_part_of_the_image() -> None:
    sample = make_sample(3, (96, 128), people=3)
    sample = replace(sample, ignore={"crowd": np.random.default_rng(0).random((96, 128)) < 0.5})
    part = cropped(sample, WINDOW)
    assert part.shape == part.file_size == (64, 96)
    assert np.array_equal(part.pixels, sample.pixels[:, 16:80, 32:128])
    assert np.array_equal(part.ignore["crowd"], sample.ignore["crowd"][16:80, 32:128])
    inside = part.people.labelled
    expected = sample.people.labelled & ((sample.people.keypoints >= (32, 16)) & (sample.people.keypoints < (128, 80))).all(-1)
    assert inside.sum() == expected.sum() > 0
    np.testing.assert_allclose(part.people.keypoints[inside] + (32, 16), sample.people.keypoints[expected], atol=1e-4)
    assert (part.people.visibility[~inside] != 2).all() or OUTSIDE in part.people.visibility


def test_a_crop_is_letterboxed_as_an_image_of_its_size_is() -> None:
    part = cropped(make_sample(0, (96, 128), people=2), WINDOW)
    boxed = letterbox(part, 192, lambda side: side, (0, 0, 0))
    assert boxed.shape == (128, 192) and boxed.content == (0, 0, 192, 128)
    np.testing.assert_allclose(boxed.people.keypoints, part.people.keypoints * 2, atol=1e-3)
