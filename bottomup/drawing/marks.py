"""Places and colours as OpenCV takes them."""

from __future__ import annotations

import colorsys

import numpy as np
from numpy.typing import NDArray

from bottomup.geometry import Grid

Colour = tuple[int, int, int]

SUBPIXEL = 4  # bits of OpenCV's fixed-point coordinates
FARTHEST = 1e5  # px; beyond it OpenCV's fixed-point coordinates overflow
_PIXELS = Grid.cornered(1)  # OpenCV counts from pixel centres


def fixed_point(points: NDArray[np.float32]) -> NDArray[np.int32]:
    """OpenCV's fixed-point coordinates of points (..., 2) px; those that are not finite lie outside the picture."""
    near = np.nan_to_num(points, nan=-FARTHEST, posinf=FARTHEST, neginf=-FARTHEST).clip(-FARTHEST, FARTHEST)
    return np.asarray(np.round((near - _PIXELS.origin) * 2**SUBPIXEL), dtype=np.int32)


def hue(turn: float) -> Colour:
    """A bright colour by its place on the colour circle, in turns."""
    red, green, blue = colorsys.hsv_to_rgb(turn % 1.0, 0.75, 1.0)
    return round(red * 255), round(green * 255), round(blue * 255)
