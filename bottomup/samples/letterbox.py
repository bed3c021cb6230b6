"""Samples fitted into the network's input frame for evaluation: resized and padded, with their images or without."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bottomup.errors import DataError
from bottomup.framing import Side as Side
from bottomup.framing import fit as fit
from bottomup.framing import inner_size, on_canvas, shrink_image
from bottomup.geometry import transform_points
from bottomup.samples.content import outside_marked
from bottomup.samples.warps import PADDING, pack_flags, unpack_flags, warp_image, warp_map
from bottomup.types import Sample

_MOST = 1 << 14  # px of an input's side


def letterbox(
    sample: Sample,
    side_length: int,
    accept: Callable[[int], int],
    fill: Sequence[int],
    side: Side = "long",
    enlarged: float = 1.0,
) -> Sample:
    """Resize the ``side`` of a sample to ``side_length`` px and pad right and below to sides that the model accepts.

    The padded shape depends on the image alone. "short" is less where the long side would be more than 5 / 3 of ``side_length``,
    as of a panorama. "square" resizes the long side and pads to a square; "native" only enlarges an
    image by the factor ``enlarged``, where its long side then is between ``side_length`` and twice that; others come to the
    nearer end. Of a sample with a focus that is what is resized, into the middle of a square.
    DataError where the input would have more px a side than images are warped with.
    """
    if sample.focus is not None:
        return _focused(sample, sample.focus, side_length, accept(side_length), fill)
    (h, w), inner = sample.shape, inner_size(sample.shape, side_length, side, enlarged)
    size = (accept(max(inner)),) * 2 if side == "square" else (accept(inner[0]), accept(inner[1]))
    if max(size) > _MOST:
        raise DataError(f"an image of {h} x {w} px would be an input of {size[0]} x {size[1]}, over {_MOST} px; lower input_size")
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


def _focused(sample: Sample, focus: NDArray[np.float64], side_length: int, side: int, fill: Sequence[int]) -> Sample:
    """The focus xyxy of a sample, its long side ``side_length`` px, in the middle of a square of ``side`` px."""
    scale, size = side_length / (focus[2:] - focus[:2]).max(), (side, side)
    matrix = np.column_stack((scale * np.eye(2), side / 2 - scale * (focus[:2] + focus[2:]) / 2))
    if sample.image is None:
        return moved_labels(sample, matrix, size, ())
    image = warp_image(sample.image.transpose(1, 2, 0), matrix, size, fill)
    x1, y1, x2, y2 = transform_points(np.array(((0.0, 0.0), sample.shape[::-1])), matrix).clip(0, side).flatten().tolist()
    boxed = replace(
        sample.move_people(matrix, ()),
        image=image.transpose(2, 0, 1),
        ignore=unpack_flags(warp_map(pack_flags(sample), matrix, size, PADDING), {*sample.ignore, "padding"}),
        instances=None if sample.instances is None else warp_map(sample.instances, matrix, size, 0),
        content=(x1, y1, x2, y2),
    )
    return outside_marked(boxed)


def moved_labels(sample: Sample, matrix: NDArray[np.float64], size: tuple[int, int], flip_order: tuple[int, ...]) -> Sample:
    """Labels alone, moved by an affine matrix (2, 3) into a frame of ``size`` (H, W)."""
    corners = transform_points(np.array(((0.0, 0.0), sample.shape[::-1])), matrix)
    low, high = corners.min(0).tolist(), corners.max(0).tolist()
    content = (low[0], low[1], high[0], high[1])
    return outside_marked(replace(sample.move_people(matrix, flip_order), content=content, frame=size))
