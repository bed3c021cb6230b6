"""Small folders in the layout of PASCAL VOC 2012."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

VOID = 255
PERSON = 15  # its number among VOC's categories, from 1

Objects = list[tuple[NDArray[np.bool_], int]]  # masks (H, W) with their categories' numbers


def bordered(objects: Objects, width: int = 5) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The numbers of objects and of their categories (H, W), with borders of ``width`` px around each, as VOC draws them."""
    owners, kinds = (np.zeros(objects[0][0].shape, np.uint8) for _ in range(2))
    border = np.zeros(owners.shape, bool)
    kernel = np.ones((width, width), np.uint8)
    for number, (inside, kind) in enumerate(objects, 1):
        owners[inside], kinds[inside] = number, kind
        mask = inside.astype(np.uint8)
        border |= (cv2.dilate(mask, kernel) > 0) & (cv2.erode(mask, kernel) == 0)
    owners[border] = kinds[border] = VOID
    return owners, kinds


def write(root: Path, images: Mapping[str, tuple[NDArray[np.uint8], Objects]], split: str = "val", width: int = 5) -> Path:
    """Write images (H, W, 3) RGB with their objects as one split of a folder; gives the folder."""
    for folder in ("JPEGImages", "SegmentationObject", "SegmentationClass", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for name, (pixels, objects) in images.items():
        Image.fromarray(pixels).save(root / "JPEGImages" / f"{name}.jpg")
        for folder, numbers in zip(("SegmentationObject", "SegmentationClass"), bordered(objects, width), strict=True):
            indexed = Image.fromarray(numbers)
            indexed.putpalette(np.random.default_rng(0).integers(0, 256, 768).astype(np.uint8).tobytes())
            indexed.save(root / folder / f"{name}.png")
    (root / "ImageSets" / "Segmentation" / f"{split}.txt").write_text("".join(f"{name}\n" for name in images))
    return root
