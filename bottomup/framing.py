"""How an image is fitted into the network's input: resized, and padded right and below; on numpy and OpenCV alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Side = Literal["long", "short", "square", "native"]

_LONGEST = 2  # times side_length, of an image that is left as it is
_SLIM = 5 / 3  # the long side, in short ones that are asked for: detectors' 1333 px where they ask for 800


def inner_size(shape: tuple[int, int], side_length: int, side: Side, enlarged: float = 1.0) -> tuple[int, int]:
    """The size (H, W) to which an image of ``shape`` is resized so that its ``side`` has ``side_length`` px.

    "short" is less where the long side would be more than 5 / 3 of ``side_length``, as of a panorama; "native" only enlarges an
    image by the factor ``enlarged``, where its long side then is between ``side_length`` and twice that;
    others come to the nearer end.
    """
    long, short = max(shape), min(shape)
    length = min(max(long * enlarged, side_length), _LONGEST * side_length) if side == "native" else side_length
    scale = fit(long, short, length, side)
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def fit(long: float, short: float, length: float, side: Side) -> float:
    """The factor that makes the ``side`` of an image ``length`` px, a "short" one as far as the long side's bound lets it."""
    return min(length / short, _SLIM * length / long) if side == "short" else length / long


def on_canvas(image: NDArray[np.uint8], size: tuple[int, int], fill: Sequence[int]) -> NDArray[np.uint8]:
    """An image (H, W, 3) in the upper left corner of a canvas of ``size`` that is ``fill``: (3, H', W')."""
    canvas = blank(size, fill)
    canvas[: image.shape[0], : image.shape[1]] = image
    return canvas.transpose(2, 0, 1)


def blank(size: tuple[int, int], fill: Sequence[int]) -> NDArray[np.uint8]:
    """A canvas (H, W, 3) of ``size`` that is ``fill``; row by row, as NumPy takes twenty times as long pixel by pixel."""
    canvas = np.empty((*size, 3), np.uint8)
    canvas.reshape(size[0], -1)[:] = np.tile(np.asarray(fill, np.uint8), size[1])
    return canvas


def shrink_image(image: NDArray[np.uint8], size: tuple[int, int]) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Resize an image (H, W, 3) to ``size`` (at least 1 px), and the affine (2, 3) that did it."""
    h, w = max(1, size[0]), max(1, size[1])
    smaller = h * w < image.shape[0] * image.shape[1]
    resized = cv2.resize(image, (w, h), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
    scaling = np.array([[w / image.shape[1], 0.0, 0.0], [0.0, h / image.shape[0], 0.0]])
    return np.asarray(resized, dtype=np.uint8), scaling
