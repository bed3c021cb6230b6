"""What is given as an image: a path, a folder, a glob, an array or a Pillow image becomes a sample of pixels."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import cv2
import numpy as np
from numpy.typing import NDArray

from bottomup.errors import DataError
from bottomup.types import People, Sample

_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"}


@runtime_checkable
class PillowImage(Protocol):
    """An image of Pillow, known by what it can do: nothing here needs that library."""

    mode: str

    def convert(self, mode: str) -> Any:
        """The image in another mode, as "RGB"."""


Image = str | Path | NDArray[np.uint8] | PillowImage


def is_one(images: object) -> bool:
    """Whether what is given is a single image, no list, folder or glob of them."""
    return isinstance(images, (np.ndarray, PillowImage)) or (isinstance(images, (str, Path)) and Path(images).is_file())


def find_images(where: str | Path) -> list[Path]:
    """The image that ``where`` is, or those of a folder or a glob, sorted; DataError where there is none.

    In a glob ``*`` stands for any part of a name, ``**`` for any depth of folders.
    """
    path = Path(where)
    if path.is_file():
        return [path]
    # not Path.glob, which refuses absolute patterns
    found = path.iterdir() if path.is_dir() else map(Path, glob.glob(str(path), recursive=True))  # noqa: PTH207
    images = sorted(entry for entry in found if entry.suffix.lower() in _SUFFIXES and entry.is_file())
    if not images:
        raise DataError(f"{where}: no such image, folder or glob with images ({', '.join(sorted(_SUFFIXES))})")
    return images


def read_image(path: str | Path) -> NDArray[np.uint8]:
    """An image file as (H, W, 3) uint8 RGB; DataError where it is none.

    It is turned upright by its EXIF, as viewers show it. ``data.coco.read_image`` does not: annotations refer to stored pixels.
    """
    if not Path(path).is_file():
        raise DataError(f"{path}: {'a folder, no image' if Path(path).is_dir() else 'no such file'}")
    try:
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    except cv2.error:  # more pixels than OpenCV reads
        image = None
    if image is None:
        raise DataError(f"{path}: not readable as an image; was it copied or downloaded whole?")
    return np.ascontiguousarray(image[..., ::-1])


def _pixels(image: Image) -> NDArray[np.uint8]:
    """The pixels (H, W, 3) RGB of an image in whatever form; DataError where it is none."""
    if isinstance(image, (str, Path)):
        return read_image(image)
    if isinstance(image, PillowImage):
        if image.mode.startswith(("I", "F")):  # Pillow would cut them off at 255 and call it RGB
            raise DataError(f"a Pillow image should have 8 bits a channel, got mode {image.mode}; scale it to 0-255 first")
        image = np.array(image.convert("RGB"))
    if not isinstance(image, np.ndarray):
        expected = "a path, an (H, W, 3) uint8 RGB array or a Pillow image"
        raise DataError(f"an image should be {expected}, got {type(image).__name__}; convert it")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise DataError(f"an image array should be (H, W, 3) uint8 RGB, got {image.shape} {image.dtype}; convert it")
    if not image.size:
        raise DataError(f"an image array should be (H, W, 3) with at least one pixel, got {image.shape}; leave it out")
    return image


def sample_of(image: Image, index: int, keypoints: int) -> Sample:
    """An image in its own frame, of whose people nothing is known."""
    pixels = _pixels(image)
    return Sample(
        image=pixels.transpose(2, 0, 1),
        people=People.empty(keypoints),
        ignore={},
        instances=None,
        image_id=index,
        size=(pixels.shape[0], pixels.shape[1]),
        to_input=np.eye(2, 3),
    )
