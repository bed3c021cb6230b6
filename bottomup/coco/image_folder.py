"""The image files that an annotation file lists, read as its annotations were made: in size, in orientation, in depth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bottomup.dataset import Record
from bottomup.errors import DataError, warn
from bottomup.image_files import ImageReader, Orientation, swaps_sides


class ImageFolder:
    """Images of a ``folder`` that ``annotations`` lists with their sizes.

    ``orientation`` and ``bit_depth`` are the ImageReader's. Without an orientation stored pixels are read, as COCO's annotations
    refer to them, and one warning says where EXIF turns an image and its size cannot tell which was annotated: upside down,
    mirrored, or square.
    """

    def __init__(self, folder: Path | None, annotations: Path, orientation: Orientation | None, bit_depth: int | None) -> None:
        self.folder, self.annotations = folder, annotations
        self._read = ImageReader(orientation or "stored", bit_depth)
        # Said once, whichever worker sees it first; none where the user chose. Shared memory is what workers have in common.
        self._said = torch.zeros(1, dtype=torch.bool).share_memory_() if orientation is None else None

    def read(self, image: Record) -> NDArray[np.uint8]:
        """The pixels (3, H, W) RGB of an image record; DataError names a file that is missing or not what the record says."""
        if self.folder is None:
            raise DataError(
                f"{self.annotations}: image {image['id']} has no folder to be read from; set the data set's `images` "
                "(data.images=) or `root` (data.root=)"
            )
        path = self.folder / image["file_name"]
        try:
            pixels, orientation = self._read.oriented(path)
        except DataError:
            if path.is_file():
                raise
            raise DataError(
                f"{path}: no such file, but {self.annotations} lists it as image {image['id']}; set the data set's `images` "
                f"(data.images=) to the folder below which {image['file_name']} lies"
            ) from None
        if pixels.shape[:2] != (image["height"], image["width"]):
            raise self._of_another_size(path, image, (pixels.shape[0], pixels.shape[1]), orientation)
        self._warn_of_orientation(path, orientation, square=pixels.shape[0] == pixels.shape[1])
        return pixels.transpose(2, 0, 1)

    def _of_another_size(self, path: Path, image: Record, size: tuple[int, int], orientation: int) -> DataError:
        expected = (
            f"should be {image['width']} x {image['height']} px (width x height) as image {image['id']} of {self.annotations}"
        )
        given = f"{size[1]} x {size[0]}"
        if swaps_sides(orientation) and size == (image["width"], image["height"]):
            stored = self._read.orientation == "stored"
            here, other = ("stored", "upright") if stored else ("upright", "stored")
            return DataError(
                f"{path}: {expected}, but is {given} {here}: its EXIF turns it (orientation {orientation}), and the annotations "
                f"were made on the {other} image; set the data set's `orientation: {other}` (data.orientation={other})"
            )
        return DataError(f"{path}: {expected}, but is {given}; use the images that the annotations were made on")

    def _warn_of_orientation(self, path: Path, orientation: int, square: bool) -> None:
        """Where both readings have the size that is stated."""
        if orientation == 1 or (swaps_sides(orientation) and not square):
            return
        if self._said is None or self._said[0]:
            return
        self._said[0] = True
        warn(
            f"{path}: its EXIF turns it (orientation {orientation}), and its size does not tell whether the annotations of "
            f"{self.annotations} were made on the upright image; read as stored, and so are others. Set the data set's "
            "`orientation: upright` (data.orientation=upright) where they were, as most labelling tools show it, or `stored`"
        )
