"""What a picture still shows of its people once it was moved, cut or padded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bottomup.types import OUTSIDE, Sample

_NEAR = 1 / 8  # of the picture's longer side: how far out of it a keypoint may lie whose disk is to reach in


def outside_marked(sample: Sample) -> Sample:
    """The sample whose keypoints beyond its content are OUTSIDE: nobody's labels, but no background either."""
    people = sample.people
    beyond = (people.visibility > 0) & ~_within(people.keypoints, _content(sample))
    visibility = np.where(beyond, OUTSIDE, people.visibility).astype(np.uint8)
    return replace(sample, people=replace(people, visibility=visibility))


def framed(sample: Sample) -> Sample:
    """As ``outside_marked``, with boxes that end where the content does."""
    x1, y1, x2, y2 = _content(sample)
    marked = outside_marked(sample)
    boxes = np.clip(marked.people.boxes, (x1, y1) * 2, (x2, y2) * 2).astype(np.float32)
    return replace(marked, people=replace(marked.people, boxes=boxes))


def inside_only(sample: Sample) -> Sample:
    """As ``framed``, without the people of whom nothing is left; those who stand near enough are ``beside``."""
    cut = framed(sample)
    boxes = cut.people.boxes
    shown = (boxes[:, 2:] > boxes[:, :2]).all(1)
    reach = _NEAR * max(sample.shape)
    near = (_within(cut.people.keypoints, _content(cut), reach) & (cut.people.visibility > 0)).any(1)
    return replace(select_people(cut, np.flatnonzero(shown)), beside=cut.people[np.flatnonzero(~shown & near)])


def _content(sample: Sample) -> tuple[float, float, float, float]:
    return sample.content or (0.0, 0.0, float(sample.shape[1]), float(sample.shape[0]))


def _within(points: NDArray[np.float32], content: tuple[float, float, float, float], reach: float = 0.0) -> NDArray[np.bool_]:
    """Which points (..., 2) lie in the content xyxy, or at most ``reach`` px out of it; its far sides are out."""
    low, high = np.array(content[:2]) - reach, np.array(content[2:]) + reach
    return np.asarray(((points >= low) & (points < high)).all(-1))


def select_people(sample: Sample, index: NDArray[np.int64]) -> Sample:
    """Keep some people, in the order given; the instance map is renumbered with them."""
    if np.array_equal(index, np.arange(len(sample.people))):
        return sample
    instances = sample.instances
    if instances is not None:
        renumber = np.zeros(len(sample.people) + 2, np.int16)  # the last entry is index -1: inside several
        renumber[-1] = -1
        renumber[index + 1] = np.arange(1, len(index) + 1)
        instances = renumber[instances]
    return replace(sample, people=sample.people[index], instances=instances)
