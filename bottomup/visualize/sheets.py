"""Pictures joined to larger ones, captioned and saved."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

_MARGIN = 4  # px between pictures
_PAPER = 255


def to_picture(image: NDArray[np.uint8]) -> Picture:
    """A copy of an image (3, H, W) as a picture (H, W, 3)."""
    return np.ascontiguousarray(image.transpose(1, 2, 0))


def caption(picture: Picture, text: str) -> Picture:
    """A copy with a line of text in the top left corner, white on black."""
    picture = picture.copy()
    size = min(1.0, max(0.3, picture.shape[1] / 600))
    (width, height), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, 1)
    cv2.rectangle(picture, (0, 0), (width + 4, height + below + 2), (0, 0, 0), -1)
    cv2.putText(picture, text, (2, height + 2), cv2.FONT_HERSHEY_SIMPLEX, size, (255, 255, 255), 1, cv2.LINE_AA)
    return picture


def contact_sheet(pictures: Sequence[Picture], columns: int = 4, titles: Sequence[str] = ()) -> Picture:
    """Pictures of any sizes in rows of ``columns``, each with its title."""
    if titles:
        pictures = [caption(picture, title) for picture, title in zip(pictures, titles, strict=True)]
    height = max(picture.shape[0] for picture in pictures) + _MARGIN
    width = max(picture.shape[1] for picture in pictures) + _MARGIN
    rows = -(-len(pictures) // columns)
    sheet = np.full((rows * height, min(columns, len(pictures)) * width, 3), _PAPER, np.uint8)
    for index, picture in enumerate(pictures):
        y, x = index // columns * height, index % columns * width
        sheet[y : y + picture.shape[0], x : x + picture.shape[1]] = picture
    return sheet


def side_by_side(*pictures: Picture) -> Picture:
    """Pictures in one row."""
    return contact_sheet(pictures, columns=len(pictures))


def save_png(path: str | Path, picture: Picture) -> Path:
    """Write a PNG, whole or not at all."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{os.getpid()}.{target.name}")
    partial.write_bytes(cv2.imencode(".png", picture[..., ::-1])[1].tobytes())
    partial.replace(target)
    return target
