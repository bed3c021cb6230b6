"""Images as arrays, and how each enters the network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from bottomup.errors import DataError, of_system
from bottomup.framing import inner_size, on_canvas, shrink_image
from bottomup.jpeg import check_whole
from bottomup.paths import path_of
from bottomup.runtime.contract import Contract

Pixels = NDArray[np.uint8]
Image = str | Path | Pixels


def pixels_of(image: Image) -> Pixels:
    """The pixels (H, W, 3) RGB of an image, a file turned upright by its EXIF; DataError where it is none."""
    if isinstance(image, (str, Path)):
        return _read(path_of(image))
    if not isinstance(image, np.ndarray):
        raise DataError(f"an image should be a path or an (H, W, 3) uint8 RGB array, got {type(image).__name__}; convert it")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise DataError(f"an image array should be (H, W, 3) uint8 RGB, got {image.shape} {image.dtype}; convert it")
    return image


def _read(path: Path) -> Pixels:
    """A file's pixels; OpenCV never sees its name, as one that is not UTF-8 ends the process."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: not readable ({of_system(error)})" if path.exists() else f"{path}: no such file") from None
    check_whole(data, path)
    try:
        read = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    except cv2.error as error:  # more pixels than OpenCV takes
        raise DataError(f"{path}: OpenCV does not read it ({error.err}); give a smaller image") from error
    if read is None:
        raise DataError(f"{path}: no image that OpenCV reads; give a JPEG or PNG")
    return np.ascontiguousarray(read[..., ::-1])


@dataclass(frozen=True)
class Framed:
    """An image as the network sees it."""

    pixels: Pixels  # (3, H, W)
    to_input: NDArray[np.float64]  # (2, 3) affine, image px -> input px
    content: tuple[float, float, float, float]  # xyxy input px, the image without padding
    file_size: tuple[int, int]  # (H, W) of the image

    @classmethod
    def of(cls, image: Pixels, contract: Contract) -> Framed:
        """An image resized and padded as a file wants it; into its only size where it has one."""
        shape = (image.shape[0], image.shape[1])
        if contract.sides is not None:
            scale = min(contract.sides[0] / shape[0], contract.sides[1] / shape[1])
            inner = (max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale)))
            size = contract.sides
        else:
            inner = inner_size(shape, contract.input_size, contract.side)
            square = (max(inner),) * 2 if contract.side == "square" else inner
            size = (contract.accept(square[0]), contract.accept(square[1]))
        resized, to_input = shrink_image(image, inner)
        content = (0.0, 0.0, float(inner[1]), float(inner[0]))
        return cls(on_canvas(resized, size, contract.fill), to_input, content, shape)
