"""Affine matrices (2, 3), and what they move: arrays and, where PyTorch is there, tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

Array = TypeVar("Array", NDArray[np.float64], NDArray[np.float32], "Tensor")
Floats = TypeVar("Floats", NDArray[np.float64], NDArray[np.float32])


def transform_points(points: Array, matrix: Array) -> Array:
    """Move points (..., 2) by an affine matrix (2, 3)."""
    return points @ matrix[:, :2].T + matrix[:, 2]


def transform_boxes(boxes: Floats, matrix: Floats) -> Floats:
    """Move boxes (N, 4) xyxy by an affine matrix (2, 3): the upright box around the four moved corners."""
    corners = transform_points(boxes[:, (0, 1, 2, 1, 2, 3, 0, 3)].reshape(-1, 4, 2), matrix)
    return np.concatenate((corners.min(1), corners.max(1)), axis=1)


def area_scale(matrix: Array) -> float:
    """By how much an affine matrix (2, 3) enlarges areas."""
    return abs(float(matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0]))


def mirrors(matrix: NDArray[np.float64]) -> bool:
    """Whether an affine matrix (2, 3) turns left into right."""
    return bool(matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0] < 0)


def invert(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse of an affine matrix (2, 3)."""
    linear = np.asarray(np.linalg.inv(matrix[:, :2]), np.float64)
    return _affine(linear, -linear @ matrix[:, 2])


def chain(first: NDArray[np.float64], then: NDArray[np.float64]) -> NDArray[np.float64]:
    """The affine matrix (2, 3) that applies ``first`` and then ``then``."""
    linear = then[:, :2]
    return _affine(linear @ first[:, :2], linear @ first[:, 2] + then[:, 2])


def _affine(linear: NDArray[np.float64], shift: NDArray[np.float64]) -> NDArray[np.float64]:
    """The affine matrix (2, 3) of its parts (2, 2) and (2,)."""
    matrix = np.empty((2, 3))
    matrix[:, :2], matrix[:, 2] = linear, shift
    return matrix


def pixel_matrix(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same map between pixel indices, whose origin is a pixel's centre (cv2.warpAffine, albumentations)."""
    linear = matrix[:, :2]
    return _affine(linear, linear.sum(1) / 2 + matrix[:, 2] - 0.5)
