"""Candidates given to the people in boxes, whom the Pose Residual Network tells apart: MultiPoseNet §3.4."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from bottomup.grouping.found import Arrays, Decoded, Field, Floats, Found, HostFrame, best_first, images_of, inside
from bottomup.grouping.reading import to_pixels
from bottomup.grouping.suppression import oks_nms
from bottomup.skeletons import Skeleton

Assignment = Literal["one_to_one", "independent"]
Missing = Literal["none", "maximum"]
Score = Literal["fraction", "found_and_box", "keypoints_and_box"]
Unposed = Literal["drop", "keep"]


@dataclass(frozen=True, kw_only=True)
class BoxGrouping:
    """The sequential part of the decoder ``prn``, whose docstring says what the options are."""

    fields: ClassVar[Mapping[str, Field]] = {
        "values": Field("B R K M", "score", "what each pair of a box and a candidate is worth; 0 is no pair"),
        "candidates": Field("B K M 3", "input px, input px, in [0, 1]", "x, y and score of the keypoints found, whoever's"),
        "boxes": Field("B R 4", "input px", "x1, y1, x2, y2 of the boxes"),
        "box_scores": Field("B R", "in [0, 1]", "of the boxes; 0 is none"),
        "highest": Field("B R K 3", "input px, input px, in [0, 1]", "where the activation is highest; with missing=maximum"),
        "foreground": Field("B h w", "in [0, 1]", "how surely a cell is somebody's; with segmentation"),
    }

    skeleton: Skeleton
    assignment: Assignment
    missing: Missing
    score: Score
    unposed: Unposed
    nms_threshold: float | None

    def __call__(self, arrays: Arrays, frame: HostFrame) -> list[Decoded]:
        """Match each image's candidates with its people; boxes and points are kept inside the content."""
        decoded = []
        for image, content in zip(images_of(arrays, frame), frame.content, strict=True):
            people, foreground = self._people(image, content), image.get("foreground")
            grid = None if foreground is None else frame.grid("segmentation")
            pixels = None if foreground is None or grid is None else to_pixels(foreground, grid, frame.size)
            decoded.append(Decoded(people, pixels))
        return decoded

    def _people(self, image: Arrays, content: Floats) -> Found:
        there = np.flatnonzero(image["box_scores"] > 0)
        values = image["values"][there]  # (P, K, M)
        points = np.full((*values.shape[:2], 2), np.nan, np.float32)
        scores = np.zeros(values.shape[:2], np.float32)
        for k in range(values.shape[1]):  # matchings of keypoints do not depend on each other; scipy solves one at a time
            people, chosen = self.match(values[:, k])
            points[people, k] = image["candidates"][k, chosen, :2]
            scores[people, k] = image["candidates"][k, chosen, 2]
        boxes = image["boxes"][there].clip(np.tile(content[:2], 2), np.tile(content[2:], 2))
        own, posed = self._scores(scores, image["box_scores"][there]), np.asarray((scores > 0).any(axis=1))
        if self.missing == "maximum":
            highest = image["highest"][there]
            lacking = (scores == 0) & (highest[..., 2] > 0)
            points[lacking], scores[lacking] = highest[lacking][:, :2], highest[lacking][:, 2]
        found = Found.of_keypoints(inside(points, content), scores, own)
        found = replace(found, boxes=boxes, box_scores=image["box_scores"][there])
        order = best_first(own)
        found = found[order[posed[order]] if self.unposed == "drop" else order]
        return found if self.nms_threshold is None else found[oks_nms(found, self.skeleton.sigmas, self.nms_threshold)]

    def match(self, values: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Pair people (rows) with candidates (columns) of values (P, M)."""
        if self.assignment == "independent":
            people = np.flatnonzero(values.max(1, initial=0.0) > 0)
            return people, values[people].argmax(1)
        people, chosen = linear_sum_assignment(values, maximize=True)
        worth = values[people, chosen] > 0
        return people[worth], chosen[worth]

    def _scores(self, keypoint_scores: Floats, box_scores: Floats) -> Floats:
        """(P,) of people with keypoint scores (P, K)."""
        found, keypoints = (keypoint_scores > 0).sum(1), keypoint_scores.shape[1]
        if self.score == "fraction":
            return np.asarray(found / keypoints, np.float32)
        counted = np.maximum(found, 1) if self.score == "found_and_box" else keypoints
        return np.asarray(keypoint_scores.sum(1) / counted * box_scores, np.float32)
