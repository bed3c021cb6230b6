"""Brightness, contrast, saturation and hue drawn at random, as one affine map of an image's colours in one pass over its pixels."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Annotated

import cv2
import numpy as np
from numpy.typing import NDArray

from bottomup.options import Ascending, FromZero, Interval

Factors = Annotated[tuple[FromZero, FromZero], Ascending()]
Turn = Annotated[float, Interval(-0.5, 0.5), "turns"]

_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])  # of RGB: luma, two axes of chroma
_RGB = np.linalg.inv(_YIQ)
_EVERY = 8  # rows, of which one tells how bright an image is


@dataclass(frozen=True, kw_only=True)
class Colours:
    """Ranges, drawn from evenly, of what is done to an image's colours; 1, or 0 for the hue, leaves them as they are.

    ``brightness`` multiplies all colours, ``contrast`` their distance from the image's mean luma, ``saturation`` their distance
    from the pixel's own luma; ``hue`` turns them around grey, in the plane of YIQ's chroma, where luma stays. Together they are
    one affine map of RGB, cut to 0-255 once. Deviates from albumentations' and torchvision's ColorJitter, which turn the hue of
    HSV, in an order that is drawn, and cut after each: a fifth of the time, colours that hardly differ.
    """

    brightness: Factors = (1.0, 1.0)
    contrast: Factors = (1.0, 1.0)
    saturation: Factors = (1.0, 1.0)
    hue: Annotated[tuple[Turn, Turn], Ascending()] = (0.0, 0.0)

    def __call__(self, image: NDArray[np.uint8], rng: random.Random) -> NDArray[np.uint8]:
        """An image (H, W, 3) RGB in other colours."""
        brightness, contrast, saturation, hue = (
            rng.uniform(*drawn) for drawn in (self.brightness, self.contrast, self.saturation, self.hue)
        )
        luma = np.dot(_YIQ[0], cv2.mean(image[::_EVERY])[:3])
        matrix = brightness * contrast * turned(saturation, hue)
        shift = np.full((3, 1), brightness * (1 - contrast) * luma)
        return np.asarray(cv2.transform(image, np.hstack((matrix, shift))), np.uint8)


def turned(saturation: float, hue: float) -> NDArray[np.float64]:
    """The matrix (3, 3) of RGB that multiplies chroma by ``saturation`` and turns it by ``hue``, from red to yellow; luma stays."""
    angle = 2 * math.pi * hue
    cos, sin = saturation * math.cos(angle), saturation * math.sin(angle)
    return np.asarray(_RGB @ np.array([[1.0, 0.0, 0.0], [0.0, cos, sin], [0.0, -sin, cos]]) @ _YIQ)
