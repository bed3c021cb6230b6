"""How drawn people walk through a clip: where each one is in a frame, and in which pose."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bottomup.data._poses import Angles, Pose

_EDGE = 0.14  # of the side: how near to the border a walk may lead
_CYCLE = 0.8  # body heights that two steps make
_TURNING = 3.0  # frames of a turn round
_PROFILE = 1.15  # radians that a walker is turned away from the viewer
_PELVIS = 0.48  # of the height above the ground


class Walk(NamedTuple):
    """One person's way: it leads past a place at a time, or turns round there."""

    place: float  # px from the left
    time: float  # frames
    velocity: float  # px a frame, before that time
    turns: bool  # round, or goes on
    ground: float  # px from the top, where the feet are
    height: float  # px
    phase: float  # radians of the gait
    swing: float  # radians that legs swing
    tilt: float  # radians of the whole body

    def centre(self, frame: float) -> tuple[float, float]:
        """The pelvis in a frame, px; it bobs with the steps."""
        bob = 0.008 * self.height * math.cos(2 * self._gait(frame))
        return self.place + self._way(frame), self.ground - _PELVIS * self.height + bob

    def pose(self, frame: float) -> Pose:
        """The pose in a frame."""
        gait, heading = self._gait(frame), math.copysign(1.0, self.velocity)
        yaw = _PROFILE * heading * (-self._turned(frame) if self.turns else 1.0)
        legs = [self._leg(gait), self._leg(gait + math.pi)]
        arms: list[Angles] = [(-0.8 * self.swing * math.sin(gait + shift), 0.18, 0.35) for shift in (0.0, math.pi)]
        return Pose(yaw, 0.06, self.tilt, (arms[0], arms[1]), (legs[0], legs[1]))

    def _leg(self, gait: float) -> Angles:
        return self.swing * math.sin(gait), 0.05, 0.12 + 0.7 * max(0.0, math.cos(gait)) ** 2

    def _way(self, frame: float) -> float:
        """Px from the place."""
        since = frame - self.time
        return self.velocity * (-_TURNING * _log_cosh(since / _TURNING) if self.turns else since)

    def _turned(self, frame: float) -> float:
        """From -1 before a turn to 1 after it."""
        return math.tanh((frame - self.time) / _TURNING)

    def _gait(self, frame: float) -> float:
        """Radians of the gait: as far as the way was, forwards."""
        walked = abs(self._way(frame)) * math.copysign(1.0, frame - self.time)
        return self.phase + 2 * math.pi * walked / (_CYCLE * self.height)


def _log_cosh(value: float) -> float:
    """log(cosh(value)) of any value, by e^-|value| which does not overflow."""
    return abs(value) + math.log1p(math.exp(-2 * abs(value))) - math.log(2)


class Meeting(NamedTuple):
    """Where and when two people meet, px and frames; what they do there."""

    place: float
    time: float
    turns: bool


def draw_meeting(rng: np.random.Generator, side: int, frames: int, turning: float) -> Meeting:
    """A meeting in the middle of image and clip; the share ``turning`` of them turn round there."""
    place, time = (0.36 + 0.28 * rng.random()) * side, (0.35 + 0.3 * rng.random()) * frames
    return Meeting(float(place), float(time), bool(rng.random() < turning))


def draw_walk(rng: np.random.Generator, meeting: Meeting, left: bool, height: float, side: int, frames: int) -> Walk:
    """A walk that comes from the left, or the right, and stays inside the image."""
    before = meeting.place if left else side - meeting.place
    ends_left = left == meeting.turns
    after = meeting.place if ends_left else side - meeting.place
    fastest = min((before - _EDGE * side) / meeting.time, (after - _EDGE * side) / (frames - meeting.time))
    speed = fastest * (0.6 + 0.4 * rng.random())
    phase, swing, tilt, low = rng.random(4).tolist()
    return Walk(
        place=meeting.place,
        time=meeting.time,
        velocity=speed if left else -speed,
        turns=meeting.turns,
        ground=side * (0.9 + 0.06 * low) - 0.1 * (side - height),
        height=height,
        phase=2 * math.pi * phase,
        swing=0.35 + 0.2 * swing,
        tilt=0.1 * (tilt - 0.5),
    )


def draw_walks(
    rng: np.random.Generator, meetings: list[Meeting], heights: NDArray[np.float64], side: int, frames: int
) -> list[Walk]:
    """Two people to each meeting, one from either side, far to near."""
    order = rng.permutation(len(heights))
    walks = [
        draw_walk(rng, meetings[n // 2], n % 4 in (0, 3), float(height), side, frames)
        for n, height in zip(order.tolist(), np.sort(heights), strict=True)
    ]
    return walks
