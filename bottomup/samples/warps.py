"""Images and maps moved by an affine matrix, or resized."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bottomup.framing import shrink_image as shrink_image
from bottomup.geometry import area_scale, chain, invert, pixel_matrix
from bottomup.types import IGNORE_MAPS, Sample

PADDING = 1 << IGNORE_MAPS.index("padding")  # among the bits of ``pack_flags``
_MOST = (1 << 15) - 2  # px a side that OpenCV warps
MIN_SCALE = 0.6  # below, the image is first shrunk by areas, as a linear warp alone would skip pixels


def warp_image(
    image: NDArray[np.uint8], matrix: NDArray[np.float64], size: tuple[int, int], fill: Sequence[int]
) -> NDArray[np.uint8]:
    """Move an image (H, W, 3) by an affine matrix (2, 3) of continuous px onto a canvas of ``size`` (H, W).

    OpenCV moves four channels in less than half of the time of three, to the same values.
    """
    shrink = min(area_scale(matrix) ** 0.5, (_MOST / max(image.shape)))
    if shrink < MIN_SCALE or max(image.shape) > _MOST:
        image, scaling = shrink_image(image, (round(image.shape[0] * shrink), round(image.shape[1] * shrink)))
        matrix = chain(invert(scaling), matrix)
    warped = cv2.warpAffine(
        cv2.cvtColor(image, cv2.COLOR_RGB2RGBA),
        pixel_matrix(matrix),
        size[::-1],
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(*fill, 0),
    )
    return np.asarray(cv2.cvtColor(warped, cv2.COLOR_RGBA2RGB), dtype=np.uint8)


def warp_map(pixels: NDArray[Any], matrix: NDArray[np.float64], size: tuple[int, int], outside: int) -> NDArray[Any]:
    """As ``warp_image`` for a map (H, W) of flags or labels: nearest pixels."""
    step = -(-max(pixels.shape) // _MOST)
    if step > 1:
        pixels = np.ascontiguousarray(pixels[::step, ::step])
        first = 0.5 - step / 2  # pixel r lies where pixel r * step did
        matrix = chain(np.array([[step, 0.0, first], [0.0, step, first]]), matrix)
    moved = cv2.warpAffine(
        as_numbers(pixels),
        pixel_matrix(matrix),
        size[::-1],
        flags=cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(outside,),
    )
    return moved.view(pixels.dtype)


def as_numbers(pixels: NDArray[Any]) -> NDArray[Any]:
    """A map as OpenCV takes it, which does not know truth values."""
    return pixels.view(np.uint8) if pixels.dtype == bool else pixels


def extent(pixels: NDArray[Any]) -> tuple[int, int, int, int]:
    """The window (x1, y1, x2, y2) outside which a map (H, W) of whole numbers is 0, as wide as high 0 where that is everywhere."""
    size = pixels.itemsize
    x, y, width, height = cv2.boundingRect(np.ascontiguousarray(pixels).view(np.uint8))
    return x // size, y, -(-(x + width) // size), y + height


def pack_flags(sample: Sample) -> NDArray[np.uint8]:
    """All ignore maps of a sample as bits of one (H, W), so that they are warped once."""
    flags = np.zeros(sample.shape, np.uint8)
    for name, pixels in sample.ignore.items():
        if pixels.any():  # most images have no crowd
            flags |= pixels.view(np.uint8) << np.uint8(IGNORE_MAPS.index(name))
    return flags


def unpack_flags(flags: NDArray[np.uint8], names: set[str]) -> dict[str, NDArray[np.bool_]]:
    """The ignore maps of these names, of bits as ``pack_flags`` makes them."""
    anywhere = int(np.bitwise_or.reduce(flags, axis=None))
    return {
        name: (flags & np.uint8(1 << index)).astype(bool) if anywhere >> index & 1 else np.zeros(flags.shape, bool)
        for index, name in enumerate(IGNORE_MAPS)
        if name in names
    }
