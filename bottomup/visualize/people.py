"""Annotated people and predicted instances over their image."""

from __future__ import annotations

import colorsys

import cv2
import numpy as np
from numpy.typing import NDArray

from bottomup.geometry import Grid
from bottomup.skeletons import Skeleton
from bottomup.types import Instances, People
from bottomup.visualize.sheets import Picture, to_picture

Colour = tuple[int, int, int]

_PIXELS = Grid.cornered(1)  # OpenCV counts from pixel centres
_SUBPIXEL = 4  # bits of OpenCV's fixed-point coordinates
_LEFT, _RIGHT = (255, 80, 60), (60, 130, 255)  # of keypoints and edges of the person's sides
_SIDE_SHARE = 0.45  # of a side's colour in an edge; the rest is the person's


def person_colour(index: int) -> Colour:
    """A colour for the index-th person; neighbours differ by the golden angle."""
    red, green, blue = colorsys.hsv_to_rgb((0.13 + index * 0.381966) % 1.0, 0.75, 1.0)
    return round(red * 255), round(green * 255), round(blue * 255)


def draw_instances(
    image: NDArray[np.uint8], instances: Instances, skeleton: Skeleton, *, min_keypoint_score: float = 0.0
) -> Picture:
    """Predicted poses, one colour each, red-tinted on the person's left and blue-tinted on its right, with scores."""
    picture = to_picture(image)
    for index in range(len(instances) - 1, -1, -1):  # the best on top
        found = (instances.keypoint_scores[index] > min_keypoint_score).numpy()
        points = instances.keypoints[index].numpy()
        _draw_pose(picture, points, found, np.zeros_like(found), skeleton, person_colour(index))
        if found.any():
            top = points[found][points[found][:, 1].argmin()]
            _write(picture, f"{float(instances.scores[index]):.2f}", top, person_colour(index))
    return picture


def draw_people(image: NDArray[np.uint8], people: People, skeleton: Skeleton) -> Picture:
    """Annotated poses and boxes; occluded keypoints are hollow."""
    picture = to_picture(image)
    for index in range(len(people)):
        labelled, hidden = people.visibility[index] > 0, people.visibility[index] == 1
        x1, y1, x2, y2 = _fixed(people.boxes[index].reshape(2, 2)).ravel().tolist()
        cv2.rectangle(picture, (x1, y1), (x2, y2), person_colour(index), 1, cv2.LINE_AA, _SUBPIXEL)
        _draw_pose(picture, people.keypoints[index], labelled, hidden, skeleton, person_colour(index))
    return picture


def _draw_pose(
    picture: Picture,
    points: NDArray[np.float32],
    drawn: NDArray[np.bool_],
    hollow: NDArray[np.bool_],
    skeleton: Skeleton,
    colour: Colour,
) -> None:
    if not drawn.any():
        return
    fixed = _fixed(np.nan_to_num(points))
    extent = float(np.ptp(points[drawn], axis=0).max())
    width = int(np.clip(round(extent / 70), 1, 6))
    for parent, child in skeleton.tree:
        if drawn[parent] and drawn[child]:
            edge = _mixed(colour, _side(skeleton, child))
            cv2.line(picture, fixed[parent].tolist(), fixed[child].tolist(), edge, width, cv2.LINE_AA, _SUBPIXEL)
    for k in np.flatnonzero(drawn).tolist():
        side = _side(skeleton, k) or colour
        radius = (width + 1) << _SUBPIXEL
        cv2.circle(picture, fixed[k].tolist(), radius, side, 1 if hollow[k] else -1, cv2.LINE_AA, _SUBPIXEL)


def _fixed(points: NDArray[np.float32]) -> NDArray[np.int32]:
    return np.asarray(np.round((points - _PIXELS.origin) * 2**_SUBPIXEL), dtype=np.int32)


def _side(skeleton: Skeleton, keypoint: int) -> Colour | None:
    """The colour of a keypoint's side: the first of each flip pair counts as left."""
    name = skeleton.keypoints[keypoint]
    if any(name == left for left, _ in skeleton.flip_pairs):
        return _LEFT
    return _RIGHT if any(name == right for _, right in skeleton.flip_pairs) else None


def _mixed(colour: Colour, side: Colour | None) -> Colour:
    if side is None:
        return colour
    red, green, blue = (round(a + (b - a) * _SIDE_SHARE) for a, b in zip(colour, side, strict=True))
    return red, green, blue


def _write(picture: Picture, text: str, above: NDArray[np.float32], colour: Colour) -> None:
    size = float(np.clip(picture.shape[1] / 900, 0.3, 1.0))
    at = (int(above[0]) - round(14 * size), max(round(12 * size), int(above[1]) - round(8 * size)))
    cv2.putText(picture, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, (0, 0, 0), 3, cv2.LINE_AA)
    cv2.putText(picture, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA)
