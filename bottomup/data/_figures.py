"""Drawn people: clothes on a posed body, painted far segments first.

A segment is an arm's or leg's half, a hand, the torso, an eye. Left and right differ by tint alone: everything on the person's
left is warmer, everything on its right cooler.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from bottomup.data._poses import Body, Pose, Vector, View, move
from bottomup.geometry import Grid
from bottomup.skeletons import COCO

Colour = tuple[int, int, int]

SEGMENTS = 32  # label map values are person * SEGMENTS + segment + 1
_PIXELS = Grid.cornered(1)  # OpenCV counts from pixel centres
_SUBPIXEL = 4  # bits of OpenCV's fixed-point coordinates

_SKIN = ((255, 219, 190), (234, 192, 154), (198, 142, 100), (141, 92, 60), (92, 58, 40))
_HAIR = ((40, 28, 20), (90, 56, 30), (170, 120, 60), (215, 190, 130), (120, 120, 120))
_WARM, _COOL, _RED, _LIGHT, _DARK = (255, 170, 40), (30, 90, 255), (255, 60, 60), (255, 255, 255), (0, 0, 0)
_TINT = 0.38  # how much of the tint a sided segment carries
_SHINE = 0.14  # how much lighter the middle of a rounded segment is
_DIMMING = 1.1  # how much darker a segment is per body height that it is farther than the pelvis

# keypoint -> the segments that show it ("*": of its own side); under another segment it is occluded
_SHOWN_BY = {
    "nose": ("face", "nose"), "eye": ("face", "*_eye"), "ear": ("head", "*_ear"), "shoulder": ("torso", "*_upper_arm"),
    "elbow": ("*_upper_arm", "*_forearm"), "wrist": ("*_forearm", "*_hand"), "hip": ("torso", "pelvis", "*_thigh"),
    "knee": ("*_thigh", "*_shin"), "ankle": ("*_shin", "*_foot"),
}  # fmt: skip
_SIDED = ("eye", "ear", "upper_arm", "forearm", "hand", "thigh", "shin", "foot")
_NAMES = (
    "torso",
    "pelvis",
    "head",
    "face",
    "nose",
    "neck",
    *(f"{side}_{name}" for side in ("left", "right") for name in _SIDED),
    "thing",
)
_CODES = {name: index for index, name in enumerate(_NAMES)}


def _showing(keypoint: str) -> frozenset[int]:
    side, _, name = keypoint.rpartition("_")
    return frozenset(_CODES[segment.replace("*", side)] for segment in _SHOWN_BY[name])


_SHOWING = tuple(_showing(keypoint) for keypoint in COCO.keypoints)


@dataclass(frozen=True)
class Segment:
    """A capsule from the first point to the second (image px), or, with more points, a polygon with a broad outline."""

    name: str
    points: tuple[tuple[float, float], ...]
    width: float  # px
    depth: float  # body heights towards the viewer: what is nearer covers what is farther
    colour: Colour
    rounded: bool = False  # lighter along its middle


@dataclass(frozen=True)
class Figure:
    """A posed person, ready to paint, farthest segment first."""

    segments: tuple[Segment, ...]
    keypoints: NDArray[np.float64]  # (17, 2) image px


@dataclass(frozen=True)
class _Clothes:
    skin: Colour
    hair: Colour
    shirt: Colour
    trousers: Colour
    shoes: Colour
    sleeves: Colour  # of the forearms: the shirt's or the skin's
    shins: Colour


class _Tailor:
    """Collects the segments and keypoints of one person."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.segments: list[Segment] = []
        self.keypoints = np.zeros((len(COCO), 2))

    def capsule(self, name: str, start: Vector, end: Vector, width: float, colour: Colour, nearer: float = 0.0) -> None:
        depth = (start[2] + end[2]) / 2
        px = width * self.view.height * self.view.zoom(depth)
        points = (self.view.project(start), self.view.project(end))
        self.segments.append(Segment(name, points, px, depth + nearer, _dim(colour, depth), rounded=start != end))

    def disc(self, name: str, point: Vector, width: float, colour: Colour) -> None:
        self.capsule(name, point, point, width, colour, nearer=0.02)

    def keypoint(self, name: str, point: Vector) -> None:
        self.keypoints[COCO.index(name)] = self.view.project(point)

    def figure(self) -> Figure:
        return Figure(tuple(sorted(self.segments, key=lambda segment: segment.depth)), self.keypoints)


