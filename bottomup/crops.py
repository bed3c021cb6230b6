"""Overlapping crops of an image, which are seen beside the whole of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, NamedTuple

from bottomup.errors import DataError
from bottomup.options import BelowOne, Count, checked

_MOST = 1000  # crops of an image, all of which are held until the last is seen


class Window(NamedTuple):
    """A part of an image in its px: left and top, which are in it, right and bottom, which are not."""

    x1: int
    y1: int
    x2: int
    y2: int

    @property
    def size(self) -> tuple[int, int]:
        """(H, W)."""
        return self.y2 - self.y1, self.x2 - self.x1


@checked("crops")
@dataclass(frozen=True, kw_only=True)
class Crops:
    """Crops of an image, each seen like an image of its own, for small people in large ones.

    A crop's sides are ``size`` px of the image, or the image's where that is shorter. Neighbours share ``overlap`` of a side at
    least, and all are spread evenly, so that the outer ones end where the image does: whoever is no larger than what neighbours
    share is whole in one of them. An image that is no larger than a crop has none; DataError for one of more than a thousand.
    """

    size: Annotated[Count, "image px"]
    overlap: BelowOne = 0.25

    def of(self, size: tuple[int, int]) -> list[Window]:
        """The crops of an image of ``size`` (H, W), row by row."""
        (tops, height), (lefts, width) = (self._along(side) for side in size)
        count = len(tops) * len(lefts)
        if count == 1:
            return []
        if count > _MOST:
            raise DataError(
                f"an image of {size[0]} x {size[1]} px would be seen in {count} crops of {self.size} px, over {_MOST}; "
                "give a larger crops.size, or a smaller crops.overlap"
            )
        return [Window(left, top, left + width, top + height) for top in tops for left in lefts]

    def _along(self, side: int) -> tuple[list[int], int]:
        """Where crops begin along a side of the image, and how long they are."""
        length = min(self.size, side)
        step = max(1.0, length * (1 - self.overlap))
        count = 1 + math.ceil((side - length) / step)
        return [round(number * (side - length) / max(1, count - 1)) for number in range(count)], length
