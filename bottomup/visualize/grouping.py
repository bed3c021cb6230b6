"""How pixels become instances by their tags, step by step; Associative Embedding Fig. 5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bottomup.contracts import probability_grid
from bottomup.drawing.marks import Colour
from bottomup.drawing.poses import person_colour, tint
from bottomup.drawing.sheets import Picture, contact_sheet, tile
from bottomup.types import Frame
from bottomup.visualize.maps import at_pixels, overlay

_SIDE = 320  # px of a panel
_BARS = 160  # of a histogram's picture


def draw_grouping(image: NDArray[np.uint8], tensors: Mapping[str, Tensor], frame: Frame, categories: Sequence[str]) -> Picture:
    """A row for each category: foreground, the histogram of its tags with the identifiers in it, and each pixel's instance.

    ``tensors`` are what ``decoders.tag_segmentation`` makes of one image (3, H, W) in input px, ``foreground``, ``nearest``,
    ``bins``, ``counts``, ``density`` and ``identifiers``, without the batch. Identifiers have their instance's colour. A category
    of whom nobody was found has no row, unless there is no other.
    """
    there = [label for label in range(len(categories)) if (tensors["nearest"][label] >= 0).any()] or [0]
    rows = [_row(image, {name: tensor[label] for name, tensor in tensors.items()}, frame) for label in there]
    titles = [f"{categories[label]}: {what}" for label in there for what in ("foreground", "tags", "instances")]
    return contact_sheet([panel for row in rows for panel in row], columns=3, titles=titles)


def _row(image: NDArray[np.uint8], one: Mapping[str, Tensor], frame: Frame) -> list[Picture]:
    grid, picture = probability_grid(frame, "segmentation"), tile(image)
    colours = _colours(one["nearest"])
    foreground = at_pixels(one["foreground"][None], grid, image, picture)[0]
    whose = at_pixels(one["nearest"][None].float(), grid, image, picture, mode="nearest")[0]
    found = picture.copy()
    for number, colour in colours.items():
        tint(found, whose == number, colour)
    histogram = plot_histogram(one["bins"], one["counts"], one["density"], one["identifiers"], colours)
    return [_fitted(panel) for panel in (overlay(picture, foreground), histogram, found)]


def _colours(nearest: Tensor) -> dict[int, Colour]:
    """A colour for each identifier that some cell goes to."""
    numbers = [int(number) for number in nearest.unique() if number >= 0]
    return {number: person_colour(place) for place, number in enumerate(numbers)}


def plot_histogram(values: Tensor, counts: Tensor, density: Tensor, identifiers: Tensor, colours: Mapping[int, Colour]) -> Picture:
    """How many cells have which tag, grey, what a gaussian around each bin holds, dots, and identifiers, lines in ``colours``.

    Bins have ``values`` (U, D), ``counts`` and ``density`` (U,); of ``identifiers`` (P, D) those are drawn that have a colour. Tags
    of several numbers are shown along the line on which the bins lie farthest apart.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # slow to import, and seldom wanted
    from matplotlib.figure import Figure

    filled = counts > 0
    axis, middle = _line(values[filled], counts[filled])
    along = ((values[filled] - middle) @ axis).numpy()
    figure = Figure(figsize=(4, 4), dpi=80, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    if len(along):
        axes.hist(along, bins=min(_BARS, 8 * len(along)), weights=counts[filled].numpy(), color="0.7")
        axes.plot(along, density[filled].numpy(), ".", color="black", markersize=4)
    for number, colour in colours.items():
        axes.axvline(float((identifiers[number] - middle) @ axis), color=np.array(colour) / 255 * 0.85, linewidth=2)
    axes.set(xlabel="tag" if values.shape[1] == 1 else "tag, along its widest line", ylabel="cells")
    axes.set_title(f"{len(colours)} identifiers")
    canvas.draw()  # type: ignore[no-untyped-call]
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()  # type: ignore[no-untyped-call]


def _line(values: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """The direction (D,) in which weighted values (U, D) vary most, and their middle; single numbers stay as they are."""
    size = values.shape[1]
    if size == 1 or len(values) < 2:
        return torch.eye(size)[0], torch.zeros(size)
    middle = (values * counts[:, None]).sum(0) / counts.sum()
    apart = values - middle
    return torch.linalg.eigh(apart.T @ (apart * counts[:, None])).eigenvectors[:, -1], middle


def _fitted(picture: Picture) -> Picture:
    """A picture as high as a panel."""
    scale = _SIDE / picture.shape[0]
    size = (max(1, round(picture.shape[1] * scale)), _SIDE)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, size, interpolation=how), dtype=np.uint8)
