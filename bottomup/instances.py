"""Predicted people of one image."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bottomup.geometry import boxes_around, transform_boxes, transform_points
from bottomup.grouping.found import Found
from bottomup.masks import Choice, Masks, chosen_of


@dataclass(frozen=True)
class Instances:
    """Predicted people of one image, best first, on the host."""

    keypoints: Tensor  # (P, K, 2) float32, NaN = not found
    keypoint_scores: Tensor  # (P, K) in [0, 1], 0 = not found
    scores: Tensor  # (P,)
    boxes: Tensor  # (P, 4) xyxy; around the keypoints where the method finds no boxes
    labels: Tensor  # (P,) int64
    masks: Masks | None = None  # None: the method finds none
    box_scores: Tensor | None = None  # (P,) of the boxes alone; None: the method finds no boxes
    keypoint_presence: Tensor | None = None  # (P, K) probability that something is there; None: as keypoint_scores say
    tags: Tensor | None = None  # (P, D) the mean tag of each one's keypoints; None: the method has no tags
    track_ids: Tensor | None = None  # (P,) int64 who it is along a video, from 1 on, -1 for nobody known; None: nobody was tracked

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, index: Choice) -> Instances:
        """Some of the instances, by mask, indices or slice; by a whole number one. IndexError where there is none, as in a list."""
        values, meant = {f.name: getattr(self, f.name) for f in fields(self)}, chosen_of(index, len(self))
        chosen: dict[str, Any] = {name: None if value is None else value[meant] for name, value in values.items()}
        return Instances(**chosen)

    def __repr__(self) -> str:
        scores = f", scores {float(self.scores.max()):.2f} to {float(self.scores.min()):.2f}" if len(self) else ""
        masks = "" if self.masks is None else ", masks"
        return f"Instances({len(self)} with {self.keypoints.shape[1]} keypoints{scores}{masks})"

    @classmethod
    def empty(cls, keypoints: int) -> Instances:
        """Nobody, with K = ``keypoints``."""
        return cls.of_keypoints(torch.zeros(0, keypoints, 2), torch.zeros(0, keypoints), torch.zeros(0))

    @classmethod
    def of_keypoints(cls, keypoints: Tensor, keypoint_scores: Tensor, scores: Tensor) -> Instances:
        """Instances whose boxes are drawn around their keypoints."""
        return cls(keypoints, keypoint_scores, scores, boxes_around(keypoints), torch.zeros(len(scores), dtype=torch.int64))

    @classmethod
    def of(cls, found: Found) -> Instances:
        """The same people as tensors, which share the arrays' memory."""
        named = {f.name: getattr(found, f.name) for f in fields(found) if f.name != "masks"}
        tensors = {name: None if value is None else torch.from_numpy(np.ascontiguousarray(value)) for name, value in named.items()}
        return cls(**tensors, masks=None if found.masks is None else Masks(found.masks))  # type: ignore[arg-type]

    def found(self) -> Found:
        """The same people as arrays, which share the tensors' memory."""
        named = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "masks"}
        arrays: dict[str, Any] = {name: None if value is None else value.numpy() for name, value in named.items()}
        return Found(**arrays, masks=None if self.masks is None else self.masks.arrays)

    @property
    def presence(self) -> Tensor:
        """(P, K) how surely a keypoint is there: its presence, or its score where that is all there is."""
        return self.keypoint_scores if self.keypoint_presence is None else self.keypoint_presence

    def usable(self, threshold: float) -> Tensor:
        """(P, K) bool: the keypoints that were found and whose ``presence`` is above a threshold."""
        return (self.keypoint_scores > 0) & (self.presence > threshold) & self.keypoints.isfinite().all(-1)

    @property
    def areas(self) -> Tensor:
        """(P,) box areas in px²."""
        return (self.boxes[:, 2:] - self.boxes[:, :2]).clamp(min=0).prod(1)

    def transform(self, matrix: NDArray[np.float64]) -> Instances:
        """Move the instances by an affine matrix (2, 3)."""
        affine = torch.as_tensor(np.asarray(matrix), dtype=torch.float32)
        return replace(
            self,
            keypoints=transform_points(self.keypoints, affine),
            boxes=transform_boxes(self.boxes, affine),
            masks=None if self.masks is None else self.masks.transform(matrix),
        )
