"""Images without rotation are resized and laid on the canvas, and lie where the general warp puts them."""

from __future__ import annotations

import itertools
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from bottomup.geometry import transform_points
from bottomup.samples.moves import Laying, Warping, move
from bottomup.samples.warps import extent, warp_image, warp_map

SHAPE, GREY = (90, 130), (90, 100, 110)
DRAWN: list[dict[str, Any]] = [
    {"scale": scale, "mirror": mirror, "x": x, "y": y}
    for scale in (0.3, 0.7, 1.0, 1.9)
    for mirror in (1, -1)
    for x, y in ((3.3, -20.7), (60.2, 50.5), (-40.0, 10.0))
]


def matrix_of(scale: float, mirror: int, x: float, y: float) -> NDArray[np.float64]:
    return np.array([[scale * mirror, 0.0, x + (scale * SHAPE[1] if mirror < 0 else 0.0)], [0.0, scale, y]])


def picture() -> NDArray[np.uint8]:
    noise = np.random.default_rng(0).integers(0, 256, (*SHAPE, 3), np.uint8)
    return np.asarray(cv2.GaussianBlur(noise, (9, 9), 3), np.uint8)


@pytest.mark.parametrize("drawn", DRAWN)
def test_a_laid_image_is_where_its_matrix_says_and_that_is_near_what_was_asked(drawn: dict[str, Any]) -> None:
    asked, size = matrix_of(**drawn), (100, 120)
    way = move(asked, SHAPE, size)
    assert isinstance(way, Laying)
    expected = warp_image(picture(), way.matrix, size, GREY).astype(int)
    found = way.image(picture(), GREY)
    inside = cv2.erode(warp_map(np.ones(SHAPE, np.uint8), way.matrix, size, 0), np.ones((3, 3)), borderValue=1) > 0
    if inside.any():
        assert np.abs(found - expected)[inside].max() <= (12 if drawn["scale"] < 0.5 else 3)
    corners = np.array([(x, y) for x in (0.0, size[1]) for y in (0.0, size[0])])
    back = transform_points(corners, np.linalg.inv(np.vstack((asked, (0, 0, 1))))[:2]).clip(0, (SHAPE[1], SHAPE[0]))
    assert np.abs(transform_points(back, way.matrix) - transform_points(back, asked)).max() <= 1.0


@pytest.mark.parametrize("drawn", DRAWN)
def test_laid_labels_are_the_nearest_pixels_and_fill_what_the_image_fills(drawn: dict[str, Any]) -> None:
    size = (100, 120)
    way = move(matrix_of(**drawn), SHAPE, size)
    labels = np.random.default_rng(1).integers(1, 200, SHAPE, np.uint8)
    found = way.labels(labels)
    right = np.zeros(size, bool)
    for edges in itertools.product((-1e-6, 1e-6), repeat=2):  # a centre on a pixel's edge may be of either
        columns, rows = (
            np.floor((np.arange(size[1 - axis]) + 0.5 - way.matrix[axis, 2]) / way.matrix[axis, axis] + edges[axis]).astype(int)
            for axis in (0, 1)
        )
        beyond = ((rows < 0) | (rows >= SHAPE[0]))[:, None] | ((columns < 0) | (columns >= SHAPE[1]))
        expected = labels[rows.clip(0, SHAPE[0] - 1)][:, columns.clip(0, SHAPE[1] - 1)]
        right |= found == np.where(beyond, 0, expected)
    assert right.mean() > 0.995
    painted = (way.image(np.zeros((*SHAPE, 3), np.uint8), (255, 255, 255)) == 0).all(-1)
    assert (painted == (found > 0)).all() and (painted == ~way.beyond()).all()


def test_at_scale_one_pixels_are_copied() -> None:
    way = move(np.array([[1.0, 0.0, 5.0], [0.0, 1.0, 7.0]]), SHAPE, (200, 200))
    assert (way.image(picture(), GREY)[7:97, 5:135] == picture()).all()


def test_what_is_rotated_is_warped() -> None:
    assert isinstance(move(np.array([[1.0, 0.1, 5.0], [-0.1, 1.0, 7.0]]), SHAPE, (200, 200)), Warping)


ROTATED = [
    np.array([[0.8, 0.3, -20.3], [-0.3, 0.8, 30.7]]),
    np.array([[-1.4, 0.5, 150.2], [0.5, 1.4, -60.4]]),
    np.array([[0.3, 0.1, 400.0], [-0.1, 0.3, 0.0]]),
    np.array([[0.5, 0.0, 10.5], [0.0, 0.5, 20.5]]),
]


@pytest.mark.parametrize("matrix", ROTATED)
@pytest.mark.parametrize("kind", [bool, np.uint8, np.int16])
def test_warped_labels_are_those_of_a_whole_map_though_only_a_part_is_moved(matrix: NDArray[np.float64], kind: type) -> None:
    labels = np.zeros(SHAPE, kind)
    labels[20:50, 40:90] = np.random.default_rng(2).integers(-1 if kind is np.int16 else 0, 2, (30, 50)).astype(kind)
    found, expected = Warping(matrix, SHAPE, (100, 120)).labels(labels), warp_map(labels, matrix, (100, 120), 0)
    assert found.dtype == labels.dtype and (found != expected).mean() < 0.002  # a centre on a pixel's edge may be of either
    assert not Warping(matrix, SHAPE, (100, 120)).labels(np.zeros(SHAPE, kind)).any()


@pytest.mark.parametrize("matrix", ROTATED)
def test_beyond_a_warped_image_is_what_lies_outside_but_for_its_outline(matrix: NDArray[np.float64]) -> None:
    size = (100, 120)
    beyond = Warping(matrix, SHAPE, size).beyond()
    outside = warp_map(np.ones(SHAPE, np.uint8), matrix, size, 0) == 0
    far = cv2.erode(outside.astype(np.uint8), np.ones((3, 3)), borderValue=1) > 0
    assert (beyond <= outside).all() and (far <= beyond).all()


def test_numbers_of_any_width_have_an_extent() -> None:
    for kind in (bool, np.uint8, np.int16):
        labels = np.zeros(SHAPE, kind)
        assert extent(labels)[2:] == (0, 0)
        labels[7, 11] = labels[30, 12] = 1
        assert extent(labels) == (11, 7, 13, 31)