def make_figure(rng: np.random.Generator, centre: tuple[float, float], height: float, pose: Pose) -> Figure:
    """A person of random clothes, ``height`` px tall when it stands, the pelvis at ``centre`` px."""
    girth = 0.85 + 0.4 * rng.random()
    body, clothes = Body(pose, girth), _draw_clothes(rng)
    tailor = _Tailor(View(centre, height, pose.roll))
    for side, arm, leg in zip(("left", "right"), body.arms, body.legs, strict=True):
        _dress_arm(tailor, side, arm, body, clothes, girth)
        _dress_leg(tailor, side, leg, body, clothes, girth)
    _dress_torso(tailor, body, clothes, girth)
    _dress_head(tailor, body, clothes)
    return tailor.figure()


def _draw_clothes(rng: np.random.Generator) -> _Clothes:
    skin, hair = _SKIN[rng.integers(5)], _HAIR[rng.integers(5)]
    shirt, trousers, shoes = ((r, g, b) for r, g, b in rng.integers(25, 235, (3, 3)).tolist())
    long_sleeves, long_legs = rng.random(2) < (0.5, 0.6)
    return _Clothes(skin, hair, shirt, trousers, shoes, shirt if long_sleeves else skin, trousers if long_legs else skin)


def _dress_arm(tailor: _Tailor, side: str, arm: tuple[Vector, ...], body: Body, clothes: _Clothes, girth: float) -> None:
    shoulder, elbow, wrist = arm
    tailor.capsule(f"{side}_upper_arm", shoulder, elbow, 0.068 * girth, _tint(clothes.shirt, side))
    tailor.capsule(f"{side}_forearm", elbow, wrist, 0.054 * girth, _tint(clothes.sleeves, side))
    tailor.capsule(f"{side}_hand", wrist, move(wrist, body.up, -0.012), 0.062, _tint(clothes.skin, side), 0.002)
    for name, point in (("shoulder", shoulder), ("elbow", elbow), ("wrist", wrist)):
        tailor.keypoint(f"{side}_{name}", point)


def _dress_leg(tailor: _Tailor, side: str, leg: tuple[Vector, ...], body: Body, clothes: _Clothes, girth: float) -> None:
    hip, knee, ankle = leg
    toes = move(move(ankle, body.front, 0.07), (0.0, 1.0, 0.0), 0.03)
    tailor.capsule(f"{side}_thigh", hip, knee, 0.092 * girth, _tint(clothes.trousers, side), -0.005)
    tailor.capsule(f"{side}_shin", knee, ankle, 0.07 * girth, _tint(clothes.shins, side), -0.005)
    tailor.capsule(f"{side}_foot", ankle, toes, 0.058, _tint(clothes.shoes, side))
    for name, point in (("hip", hip), ("knee", knee), ("ankle", ankle)):
        tailor.keypoint(f"{side}_{name}", point)


def _dress_torso(tailor: _Tailor, body: Body, clothes: _Clothes, girth: float) -> None:
    corners = (body.arms[0][0], body.arms[1][0], body.legs[1][0], body.legs[0][0])
    depth = sum(corner[2] for corner in corners) / 4
    points = tuple(tailor.view.project(corner) for corner in corners)
    tailor.segments.append(Segment("torso", points, 0.1 * girth * tailor.view.height, depth, _dim(clothes.shirt, depth)))
    tailor.capsule("pelvis", corners[3], corners[2], 0.09 * girth, clothes.trousers, depth + 0.001)
    tailor.capsule("neck", body.neck, body.head, 0.06, _mix(clothes.skin, _DARK, 0.1), -0.001)


