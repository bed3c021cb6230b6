"""Instance masks of one image: small maps in memory, pixels on demand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from torch import Tensor

from bottomup.grid import Grid
from bottomup.grouping import mask_crops
from bottomup.grouping.mask_crops import MaskCrops, Window

Choice = int | slice | Tensor | NDArray[Any] | Sequence[int] | Sequence[bool]  # of some among several


@dataclass(frozen=True)
class Masks:
    """The masks of P instances, each a crop of a map whose level is above 0 inside, read bilinearly between cells.

    A hundred people of a large image take a megabyte; their pixels would take a hundred.
    """

    arrays: MaskCrops  # which do the work, and are there without PyTorch, too

    @classmethod
    def of_levels(cls, levels: Tensor, grid: Grid) -> Masks:
        """The masks where maps (P, h, w) on ``grid`` are above 0."""
        return cls(MaskCrops.of_levels(levels.float().numpy(force=True), grid))

    @classmethod
    def none(cls, count: int, to_frame: NDArray[np.float64]) -> Masks:
        """Masks of ``count`` instances that hold nothing, on cells that ``to_frame`` (2, 3) takes to px."""
        return cls(MaskCrops.none(count, to_frame))

    def __len__(self) -> int:
        return len(self.arrays)

    def __getitem__(self, index: Choice) -> Masks:
        """Some of the masks, by mask, indices or slice; by a whole number one. IndexError where there is none, as in a list."""
        chosen = chosen_of(index, len(self))
        return Masks(self.arrays[chosen if isinstance(chosen, slice) else chosen.numpy()])

    @property
    def to_frame(self) -> NDArray[np.float64]:
        """(2, 3) from cells to the px of the frame that the instances are in."""
        return self.arrays.to_frame

    def transform(self, matrix: NDArray[np.float64]) -> Masks:
        """Move the masks by an affine matrix (2, 3); nothing is drawn, so nothing is lost."""
        return Masks(self.arrays.transform(matrix))

    def on_cells_of(self, other: Masks) -> Masks:
        """The same masks on the cells of ``other``, read between their own."""
        return Masks(self.arrays.on_cells_of(other.arrays))

    def means(self, members: Tensor, weights: Tensor) -> Masks:
        """Of each row of members (G, V), indices of masks, the mean of their levels by ``weights`` (G, V); 0 is no member."""
        return Masks(self.arrays.means(members.numpy(), weights.numpy()))

    def overlaps(self) -> Tensor:
        """(P, P) the intersection over union of each two masks, in cells; 0 with one that holds nothing."""
        return torch.from_numpy(self.arrays.overlaps())

    def draw(self, size: tuple[int, int]) -> Tensor:
        """(P, H, W) bool: the pixels of a frame of ``size`` whose centres lie inside."""
        return torch.from_numpy(self.arrays.draw(size))

    def windows(self, size: tuple[int, int]) -> Iterator[tuple[Window, Tensor]]:
        """Each mask in turn as a window of a frame of ``size`` and the pixels (rows, columns) bool inside it."""
        return ((window, torch.from_numpy(inside)) for window, inside in self.arrays.windows(size))

    def boxes(self, size: tuple[int, int]) -> Tensor:
        """(P, 4) xyxy px: around the pixels of a frame of ``size`` inside each mask; 0 where there are none."""
        return torch.from_numpy(self.arrays.boxes(size))

    def to_rle(self, size: tuple[int, int]) -> list[dict[str, Any]]:
        """COCO's compressed run-length codes of the masks in a frame of ``size``, as JSON takes them."""
        codes = []
        for window, inside in self.arrays.windows(size):
            pixels = np.zeros(size, np.uint8, order="F")
            pixels[window] = inside
            code = coco_mask.encode(pixels)
            codes.append({"size": list(size), "counts": code["counts"].decode()})
        return codes


def chosen_of(index: Choice, count: int) -> Tensor | slice:
    """Which of ``count`` are meant, as tensors are indexed; a whole number means one of them, which stays one of several."""
    if isinstance(index, slice):
        return index
    chosen = torch.as_tensor(index)
    if chosen.ndim == 0:
        place = range(count)[int(chosen)]  # IndexError where there is none, which ends iterations
        return slice(place, place + 1)
    return chosen if len(chosen) else chosen.long()  # of an empty list PyTorch makes floats


def concatenated(parts: Sequence[Masks]) -> Masks:
    """The masks of all parts, at least one, one after the other, on the cells of the first."""
    return Masks(mask_crops.concatenated([part.arrays for part in parts]))
