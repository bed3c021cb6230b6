"""Where the cells of a map lie, and which sides an input may have; there without PyTorch, too."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

Array = TypeVar("Array", NDArray[np.float64], NDArray[np.float32], "Tensor")


@dataclass(frozen=True)
class Grid:
    """Where the cells of a map lie: cell j is centred at ``origin + j * stride`` input px, in x and in y.

    ``origin = stride / 2`` needs input sides that are multiples of the stride (hourglass, FPN);
    ``origin = 0.5`` needs sides n * stride + 1 and has n + 1 cells (dilated and TF-padded networks).
    """

    stride: int
    origin: float

    @classmethod
    def centred(cls, stride: int) -> Grid:
        """The grid whose cells tile the image: origin = stride / 2."""
        return cls(stride, stride / 2)

    @classmethod
    def cornered(cls, stride: int) -> Grid:
        """The grid whose first cell sits on the first pixel: origin = 0.5."""
        return cls(stride, 0.5)

    def cells(self, side: int) -> int:
        """The number of cells along an input side of ``side`` px."""
        last = 2 * side - round(2 * self.origin) - 1  # half px; in whole numbers above 0, which a graph may leave open
        return last // (2 * self.stride) + 1

    def shape(self, size: tuple[int, int]) -> tuple[int, int]:
        """The map size (h, w) for an input size (H, W)."""
        return self.cells(size[0]), self.cells(size[1])

    def side(self, cells: int) -> int:
        """The input side that a number of cells fits exactly."""
        return round(2 * self.origin + (cells - 1) * self.stride)

    @property
    def tiles(self) -> bool:
        """Whether the cells tile the image."""
        return self == Grid.centred(self.stride)

    def accepts(self, side: int) -> bool:
        """Whether a flip maps the cell centres of an input side onto themselves."""
        return side >= 2 * self.origin and (side - 2 * self.origin) % self.stride == 0

    def centres(self, cells: int, like: Tensor) -> Tensor:
        """The centres of ``cells`` cells, (cells,) input px, on the device of ``like``, float32."""
        import torch  # grids are there without it, too

        return self.origin + self.stride * torch.arange(cells, device=like.device, dtype=torch.float32)

    def to_cells(self, points: Array) -> Array:
        """Continuous cell coordinates of points in input px; cell j is j exactly."""
        return (points - self.origin) / self.stride  # type: ignore[return-value]  # float32 stays that beside Python's numbers

    def to_input(self, cells: Array) -> Array:
        """Input px of continuous cell coordinates."""
        return cells * self.stride + self.origin

    def nearest(self, points: Tensor) -> Tensor:
        """The cell that each point falls in, int64; a point between two cells falls in the latter."""
        return (self.to_cells(points) + 0.5).floor().long()


def smallest_side(side: int, grids: Sequence[Grid]) -> int:
    """The smallest input side >= ``side`` that every grid accepts; ValueError where there is none."""
    period = math.lcm(*(grid.stride for grid in grids))
    for candidate in range(side, side + period + 1):
        if all(grid.accepts(candidate) for grid in grids):
            return candidate
    raise ValueError(f"no input side fits the grids {grids}: grids of origin 0.5 and stride / 2 do not mix")
