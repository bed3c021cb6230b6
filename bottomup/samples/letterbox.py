"""Samples fitted into the network's input frame for evaluation: resized and padded, with their images or without."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bottomup.framing import Side as Side
from bottomup.framing import inner_size, on_canvas, shrink_image
from bottomup.geometry import transform_points
from bottomup.samples.content import outside_marked
from bottomup.samples.warps import PADDING, pack_flags, unpack_flags, warp_map
from bottomup.types import Sample


def letterbox(
    sample: Sample,
    side_length: int,
    accept: Callable[[int], int],
    fill: Sequence[int],
    side: Side = "long",
    enlarged: float = 1.0,
) -> Sample:
    """Resize the ``side`` of a sample to ``side_length`` px and pad right and below to sides that the model accepts.

    The padded shape depends on the image alone. "square" resizes the long side and pads to a square; "native" only enlarges an
    image by the factor ``enlarged``, where its long side then is between ``side_length`` and twice that; others come to the
    nearer end.
    """
    h, w = sample.shape
    inner = inner_size((h, w), side_length, side, enlarged)
    size = (accept(max(inner)),) * 2 if side == "square" else (accept(inner[0]), accept(inner[1]))
    if sample.image is None:
        return moved_labels(sample, np.array([[inner[1] / w, 0.0, 0.0], [0.0, inner[0] / h, 0.0]]), size, ())
    image, matrix = shrink_image(sample.image.transpose(1, 2, 0), inner)
    flags = warp_map(pack_flags(sample), matrix, inner, 0)
    padded = np.full(size, PADDING, np.uint8)
    padded[: inner[0], : inner[1]] = flags
    instances = None if sample.instances is None else warp_map(sample.instances, matrix, size, 0)
    boxed = replace(
        sample.move_people(matrix, ()),
        image=on_canvas(image, size, fill),
        ignore=unpack_flags(padded, {*sample.ignore, "padding"}),
        instances=instances,
        content=(0.0, 0.0, float(inner[1]), float(inner[0])),
    )
    return outside_marked(boxed)


def moved_labels(sample: Sample, matrix: NDArray[np.float64], size: tuple[int, int], flip_order: tuple[int, ...]) -> Sample:
    """Labels alone, moved by an affine matrix (2, 3) into a frame of ``size`` (H, W)."""
    corners = transform_points(np.array(((0.0, 0.0), sample.shape[::-1])), matrix)
    low, high = corners.min(0).tolist(), corners.max(0).tolist()
    content = (low[0], low[1], high[0], high[1])
    return outside_marked(replace(sample.move_people(matrix, flip_order), content=content, frame=size))
