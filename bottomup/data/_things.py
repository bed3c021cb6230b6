"""Drawn objects beside the people: balls and crates, each a figure without keypoints."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from bottomup.data._figures import Colour, Figure, Segment
from bottomup.skeletons import COCO

Thing = Literal["ball", "crate"]
THINGS: tuple[str, ...] = get_args(Thing)

_DARK, _LIGHT = 0.55, 1.5  # of the colour: what a thing's marks are drawn in
_PLANKS = (-0.5, 0.0, 0.5)  # where a crate's planks meet, in half sides


def make_thing(rng: np.random.Generator, kind: str, centre: tuple[float, float], size: float) -> Figure:
    """A ``kind`` of thing of a random colour, ``size`` px across, its middle at ``centre`` px, turned at random."""
    colour, turn = rng.integers(50, 210, 3), float(rng.random() * np.pi)
    draw = {"ball": _ball, "crate": _crate}[kind]
    return Figure(draw(np.asarray(centre), size, colour, turn), np.full((len(COCO), 2), -1.0))


def _ball(centre: NDArray[np.float64], size: float, colour: NDArray[np.int64], turn: float) -> tuple[Segment, ...]:
    """A disc with a band across it and a light spot."""
    along = np.array((np.cos(turn), np.sin(turn))) * size * 0.36
    spot = centre - size * 0.18
    return (
        _segment((centre, centre), size, _shade(colour, 1.0)),
        _segment((centre - along, centre + along), size * 0.16, _shade(colour, _DARK)),
        _segment((spot, spot), size * 0.14, _shade(colour, _LIGHT)),
    )


def _crate(centre: NDArray[np.float64], size: float, colour: NDArray[np.int64], turn: float) -> tuple[Segment, ...]:
    """A square with a frame and planks."""
    half = size / 2 / np.sqrt(2)
    across, down = (half * np.array((np.cos(angle), np.sin(angle))) for angle in (turn, turn + np.pi / 2))
    corners = tuple(centre + x * across + y * down for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1)))
    planks = [(centre + x * across - 0.9 * down, centre + x * across + 0.9 * down) for x in _PLANKS]
    return (
        _segment(corners, size * 0.06, _shade(colour, 1.0)),
        *(_segment(plank, size * 0.04, _shade(colour, _DARK)) for plank in planks),
        _segment((corners[0], corners[2]), size * 0.07, _shade(colour, _LIGHT)),
    )


def _segment(points: tuple[NDArray[np.float64], ...], width: float, colour: Colour) -> Segment:
    return Segment("thing", tuple((float(x), float(y)) for x, y in points), width, 0.0, colour)


def _shade(colour: NDArray[np.int64], factor: float) -> Colour:
    red, green, blue = (int(min(255, value * factor)) for value in colour.tolist())
    return red, green, blue
