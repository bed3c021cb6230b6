"""What a picture still shows of its people once it was moved, cut or padded."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from bottomup.types import OUTSIDE, People, Sample

_BYTE = 255  # the highest number of eight bits, which -1 becomes
Content = tuple[float, float, float, float]  # xyxy px

_NEAR = 1 / 8  # of the picture's longer side: how far out of it a keypoint may lie whose disk is to reach in


def outside_marked(sample: Sample) -> Sample:
    """The sample whose keypoints beyond its content are OUTSIDE: nobody's labels, but no background either."""
    people = _outside_marked(sample.people, _content(sample))
    return sample if people is sample.people else replace(sample, people=people)


def framed(sample: Sample) -> Sample:
    """As ``outside_marked``, with boxes that end where the content does."""
    return replace(sample, people=_framed(sample.people, _content(sample)))


def inside_only(sample: Sample) -> Sample:
    """As ``framed``, without the people of whom nothing is left; those who stand near enough are ``beside``."""
    content = _content(sample)
    people = _framed(sample.people, content)
    shown = (people.boxes[:, 2:] > people.boxes[:, :2]).all(1)
    if shown.all():
        return replace(sample, people=people, beside=None)
    reach = _NEAR * max(sample.shape)
    near = (_within(people.keypoints, content, reach) & (people.visibility > 0)).any(1)
    beside = people[np.flatnonzero(~shown & near)]
    return replace(select_people(replace(sample, people=people), np.flatnonzero(shown)), beside=beside)


def _outside_marked(people: People, content: Content) -> People:
    """The same people where nothing of them is beyond the content."""
    beyond = (people.visibility > 0) & ~_within(people.keypoints, content)
    return replace(people, visibility=np.where(beyond, np.uint8(OUTSIDE), people.visibility)) if beyond.any() else people


def _framed(people: People, content: Content) -> People:
    """Those whose keypoints beyond the content are OUTSIDE, and whose boxes end where it does."""
    x1, y1, x2, y2 = content
    boxes = np.clip(people.boxes, (x1, y1) * 2, (x2, y2) * 2).astype(np.float32)
    return replace(_outside_marked(people, content), boxes=boxes)


def _content(sample: Sample) -> Content:
    return sample.content or (0.0, 0.0, float(sample.shape[1]), float(sample.shape[0]))


def _within(points: NDArray[np.float32], content: Content, reach: float = 0.0) -> NDArray[np.bool_]:
    """Which points (..., 2) lie in the content xyxy, or at most ``reach`` px out of it; its far sides are out."""
    low, high = np.array(content[:2]) - reach, np.array(content[2:]) + reach
    return np.asarray(((points >= low) & (points < high)).all(-1))


def select_people(sample: Sample, index: NDArray[np.int64]) -> Sample:
    """Keep some people, in the order given; the instance map is renumbered with them."""
    if np.array_equal(index, np.arange(len(sample.people))):
        return sample
    instances = sample.instances
    if instances is not None:
        numbers = np.zeros(len(sample.people) + 1, np.int16)
        numbers[index + 1] = np.arange(1, len(index) + 1)
        instances = _renumbered(instances, numbers)
    return replace(sample, people=sample.people[index], instances=instances)


def _renumbered(instances: NDArray[np.int16], numbers: NDArray[np.int16]) -> NDArray[np.int16]:
    """An instance map whose person n has ``numbers`` (N + 1,) of n, -1 staying; OpenCV looks up bytes in a quarter of the time."""
    if len(numbers) > _BYTE:
        return np.append(numbers, np.int16(-1))[instances]
    table = np.zeros(_BYTE + 1, np.int16)
    table[: len(numbers)], table[-1] = numbers, -1
    return np.asarray(cv2.LUT(instances.astype(np.uint8), table))
