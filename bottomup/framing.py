"""How an image is fitted into the network's input: resized, and padded right and below; on numpy and OpenCV alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Side = Literal["long", "short", "square", "native"]

_LONGEST = 2  # times side_length, of an image that is left as it is


def inner_size(shape: tuple[int, int], side_length: int, side: Side, enlarged: float = 1.0) -> tuple[int, int]:
    """The size (H, W) to which an image of ``shape`` is resized so that its ``side`` has ``side_length`` px.

    "native" only enlarges an image by the factor ``enlarged``, where its long side then is between ``side_length`` and twice that;
    others come to the nearer end.
    """
    h, w = shape
    long, short = max(h, w), min(h, w)
    length = min(max(long * enlarged, side_length), _LONGEST * side_length) if side == "native" else side_length
    scale = length / (short if side == "short" else long)
    return max(1, round(h * scale)), max(1, round(w * scale))


def on_canvas(image: NDArray[np.uint8], size: tuple[int, int], fill: Sequence[int]) -> NDArray[np.uint8]:
    """An image (H, W, 3) in the upper left corner of a canvas of ``size`` that is ``fill``: (3, H', W')."""
    canvas = np.empty((*size, 3), np.uint8)
    canvas[:] = np.asarray(fill, np.uint8)
    canvas[: image.shape[0], : image.shape[1]] = image
    return np.ascontiguousarray(canvas.transpose(2, 0, 1))


def shrink_image(image: NDArray[np.uint8], size: tuple[int, int]) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Resize an image (H, W, 3) to ``size`` (at least 1 px), and the affine (2, 3) that did it."""
    h, w = max(1, size[0]), max(1, size[1])
    smaller = h * w < image.shape[0] * image.shape[1]
    resized = cv2.resize(image, (w, h), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
    scaling = np.array([[w / image.shape[1], 0.0, 0.0], [0.0, h / image.shape[0], 0.0]])
    return np.asarray(resized, dtype=np.uint8), scaling
