"""Poses over their image: predicted instances, and the strokes that annotated people are drawn with, too."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from bottomup.drawing.marks import FARTHEST, SUBPIXEL, Colour, fixed_point, hue
from bottomup.drawing.sheets import Picture, text_size, to_picture, write
from bottomup.instances import Instances
from bottomup.skeletons import Skeleton

WHITE, _BLACK, _GREY = (255, 255, 255), (0, 0, 0), (170, 170, 170)
_PERSON_TO_LINE = 70  # a person is about this many line widths long
_PICTURE_TO_LINE = 110  # and no line is wider than this share of the picture
_TINT = 0.4  # of the colour over a mask
_LEFT_SHARE, _RIGHT_SHARE = 0.5, 0.4  # of white in a left side, of black in a right one


def person_colour(index: int) -> Colour:
    """A colour for the index-th person; neighbours differ by the golden angle."""
    return hue(0.13 + index * 0.381966)


def draw_instances(
    image: NDArray[np.uint8], instances: Instances, skeleton: Skeleton | None, *, keypoint_threshold: float = 1e-3
) -> Picture:
    """Predicted poses, one colour each, a lighter shade on the person's left and a darker one on its right, with scores.

    Who has an identity along a video has a colour and a number by that instead, and who has none yet is grey.
    Masks, where there are any, are tinted in the same colour; instances without keypoints, which need no skeleton, are masks alone.
    Keypoints are in px of the image (3, H, W); those that are NaN, or whose presence (score, where that is all there is) is no
    more than ``keypoint_threshold``, are left out, and so is the score of a person too small to carry it.
    """
    picture = to_picture(image)
    points = instances.keypoints.numpy()
    found = instances.usable(keypoint_threshold).numpy()
    best_last = range(len(instances) - 1, -1, -1)  # on top of the others
    colours, labels = _colours(instances), _labels(instances)
    if instances.masks is not None:
        windows = list(instances.masks.windows(image.shape[1:]))
        for index in best_last:
            window, inside = windows[index]
            tint(picture[window], inside.numpy(), colours[index])
    for index in best_last:
        draw_pose(picture, points[index], found[index], np.zeros_like(found[index]), skeleton, colours[index])
    extents = points if points.shape[1] else instances.boxes.view(-1, 2, 2).numpy()
    shown = found if points.shape[1] else np.ones(extents.shape[:2], bool)
    for index in best_last:
        if shown[index].any():
            _write_label(picture, labels[index], extents[index][shown[index]], colours[index])
    return picture


def _colours(instances: Instances) -> list[Colour]:
    """Each one's colour: by its place, or by its identity."""
    if instances.track_ids is None:
        return [person_colour(index) for index in range(len(instances))]
    return [person_colour(number) if number > 0 else _GREY for number in instances.track_ids.tolist()]


def _labels(instances: Instances) -> list[str]:
    """What is written above each one: its score, or its identity."""
    if instances.track_ids is None:
        return [f"{score:.2f}" for score in instances.scores.tolist()]
    return [str(number) if number > 0 else "" for number in instances.track_ids.tolist()]


def tint(picture: Picture, inside: NDArray[np.bool_], colour: Colour) -> None:
    """Lay a colour over the pixels (H, W) of a picture, or of a part of one, that are ``inside``."""
    picture[inside] = (picture[inside] * (1 - _TINT) + np.array(colour) * _TINT).astype(np.uint8)


def draw_pose(
    picture: Picture,
    points: NDArray[np.float32],
    drawn: NDArray[np.bool_],
    hollow: NDArray[np.bool_],
    skeleton: Skeleton | None,
    colour: Colour,
) -> None:
    """Draw one pose into a picture: of points (K, 2) px those that are ``drawn`` (K,), some of them ``hollow`` (K,)."""
    if skeleton is None or not drawn.any():
        return
    fixed = fixed_point(points)
    width = int(np.clip(round(_extent(points[drawn]) / _PERSON_TO_LINE), 1, widest(picture)))
    edges = [(parent, child) for parent, child in skeleton.tree if drawn[parent] and drawn[child]]
    rims = (width + 2, width) if width > 1 else (width,)  # a dark rim would drown thin lines
    for thickness in rims:
        for parent, child in edges:
            edge = _BLACK if thickness > width else _shade(skeleton, child, colour)
            cv2.line(picture, fixed[parent].tolist(), fixed[child].tolist(), edge, thickness, cv2.LINE_AA, SUBPIXEL)
    for k in np.flatnonzero(drawn).tolist():
        inside = colour if hollow[k] else _shade(skeleton, k, colour)
        _draw_keypoint(picture, fixed[k].tolist(), width, inside, bool(hollow[k]))


def _draw_keypoint(picture: Picture, at: list[int], width: int, colour: Colour, hollow: bool) -> None:
    """A disc of the colour, in a dark rim where it is large enough; hollow: with a white hole."""
    radius = (width + 1) << SUBPIXEL
    discs = [(radius + (1 << SUBPIXEL), _BLACK)] if width > 1 else []
    discs += [(radius, colour)] + [(radius * 5 // 8, WHITE)] * hollow
    for reach, shade in discs:
        cv2.circle(picture, at, reach, shade, -1, cv2.LINE_AA, SUBPIXEL)


def _extent(points: NDArray[np.float32]) -> float:
    """The longer side of the box around points (n, 2), px."""
    return float(np.ptp(points.clip(-FARTHEST, FARTHEST), axis=0).max())


def widest(picture: Picture) -> int:
    """The greatest width of a line, px."""
    widest: int = max(2, round(max(picture.shape) / _PICTURE_TO_LINE))
    return widest


def _shade(skeleton: Skeleton, keypoint: int, colour: Colour) -> Colour:
    """The person's colour on the keypoint's side: the first of each flip pair counts as left, the second as right."""
    name = skeleton.keypoints[keypoint]
    if any(name == left for left, _ in skeleton.flip_pairs):
        return _mixed(colour, WHITE, _LEFT_SHARE)
    return _mixed(colour, _BLACK, _RIGHT_SHARE) if any(name == right for _, right in skeleton.flip_pairs) else colour


def _mixed(colour: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(colour, other, strict=True))
    return red, green, blue


def _write_label(picture: Picture, text: str, points: NDArray[np.float32], colour: Colour) -> None:
    """Write above the topmost of a person's points, inside the picture, unless the text is long beside the person."""
    extent = _extent(points)
    size = float(np.clip(extent / 300, 0.35, max(0.4, max(picture.shape) / 1000)))
    width, height = text_size(text, size)
    if extent < 2 * width:
        return
    x, y = points[points[:, 1].argmin()].clip(0, (picture.shape[1], picture.shape[0]))
    left = int(np.clip(x - width / 2, 0, max(0, picture.shape[1] - width)))
    write(picture, text, (left, max(height + 2, int(y - 0.6 * height))), size, _mixed(colour, WHITE, 0.5))
