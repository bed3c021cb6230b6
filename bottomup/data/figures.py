"""Drawn people: a body posed in three dimensions, seen from the front, the back or the side, painted far parts first.

Lengths are fractions of the body's height. Image axes: x right, y down, z towards the viewer. A person that faces the viewer
has its left side at +x, one seen from behind at -x. Left and right differ by tint alone: everything on the person's left is
warmer, everything on its right cooler.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from bottomup.geometry import Grid

Vector = tuple[float, float, float]
Colour = tuple[int, int, int]

PARTS = 32  # label map values are person * PARTS + part + 1
_PIXELS = Grid.cornered(1)  # OpenCV counts from pixel centres
_SUBPIXEL = 4  # bits of OpenCV's fixed-point coordinates

_SKIN = ((255, 219, 190), (234, 192, 154), (198, 142, 100), (141, 92, 60), (92, 58, 40))
_HAIR = ((40, 28, 20), (90, 56, 30), (170, 120, 60), (215, 190, 130), (120, 120, 120))
_WARM, _COOL = (255, 170, 40), (30, 90, 255)
_TINT = 0.38  # how much of the tint a sided part carries

# keypoint -> the parts that show it; a keypoint under another part is occluded
_SHOWN_BY = {
    0: {"face", "nose"}, 1: {"face", "left_eye"}, 2: {"face", "right_eye"}, 3: {"left_ear", "head"}, 4: {"right_ear", "head"},
    5: {"torso", "left_upper_arm"}, 6: {"torso", "right_upper_arm"},
    7: {"left_upper_arm", "left_forearm"}, 8: {"right_upper_arm", "right_forearm"},
    9: {"left_forearm", "left_hand"}, 10: {"right_forearm", "right_hand"},
    11: {"torso", "left_thigh"}, 12: {"torso", "right_thigh"}, 13: {"left_thigh", "left_shin"}, 14: {"right_thigh", "right_shin"},
    15: {"left_shin", "left_foot"}, 16: {"right_shin", "right_foot"},
}  # fmt: skip
_NAMES = (
    "torso", "head", "face", "nose", "neck", "hair",
    *(f"{side}_{part}" for side in ("left", "right") for part in ("eye", "ear", "upper_arm", "forearm", "hand", "thigh", "shin", "foot")),
)  # fmt: skip
_CODES = {name: index for index, name in enumerate(_NAMES)}


@dataclass(frozen=True)
class Part:
    """A capsule from ``start`` to ``end`` (image px), or, with more ``points``, a polygon; ``depth`` decides what covers what."""

    name: str
    points: tuple[tuple[float, float], ...]
    width: float
    depth: float
    colour: Colour


@dataclass(frozen=True)
class Figure:
    """A posed person, ready to paint, farthest part first."""

    parts: tuple[Part, ...]
    keypoints: NDArray[np.float64]  # (17, 2) image px


@dataclass(frozen=True)
class _Pose:
    yaw: float  # 0 faces the viewer, pi is seen from behind
    lean: float  # of the torso, forward
    roll: float  # of the whole body in the image plane
    arms: tuple[tuple[float, float, float], tuple[float, float, float]]  # swing, spread, elbow of left and right
    legs: tuple[tuple[float, float, float], tuple[float, float, float]]  # swing, spread, knee


def draw_pose(rng: np.random.Generator) -> _Pose:
    """A plausible pose: standing, walking, sitting, arms anywhere; now and then lying."""
    u = rng.random(20).tolist()
    yaw = (u[0] - 0.5) * 0.9 + (0.0 if u[1] < 0.5 else math.pi if u[1] < 0.75 else math.pi / 2 if u[1] < 0.875 else -math.pi / 2)
    roll = (u[2] - 0.5) * 0.5 if u[3] < 0.9 else math.copysign(math.pi / 2, u[2] - 0.5) + (u[2] - 0.5) * 0.6
    sitting = u[4] < 0.15
    stride = (u[5] - 0.5) * 1.2
    arms = tuple((-0.6 + 3.0 * u[6 + i] ** 1.6, 0.12 + 1.5 * u[8 + i] ** 2, 0.1 + 2.1 * u[10 + i]) for i in range(2))
    legs = tuple(
        (1.35 + 0.2 * u[12 + i], 0.1 + 0.3 * u[14 + i], 1.2 + 0.4 * u[16 + i])
        if sitting
        else (sign * stride + 0.2 * (u[12 + i] - 0.5), 0.03 + 0.25 * u[14 + i], 0.05 + 0.9 * u[16 + i] ** 2)
        for i, sign in ((0, 1.0), (1, -1.0))
    )
    return _Pose(yaw, (u[18] - 0.35) * 0.4, roll, (arms[0], arms[1]), (legs[0], legs[1]))


class _Body:
    """Joint positions in three dimensions, the pelvis at the origin."""

    def __init__(self, pose: _Pose, girth: float) -> None:
        self.left = (math.cos(pose.yaw), 0.0, -math.sin(pose.yaw))
        self.front = (math.sin(pose.yaw), 0.0, math.cos(pose.yaw))
        self.up = self._mix(0.0, -math.cos(pose.lean), math.sin(pose.lean))
        self.neck = _move((0, 0, 0), self.up, 0.33)
        self.head = _move(self.neck, self.up, 0.115)
        self.limbs: dict[str, tuple[Vector, Vector, Vector]] = {}
        for side, name in ((1.0, "left"), (-1.0, "right")):
            arm, leg = (pose.arms[0], pose.legs[0]) if side > 0 else (pose.arms[1], pose.legs[1])
            shoulder = _move(_move(self.neck, self.up, -0.03), self.left, side * 0.105 * girth)
            elbow = _move(shoulder, self._limb(arm[0], side * arm[1]), 0.165)
            wrist = _move(elbow, self._limb(arm[0] + arm[2], side * arm[1] * 0.5), 0.145)
            self.limbs[f"{name}_arm"] = (shoulder, elbow, wrist)
            hip = _move((0, 0, 0), self.left, side * 0.065 * girth)
            knee = _move(hip, self._limb(leg[0], side * leg[1]), 0.24)
            ankle = _move(knee, self._limb(leg[0] - leg[2], side * leg[1] * 0.5), 0.225)
            self.limbs[f"{name}_leg"] = (hip, knee, ankle)

    def _mix(self, left: float, down: float, front: float) -> Vector:
        a, b = self.left, self.front
        return (left * a[0] + front * b[0], down, left * a[2] + front * b[2])

    def _limb(self, swing: float, spread: float) -> Vector:
        """The direction of a limb that hangs down, swung to the front and spread to the side."""
        return self._mix(math.sin(spread), math.cos(swing) * math.cos(spread), math.sin(swing) * math.cos(spread))


def _move(start: Vector, direction: Vector, length: float) -> Vector:
    return (start[0] + direction[0] * length, start[1] + direction[1] * length, start[2] + direction[2] * length)


def make_figure(rng: np.random.Generator, centre: tuple[float, float], height: float) -> Figure:
    """A person of random pose and clothes, ``height`` px tall when it stands, the pelvis at ``centre`` px."""
    pose = draw_pose(rng)
    girth = 0.85 + 0.4 * rng.random()
    body = _Body(pose, girth)
    cos, sin = math.cos(pose.roll) * height, math.sin(pose.roll) * height

    def project(point: Vector) -> tuple[float, float]:
        return (centre[0] + point[0] * cos - point[1] * sin, centre[1] + point[0] * sin + point[1] * cos)

    skin, hair = _SKIN[rng.integers(5)], _HAIR[rng.integers(5)]
    shirt, trousers, shoes = (_colour(row) for row in rng.integers(25, 235, (3, 3)).tolist())
    sleeves, legs = rng.random(2)
    parts: list[Part] = []
    keypoints = np.zeros((17, 2))

    def add(name: str, start: Vector, end: Vector, width: float, colour: Colour, nearer: float = 0.0) -> None:
        depth = (start[2] + end[2]) / 2 + nearer
        parts.append(Part(name, (project(start), project(end)), width * height, depth, colour))

    for side, offset in (("left", 0), ("right", 1)):
        warm = side == "left"
        shoulder, elbow, wrist = body.limbs[f"{side}_arm"]
        add(f"{side}_upper_arm", shoulder, elbow, 0.068 * girth, _tint(shirt, warm))
        add(f"{side}_forearm", elbow, wrist, 0.054 * girth, _tint(shirt if sleeves < 0.5 else skin, warm))
        add(f"{side}_hand", wrist, _move(wrist, body.up, -0.012), 0.062, _tint(skin, warm), 0.002)
        hip, knee, ankle = body.limbs[f"{side}_leg"]
        add(f"{side}_thigh", hip, knee, 0.092 * girth, _tint(trousers, warm), -0.005)
        add(f"{side}_shin", knee, ankle, 0.07 * girth, _tint(trousers if legs < 0.6 else skin, warm), -0.005)
        add(f"{side}_foot", ankle, _move(_move(ankle, body.front, 0.07), (0, 1, 0), 0.03), 0.058, _tint(shoes, warm))
        for base, points in ((5, (shoulder, elbow, wrist)), (11, (hip, knee, ankle))):
            for step, point in enumerate(points):
                keypoints[base + 2 * step + offset] = project(point)
    _add_torso(parts, body, project, shirt, height, girth)
    _add_head(parts, keypoints, body, project, (skin, hair), height)
    return Figure(tuple(sorted(parts, key=lambda part: part.depth)), keypoints)


def _add_torso(parts: list[Part], body: _Body, project, shirt: Colour, height: float, girth: float) -> None:  # type: ignore[no-untyped-def]
    corners = [body.limbs[name][0] for name in ("left_arm", "right_arm", "right_leg", "left_leg")]
    depth = sum(corner[2] for corner in corners) / 4
    parts.append(Part("torso", tuple(project(corner) for corner in corners), 0.1 * height * girth, depth, shirt))
    parts.append(Part("neck", (project(body.neck), project(body.head)), 0.06 * height, body.neck[2] - 0.001, shirt))


def _add_head(parts: list[Part], keypoints, body: _Body, project, colours: tuple[Colour, Colour], height: float) -> None:  # type: ignore[no-untyped-def]
    """A hair-coloured skull, on its front a face with eyes and nose, on its sides the ears."""
    skin, hair = colours
    centre = body.head

    def at(left: float, up: float, front: float) -> Vector:
        return _move(_move(_move(centre, body.left, left), body.up, up), body.front, front)

    def disc(name: str, point: Vector, width: float, colour: Colour) -> None:
        parts.append(Part(name, (project(point), project(point)), width * height, point[2] + 0.02, colour))

    disc("head", centre, 0.135, hair)
    disc("face", at(0, -0.012, 0.024), 0.112, skin)
    disc("nose", at(0, -0.01, 0.075), 0.03, _mix_colours(skin, (255, 60, 60), 0.45))
    keypoints[0] = project(at(0, -0.01, 0.075))
    for side, name, index in ((1.0, "left", 0), (-1.0, "right", 1)):
        warm = side > 0
        eye, ear = at(side * 0.03, 0.016, 0.062), at(side * 0.066, 0.0, 0.0)
        disc(f"{name}_eye", eye, 0.028, _mix_colours(_WARM if warm else _COOL, (20, 20, 20), 0.35))
        disc(f"{name}_ear", ear, 0.042, _tint(skin, warm))
        keypoints[1 + index], keypoints[3 + index] = project(eye), project(ear)


def _colour(values: list[int]) -> Colour:
    return (values[0], values[1], values[2])


def _tint(colour: Colour, warm: bool) -> Colour:
    return _mix_colours(colour, _WARM if warm else _COOL, _TINT)


def _mix_colours(a: Colour, b: Colour, share: float) -> Colour:
    return (
        round(a[0] + (b[0] - a[0]) * share),
        round(a[1] + (b[1] - a[1]) * share),
        round(a[2] + (b[2] - a[2]) * share),
    )


def paint(figure: Figure, image: NDArray[np.uint8], labels: NDArray[np.int16], person: int) -> None:
    """Paint a figure onto an image (H, W, 3) and its part codes onto a label map (H, W), over what is there."""
    for part in figure.parts:
        points = np.array(part.points)
        fixed = np.round(_fixed(points)).astype(np.int32)
        width = max(1, round(part.width))
        code = person * PARTS + _CODES[part.name] + 1
        for canvas, colour, line in ((image, part.colour, cv2.LINE_AA), (labels, code, cv2.LINE_8)):
            if len(fixed) == 2:
                cv2.line(canvas, fixed[0].tolist(), fixed[1].tolist(), colour, width, line, _SUBPIXEL)
            else:
                cv2.fillConvexPoly(canvas, cv2.convexHull(fixed), colour, line, _SUBPIXEL)
                cv2.polylines(canvas, [fixed], True, colour, width, line, _SUBPIXEL)


def _fixed(points: NDArray[np.float64]) -> NDArray[np.float64]:
    return (points - _PIXELS.origin) * 2**_SUBPIXEL


def visibility(figure: Figure, labels: NDArray[np.int16], person: int) -> NDArray[np.uint8]:
    """(17,) 0 outside the image, 1 covered by something nearer, 2 seen."""
    h, w = labels.shape
    seen = np.zeros(17, np.uint8)
    for keypoint, (x, y) in enumerate(figure.keypoints.tolist()):
        if 0 <= x < w and 0 <= y < h:
            code = int(labels[int(y), int(x)]) - 1
            shown = code >= 0 and code // PARTS == person and _NAMES[code % PARTS] in _SHOWN_BY[keypoint]
            seen[keypoint] = 2 if shown else 1
    return seen
