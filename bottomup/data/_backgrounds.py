"""What stands behind and before the drawn people: textured backgrounds, and objects that cover somebody."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]  # (H, W, 3) RGB


def draw_background(rng: np.random.Generator, size: int) -> Image:
    """Colour noise on two scales, with boxes, bars and discs that an arm, a leg or a head could be taken for."""
    tone, spread = rng.integers(60, 200, 3), rng.integers(20, 60)
    coarse = tone + (rng.random((6, 6, 3)) - 0.5) * spread * 1.5 + _slope(rng)
    fine = (rng.random((24, 24, 1)) - 0.5) * rng.integers(0, 36)
    image = _enlarge(np.repeat((fine + 128).astype(np.uint8), 3, axis=2), size)
    image = np.asarray(cv2.addWeighted(_enlarge(coarse.clip(0, 255).astype(np.uint8), size), 1, image, 1, -128), dtype=np.uint8)
    for x1, y1, x2, y2, *colour, width in rng.integers(0, 256, (int(rng.integers(2, 8)), 8)).tolist():
        start, end = (x1 * size // 256, y1 * size // 256), (x2 * size // 256, y2 * size // 256)
        _draw_object(image, start, end, colour, max(1, size * width // 2600), width % 4)
    return image


def draw_occluder(
    rng: np.random.Generator, image: Image, labels: NDArray[np.int16], near: tuple[float, float], reach: float
) -> None:
    """Put a bar, a disc or a box of about 0.4 ``reach`` px before the point ``near``; it clears the labels that it covers."""
    dx, dy, turn, length, width = rng.random(5).tolist()
    kind, *colour = rng.integers(0, 256, 4).tolist()
    x, y = near[0] + (dx - 0.5) * reach, near[1] + (dy - 0.5) * reach
    half, angle = reach * (0.15 + 0.25 * length), np.pi * turn
    start = (round(x - half * np.cos(angle)), round(y - half * np.sin(angle)))
    end = (round(x + half * np.cos(angle)), round(y + half * np.sin(angle)))
    thickness = max(2, round(reach * (0.04 + 0.08 * width)))
    _draw_object(image, start, end, colour, thickness, kind % 4)
    _draw_object(labels, start, end, [0], thickness, kind % 4, cv2.LINE_8)


def _slope(rng: np.random.Generator) -> NDArray[np.float64]:
    """(6, 6, 1) brightness that falls from one side to another."""
    x, y = (rng.random(2) - 0.5) * 120
    ramp = np.linspace(-0.5, 0.5, 6)
    slope: NDArray[np.float64] = (x * ramp[None, :] + y * ramp[:, None])[..., None]
    return slope


def _enlarge(image: Image, size: int) -> Image:
    return np.asarray(cv2.resize(image, (size, size), interpolation=cv2.INTER_LINEAR_EXACT), dtype=np.uint8)  # alike on all CPUs


def _draw_object(
    canvas: NDArray[np.uint8] | NDArray[np.int16],
    start: tuple[int, int],
    end: tuple[int, int],
    colour: list[int],
    thickness: int,
    kind: int,
    line: int = cv2.LINE_AA,
) -> None:
    if kind == 0:
        cv2.circle(canvas, start, thickness * 2, colour, -1, line)
    elif kind == 1:
        cv2.rectangle(canvas, start, (start[0] + 3 * thickness, start[1] + 4 * thickness), colour, -1)
    else:
        cv2.line(canvas, start, end, colour, thickness, line)
