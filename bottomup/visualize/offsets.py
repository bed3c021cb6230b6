"""Offsets as lines from cells to where they lead; PersonLab Fig. 2."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bottomup.drawing.marks import SUBPIXEL, fixed_point, hue
from bottomup.drawing.sheets import Picture, contact_sheet, tile
from bottomup.geometry import Grid

_COLUMNS = 6
_MOST = 600  # lines on one picture: of more, every n-th is drawn
_DIMMED = 0.5


def draw_offsets(image: NDArray[np.uint8], offsets: Tensor, cells: Tensor, grid: Grid, titles: Sequence[str]) -> Picture:
    """A sheet of fields (F, 2, h, w) in px of the image (3, H, W), a picture each: lines that end in a dot.

    They start where ``cells`` (F, h, w) bool is true; where those are many, at some of them. The colour is the direction's.
    """
    picture = tile(image)
    scale = picture.shape[1] / image.shape[2]
    drawn = [_draw_field(picture, field, where, grid, scale) for field, where in zip(offsets.cpu(), cells.cpu(), strict=True)]
    return contact_sheet(drawn, columns=_COLUMNS, titles=titles)


def _draw_field(picture: Picture, field: Tensor, where: Tensor, grid: Grid, scale: float) -> Picture:
    picture = (picture * _DIMMED).astype(np.uint8)
    rows, columns = where.nonzero(as_tuple=True)
    some = slice(None, None, max(1, -(-len(rows) // _MOST)))
    rows, columns = rows[some], columns[some]
    starts = grid.to_input(torch.stack((columns, rows), -1).float())
    steps = field[:, rows, columns].T.float()
    ends = fixed_point(((starts + steps) * scale).numpy())
    turns = torch.atan2(steps[:, 1], steps[:, 0]) / (2 * torch.pi)
    for start, end, turn in zip(fixed_point((starts * scale).numpy()), ends, turns.tolist(), strict=True):
        cv2.line(picture, start.tolist(), end.tolist(), hue(turn), 1, cv2.LINE_AA, SUBPIXEL)
    for end in ends:
        cv2.circle(picture, end.tolist(), 1 << SUBPIXEL, (255, 255, 255), -1, cv2.LINE_AA, SUBPIXEL)
    return picture