def _dress_head(tailor: _Tailor, body: Body, clothes: _Clothes) -> None:
    """A hair-coloured skull, on its front a face with eyes and nose, on its sides the ears."""

    def at(left: float, up: float, front: float) -> Vector:
        return move(move(move(body.head, body.left, left), body.up, up), body.front, front)

    tailor.disc("head", at(0, 0, 0), 0.135, clothes.hair)
    tailor.disc("face", at(0, -0.012, 0.024), 0.112, clothes.skin)
    tailor.disc("nose", at(0, -0.01, 0.075), 0.03, _mix(clothes.skin, _RED, 0.45))
    tailor.keypoint("nose", at(0, -0.01, 0.075))
    for side, sign in (("left", 1.0), ("right", -1.0)):
        eye, ear = at(sign * 0.03, 0.016, 0.062), at(sign * 0.066, 0.0, 0.0)
        tailor.disc(f"{side}_eye", eye, 0.028, _mix(_WARM if side == "left" else _COOL, (20, 20, 20), 0.35))
        tailor.disc(f"{side}_ear", ear, 0.042, _tint(clothes.skin, side))
        tailor.keypoint(f"{side}_eye", eye)
        tailor.keypoint(f"{side}_ear", ear)


def _tint(colour: Colour, side: str) -> Colour:
    return _mix(colour, _WARM if side == "left" else _COOL, _TINT)


def _dim(colour: Colour, depth: float) -> Colour:
    return _mix(colour, _DARK, min(0.45, max(0.0, -depth * _DIMMING)))


def _mix(a: Colour, b: Colour, share: float) -> Colour:
    red, green, blue = (round(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return (red, green, blue)


def paint(figure: Figure, image: NDArray[np.uint8], labels: NDArray[np.int16], person: int) -> None:
    """Paint a figure onto an image (H, W, 3) and its segment codes onto a label map (H, W), over what is there."""
    for segment in figure.segments:
        _fill(image, segment, segment.colour, cv2.LINE_AA)
        if segment.rounded and segment.width >= 4:
            shine = replace(segment, width=segment.width * 0.4, colour=_mix(segment.colour, _LIGHT, _SHINE))
            _fill(image, shine, shine.colour, cv2.LINE_AA)
        _fill(labels, segment, person * SEGMENTS + _CODES[segment.name] + 1, cv2.LINE_8)


def _fill(canvas: NDArray[np.uint8] | NDArray[np.int16], segment: Segment, colour: Colour | int, line: int) -> None:
    fixed = np.rint((np.array(segment.points) - _PIXELS.origin) * 2**_SUBPIXEL).astype(np.int32)
    width = max(1, round(segment.width))
    if len(fixed) == 2:
        cv2.line(canvas, fixed[0].tolist(), fixed[1].tolist(), colour, width, line, _SUBPIXEL)
    else:
        cv2.fillConvexPoly(canvas, cv2.convexHull(fixed), colour, line, _SUBPIXEL)
        cv2.polylines(canvas, [fixed], True, colour, width, line, _SUBPIXEL)


def visibility(figure: Figure, labels: NDArray[np.int16], person: int) -> NDArray[np.uint8]:
    """(17,) 0 outside the image, 1 covered by something nearer, 2 seen."""
    h, w = labels.shape
    seen = np.zeros(len(COCO), np.uint8)
    for keypoint, (x, y) in enumerate(figure.keypoints.tolist()):
        if 0 <= x < w and 0 <= y < h:
            owner, segment = divmod(int(labels[int(y), int(x)]) - 1, SEGMENTS)
            seen[keypoint] = 2 if owner == person and segment in _SHOWING[keypoint] else 1
    return seen
