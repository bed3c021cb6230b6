"""Poses of a drawn body: angles from a plausible range, and where they put its keypoints in three dimensions.

Lengths are fractions of the body's height. Axes: x right, y down, z towards the viewer. A body that faces the viewer has its
left side at +x, one seen from behind at -x.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

Vector = tuple[float, float, float]
Angles = tuple[float, float, float]  # swing to the front, spread to the side, bend of the elbow or knee

_CAMERA = 4.0  # body heights from the viewer: what is half a height nearer is drawn an eighth larger


@dataclass(frozen=True)
class Pose:
    """Angles in radians."""

    yaw: float  # 0 faces the viewer, pi is seen from behind
    lean: float  # of the torso, forward
    roll: float  # of the whole body in the image plane
    arms: tuple[Angles, Angles]  # left, right
    legs: tuple[Angles, Angles]


def draw_pose(rng: np.random.Generator, turned: float, lying: float) -> Pose:
    """A plausible pose: standing, walking, sitting, arms anywhere.

    The share ``turned`` does not face the viewer: half of it is seen from behind, half from a side. The share ``lying`` lies.
    """
    u = rng.random(20).tolist()
    facing = 1.0 - turned
    behind, left = facing + turned / 2, facing + 0.75 * turned
    turn = 0.0 if u[1] < facing else math.pi if u[1] < behind else math.pi / 2 if u[1] < left else -math.pi / 2
    yaw = (u[0] - 0.5) * 0.9 + turn
    roll = (u[2] - 0.5) * 0.5 if u[3] < 1.0 - lying else math.copysign(math.pi / 2, u[2] - 0.5) + (u[2] - 0.5) * 0.6
    sitting, stride = u[4] < 0.15, (u[5] - 0.5) * 1.2
    arms = [(-0.6 + 3.0 * u[6 + i] ** 1.6, 0.12 + 1.5 * u[8 + i] ** 2, 0.1 + 2.1 * u[10 + i]) for i in range(2)]
    legs = [
        (1.35 + 0.2 * u[12 + i], 0.1 + 0.3 * u[14 + i], 1.2 + 0.4 * u[16 + i])
        if sitting
        else (sign * stride + 0.2 * (u[12 + i] - 0.5), 0.03 + 0.25 * u[14 + i], 0.05 + 0.9 * u[16 + i] ** 2)
        for i, sign in ((0, 1.0), (1, -1.0))
    ]
    return Pose(yaw, (u[18] - 0.35) * 0.4, roll, (arms[0], arms[1]), (legs[0], legs[1]))


class Body:
    """A pose in three dimensions, the pelvis at the origin; ``girth`` 1 is of ordinary build."""

    def __init__(self, pose: Pose, girth: float) -> None:
        self.left = (math.cos(pose.yaw), 0.0, -math.sin(pose.yaw))
        self.front = (math.sin(pose.yaw), 0.0, math.cos(pose.yaw))
        self.up = self._mix(0.0, -math.cos(pose.lean), math.sin(pose.lean))
        self.neck = move((0.0, 0.0, 0.0), self.up, 0.33)
        self.head = move(self.neck, self.up, 0.115)
        self.arms = tuple(self._arm(angles, side, girth) for angles, side in zip(pose.arms, (1.0, -1.0), strict=True))
        self.legs = tuple(self._leg(angles, side, girth) for angles, side in zip(pose.legs, (1.0, -1.0), strict=True))

    def _arm(self, angles: Angles, side: float, girth: float) -> tuple[Vector, Vector, Vector]:
        swing, spread, bend = angles
        shoulder = move(move(self.neck, self.up, -0.03), self.left, side * 0.105 * girth)
        elbow = move(shoulder, self._hanging(swing, side * spread), 0.165)
        return shoulder, elbow, move(elbow, self._hanging(swing + bend, side * spread * 0.5), 0.145)

    def _leg(self, angles: Angles, side: float, girth: float) -> tuple[Vector, Vector, Vector]:
        swing, spread, bend = angles
        hip = move((0.0, 0.0, 0.0), self.left, side * 0.065 * girth)
        knee = move(hip, self._hanging(swing, side * spread), 0.24)
        return hip, knee, move(knee, self._hanging(swing - bend, side * spread * 0.5), 0.225)

    def _mix(self, left: float, down: float, front: float) -> Vector:
        a, b = self.left, self.front
        return (left * a[0] + front * b[0], down, left * a[2] + front * b[2])

    def _hanging(self, swing: float, spread: float) -> Vector:
        """The direction of what hangs down, swung to the front and spread to the side."""
        return self._mix(math.sin(spread), math.cos(swing) * math.cos(spread), math.sin(swing) * math.cos(spread))


@dataclass(frozen=True)
class View:
    """How a body is seen: its pelvis at ``centre`` px, ``height`` px tall when it stands, turned by ``roll``."""

    centre: tuple[float, float]
    height: float
    roll: float

    def zoom(self, depth: float) -> float:
        """How much larger something is drawn for being ``depth`` body heights nearer than the pelvis."""
        return _CAMERA / (_CAMERA - depth)

    def project(self, point: Vector) -> tuple[float, float]:
        """The image px of a point of the body."""
        scale = self.height * self.zoom(point[2])
        cos, sin = math.cos(self.roll) * scale, math.sin(self.roll) * scale
        return (self.centre[0] + point[0] * cos - point[1] * sin, self.centre[1] + point[0] * sin + point[1] * cos)


def move(start: Vector, direction: Vector, length: float) -> Vector:
    """The point ``length`` along ``direction`` from ``start``."""
    return (start[0] + direction[0] * length, start[1] + direction[1] * length, start[2] + direction[2] * length)
