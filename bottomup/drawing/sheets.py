"""Pictures joined to larger ones, captioned and saved."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from bottomup.drawing.marks import Colour
from bottomup.paths import write_bytes

Picture = NDArray[np.uint8]

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_MARGIN = 4  # px between pictures
_PAPER = 255
_TILE = 640  # px: longer pictures are shrunk on sheets of many, which would have 12000 px a side


def to_picture(image: NDArray[np.uint8]) -> Picture:
    """A copy of an image (3, H, W) as a picture (H, W, 3), however the image lies in memory."""
    return np.array(image.transpose(1, 2, 0), order="C")


def tile(image: NDArray[np.uint8]) -> Picture:
    """The image (3, H, W) as a picture no longer than a tile of a sheet."""
    picture = to_picture(image)
    scale = _TILE / max(picture.shape)
    if scale >= 1:
        return picture
    height, width = (max(1, round(side * scale)) for side in picture.shape[:2])
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def text_size(text: str, size: float) -> tuple[int, int]:
    """The (width, height) in px of a line of text above its baseline."""
    (width, height), _ = cv2.getTextSize(text, _FONT, size, 1)
    return width, height


def write(picture: Picture, text: str, at: tuple[int, int], size: float, colour: Colour) -> None:
    """Write into the picture, from the left end of the baseline, in a dark rim."""
    stroke = max(1, round(size * 1.5))
    cv2.putText(picture, text, at, _FONT, size, (0, 0, 0), stroke + 2, cv2.LINE_AA)
    cv2.putText(picture, text, at, _FONT, size, colour, stroke, cv2.LINE_AA)


def caption(picture: Picture, text: str, colours: Sequence[Colour] = ()) -> Picture:
    """A copy with lines of text in the top left corner, white on black, each behind a swatch of its colour if it has one."""
    picture, lines = picture.copy(), text.split("\n")
    size = float(np.clip(picture.shape[1] / 900, 0.35, 2.0))
    width, height = np.max([text_size(line, size) for line in lines], axis=0).tolist()
    size *= min(1.0, 0.9 * picture.shape[1] / (width + 2 * height))
    width, height = np.max([text_size(line, size) for line in lines], axis=0).tolist()
    pitch, indent = round(1.7 * height), round(1.4 * height) if colours else 0
    cv2.rectangle(picture, (0, 0), (width + indent + height, pitch * len(lines)), (0, 0, 0), -1)
    for row, line in enumerate(lines):
        baseline = pitch * row + round(1.3 * height)
        if colours:
            cv2.rectangle(picture, (height // 2, baseline - height), (height // 2 + height, baseline), colours[row], -1)
        at = (height // 2 + indent, baseline)
        cv2.putText(picture, line, at, _FONT, size, (255, 255, 255), max(1, round(size)), cv2.LINE_AA)
    return picture


def contact_sheet(pictures: Sequence[Picture], columns: int = 4, titles: Sequence[str] = ()) -> Picture:
    """Pictures of any sizes in rows of ``columns``, each with its title; ValueError without pictures or for other titles."""
    if not pictures:
        raise ValueError("a contact sheet needs at least one picture, got none")
    if titles and len(titles) != len(pictures):
        raise ValueError(f"a contact sheet needs a title for each of its {len(pictures)} pictures or none, got {len(titles)}")
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
    return write_bytes(path, cv2.imencode(".png", picture[..., ::-1])[1].tobytes())
