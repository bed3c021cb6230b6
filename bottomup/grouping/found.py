"""People of one image as arrays, where the maps of a batch lie, and what every sequential part is: from the one to the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from bottomup.affine import transform_boxes, transform_points
from bottomup.grid import Grid
from bottomup.grouping.mask_crops import MaskCrops

Floats = NDArray[np.float32]
Arrays = Mapping[str, NDArray[Any]]  # what ``Decoder.tensors`` gives, on the host


@dataclass(frozen=True)
class Found:
    """The people of one image, best first: what ``Instances`` holds, as arrays."""

    keypoints: Floats  # (P, K, 2), NaN = not found
    keypoint_scores: Floats  # (P, K) in [0, 1], 0 = not found
    scores: Floats  # (P,)
    boxes: Floats  # (P, 4) xyxy; around the keypoints where the method finds no boxes
    labels: NDArray[np.int64]  # (P,)
    masks: MaskCrops | None = None  # None: the method finds none
    box_scores: Floats | None = None  # (P,) of the boxes alone; None: the method finds no boxes
    keypoint_presence: Floats | None = None  # (P, K) probability that something is there; None: as keypoint_scores say
    tags: Floats | None = None  # (P, D) the mean tag of each one's keypoints; None: the method has no tags
    track_ids: NDArray[np.int64] | None = None  # (P,) who it is along a video, from 1 on, -1: nobody known; None: not tracked

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, index: NDArray[Any] | slice) -> Found:
        """Some of the people, by mask, indices or slice."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        chosen: dict[str, Any] = {name: None if value is None else value[index] for name, value in values.items()}
        return Found(**chosen)

    @classmethod
    def of_keypoints(cls, keypoints: Floats, keypoint_scores: Floats, scores: Floats) -> Found:
        """People whose boxes are drawn around their keypoints."""
        return cls(keypoints, keypoint_scores, scores, boxes_around(keypoints), np.zeros(len(scores), np.int64))

    @property
    def presence(self) -> Floats:
        """(P, K) how surely a keypoint is there: its presence, or its score where that is all there is."""
        return self.keypoint_scores if self.keypoint_presence is None else self.keypoint_presence

    def usable(self, threshold: float) -> NDArray[np.bool_]:
        """(P, K): the keypoints that were found and whose ``presence`` is above a threshold."""
        return (self.keypoint_scores > 0) & (self.presence > threshold) & np.isfinite(self.keypoints).all(-1)

    @property
    def areas(self) -> Floats:
        """(P,) box areas in px²."""
        sides = (self.boxes[:, 2:] - self.boxes[:, :2]).clip(min=0)
        return np.asarray(sides[:, 0] * sides[:, 1])

    def transform(self, matrix: NDArray[np.float64]) -> Found:
        """The people moved by an affine matrix (2, 3)."""
        affine = np.asarray(matrix, np.float32)
        return replace(
            self,
            keypoints=transform_points(self.keypoints, affine),
            boxes=transform_boxes(self.boxes, affine),
            masks=None if self.masks is None else self.masks.transform(matrix),
        )


class Decoded(NamedTuple):
    """What one image holds, in input px."""

    people: Found
    segmentation: Floats | None = None  # (H, W) probability of the foreground


@dataclass(frozen=True)
class HostFrame:
    """Where the maps of a batch lie: ``Frame``, with arrays."""

    grids: Mapping[str, Grid]  # of each output key that is a map
    size: tuple[int, int]  # (H, W) input px
    content: Floats  # (B, 4) xyxy input px: the image without its padding

    def grid(self, name: str) -> Grid:
        """The grid of a map that may be given as it is or by its logits."""
        return self.grids[name] if name in self.grids else self.grids[f"{name}_logits"]


class Field(NamedTuple):
    """One of the arrays that ``Decoder.tensors`` gives."""

    axes: str  # B batch, K keypoints, P people, M candidates, R proposals, C categories, D numbers of a tag, h w cells
    unit: str
    what: str


class Grouping(Protocol):
    """The sequential part of a decoder: a frozen dataclass of plain options and the skeleton, which an exported file carries."""

    fields: ClassVar[Mapping[str, Field]]  # what it reads; not all of them are always there

    def __call__(self, arrays: Arrays, frame: HostFrame) -> list[Decoded]:
        """What every image of a batch holds."""


def images_of(arrays: Arrays, frame: HostFrame) -> list[dict[str, NDArray[Any]]]:
    """The arrays of each image of a batch."""
    return [{name: array[row] for name, array in arrays.items()} for row in range(len(frame.content))]


def boxes_around(points: Floats) -> Floats:
    """The boxes (P, 4) xyxy around points (P, K, 2), of which those that are NaN do not count; 0 around none."""
    if not points.shape[1]:
        return np.zeros((len(points), 4), np.float32)
    there = ~np.isnan(points)
    low, high = np.where(there, points, np.inf).min(1), np.where(there, points, -np.inf).max(1)
    return np.where((high >= low).all(1, keepdims=True), np.concatenate((low, high), axis=1), 0.0).astype(np.float32)


def inside(points: Floats, content: Floats) -> Floats:
    """Points (..., 2) moved into the content (4,) xyxy where they lie outside."""
    return points.clip(content[:2], content[2:])


def best_first(scores: Sequence[float] | Floats) -> NDArray[np.intp]:
    """The order of scores (P,), the highest first, equal ones as they stand."""
    return np.argsort(-np.asarray(scores), kind="stable")
