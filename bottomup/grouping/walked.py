"""People that were walked from seeds, scored and suppressed, and their masks: PersonLab §3.1 and §3.2, and PoseNet's way of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from bottomup.errors import ConfigError
from bottomup.grouping.found import Arrays, Decoded, Field, Floats, Found, HostFrame, best_first, images_of, inside
from bottomup.grouping.levels import foreground_level, left_by_better, nearer_than_others
from bottomup.grouping.mask_crops import MaskCrops
from bottomup.grouping.reading import to_pixels
from bottomup.grouping.suppression import claimed, oks_nms
from bottomup.options import BelowOne, Formerly, FromZero, Inner, Positive, Share, checked
from bottomup.skeletons import Skeleton

WALKED = {
    "points": Field("B P K 2", "input px", "the keypoints of people, as many for every image"),
    "scores": Field("B P K", "in [0, 1]", "of the keypoints; who has none above 0 is nobody"),
}


@checked("decoder personlab", within="suppression")
@dataclass(frozen=True, kw_only=True)
class Suppression:
    """Who is left beside better instances, and with what score.

    A seed within ``radius`` of the same keypoint of an instance starts no other. ``nms`` is "soft" (eq. 4: only keypoints that
    no better instance has claimed, within the same radius, count) or "hard". ``oks`` is above what OKS to a better instance the
    hard one drops an instance. ``instance_threshold`` is what those who are left score at least.
    """

    nms: Literal["soft", "hard"] = "soft"
    radius: Annotated[FromZero, "input px", Formerly("nms_radius")] = 10.0
    oks: Annotated[Share, Formerly("nms_oks")] = 0.5
    instance_threshold: BelowOne = 0.0

    def left(self, found: Found, sigmas: Sequence[float]) -> tuple[NDArray[np.intp], Floats]:
        """Which of people, given best first, better ones do not explain, and the scores that are left to them, best first."""
        if self.nms == "hard":
            kept, scores = np.flatnonzero(oks_nms(found, sigmas, self.oks)), found.scores
        else:
            scores = (found.keypoint_scores * ~claimed(found.keypoints, self.radius)).mean(1)
            kept = best_first(scores)
        kept = kept[(scores[kept] > 0) & (scores[kept] >= self.instance_threshold)]
        return kept, scores[kept]

    def suppress(self, joined: Found, sigmas: Sequence[float]) -> Found:
        """People who were joined from several views, scored and suppressed as those of one are."""
        order = best_first(joined.keypoint_scores.mean(1))
        kept, own = self.left(joined[order], sigmas)
        return replace(joined[order[kept]], scores=own)


@checked("decoder personlab", within="masks")
@dataclass(frozen=True, kw_only=True)
class InstanceMasks:
    """Which pixels are whose: PersonLab §3.2.

    A pixel of foreground, a probability of ``threshold`` or more, is in the mask of every instance whose keypoints its long
    offsets hit within ``distance`` of the instance's size (eq. 6; None: any distance). ``mode`` "overlapping" is the paper's,
    "exclusive" leaves it to the best-scored of these instances, "nearest" to the nearest one, however low its score (so raise
    ``suppression.instance_threshold``), as BodyPix; None makes none.
    """

    mode: Annotated[Literal["overlapping", "exclusive", "nearest"], Formerly("masks")] | None = "overlapping"
    threshold: Annotated[Inner, Formerly("mask_threshold")] = 0.5
    distance: Annotated[Positive, "sizes of the instance", Formerly("mask_distance")] | None = 0.25

    def __post_init__(self) -> None:
        if self.mode == "exclusive" and self.distance is None:
            raise ConfigError(
                "decoder personlab: masks.distance should be a number where masks.mode is exclusive: the best instance would have "
                "all; got None"
            )

    def levels(self, foreground: Floats, distance: Floats) -> Floats:
        """(P, h, w) in [-1, 1], above 0 inside an instance, of foreground (h, w) and distance (P, h, w)."""
        level = np.broadcast_to(foreground_level(foreground, self.threshold), distance.shape)
        if self.distance is not None:
            level = np.minimum(level, 1 - distance / np.float32(self.distance))
        if self.mode == "exclusive":
            level = left_by_better(level)
        elif self.mode == "nearest":
            level = np.minimum(level, nearer_than_others(distance))
        return level.clip(-1, 1)


@dataclass(frozen=True, kw_only=True)
class SeedGrouping:
    """The sequential part of the decoder ``personlab``, whose docstring says what the options are."""

    fields: ClassVar[Mapping[str, Field]] = WALKED | {
        "presence": Field("B P K", "in [0, 1]", "how surely each keypoint is there"),
        "foreground": Field("B h w", "in [0, 1]", "how surely a cell is somebody's; with segmentation"),
        "distance": Field("B P h w", "sizes of the person", "of each cell to each person; with masks"),
    }

    skeleton: Skeleton
    suppression: Suppression
    masks: InstanceMasks

    def __call__(self, arrays: Arrays, frame: HostFrame) -> list[Decoded]:
        """Score the people of each image and drop those that better ones explain; points are kept inside the content."""
        return [self._decoded(*image, frame) for image in zip(images_of(arrays, frame), frame.content, strict=True)]

    def _decoded(self, image: Arrays, content: Floats, frame: HostFrame) -> Decoded:
        scores, presence = image["scores"].clip(0.0, 1.0), image["presence"].clip(0.0, 1.0)
        there = np.flatnonzero((scores > 0).any(1))
        rows = there[best_first(scores[there].mean(1))]
        better_first = Found.of_keypoints(image["points"][rows], scores[rows], scores[rows].mean(1))
        kept, own = self.suppression.left(better_first, self.skeleton.sigmas)
        rows = rows[kept]
        found = Found.of_keypoints(inside(image["points"][rows], content), scores[rows], own)
        found = replace(found, keypoint_presence=presence[rows])
        if "foreground" not in image:
            return Decoded(found)
        grid, foreground = frame.grid("segmentation"), image["foreground"]
        if "distance" in image:
            levels = self.masks.levels(foreground, image["distance"][rows])
            found = replace(found, masks=MaskCrops.of_levels(levels, grid))
        return Decoded(found, to_pixels(foreground, grid, frame.size))


@dataclass(frozen=True, kw_only=True)
class PosenetGrouping:
    """The sequential part of the decoder ``posenet``."""

    fields: ClassVar[Mapping[str, Field]] = WALKED

    nms_radius: float

    def __call__(self, arrays: Arrays, frame: HostFrame) -> list[Decoded]:
        """Score the people of each image; points are kept inside the content."""
        images = zip(arrays["points"], arrays["scores"], frame.content, strict=True)
        return [Decoded(self._people(*image)) for image in images]

    def _people(self, points: Floats, scores: Floats, content: Floats) -> Found:
        there = (scores > 0).any(1)
        points, scores = points[there], scores[there]
        own = (scores * ~claimed(points, self.nms_radius)).mean(1)
        order = best_first(own)
        return Found.of_keypoints(inside(points[order], content), scores[order], own[order])
