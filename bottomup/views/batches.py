"""A batch seen otherwise: scaled and mirrored, annotations with images."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from bottomup.devices import constant
from bottomup.geometry import flip_boxes
from bottomup.types import Batch


def make_view(batch: Batch, size: tuple[int, int], scale: float, flipped: bool, fill: Tensor, flip_order: tuple[int, ...]) -> Batch:
    """Images and annotations scaled by ``scale`` onto a canvas of ``size``, then mirrored where ``flipped``.

    ``fill`` (3,) uint8 paints the padding; ``flip_order`` swaps the sides of keypoints.
    """
    scaled = _scaled(batch, size, scale, fill)
    return _flipped(scaled, flip_order) if flipped else scaled


def _scaled(batch: Batch, size: tuple[int, int], scale: float, fill: Tensor) -> Batch:
    if scale == 1 and size == batch.size:
        return batch
    inner = (max(1, round(batch.size[0] * scale)), max(1, round(batch.size[1] * scale)))
    on_host, per_axis = (constant(growth(batch.size, scale), part) for part in (batch.content, batch.keypoints))
    return replace(
        batch,
        size=size,
        images=None if batch.images is None else _place(_shrink(batch.images, inner), size, fill),
        keypoints=batch.keypoints * per_axis,
        boxes=batch.boxes * per_axis.repeat(2),
        areas=batch.areas * per_axis.prod(),
        content=batch.content * on_host.repeat(2),
        to_input=batch.to_input * on_host.double()[:, None],
        ignore={name: _nearest(maps, inner, size, fill=name == "padding") for name, maps in batch.ignore.items()},
        instances=None if batch.instances is None else _nearest(batch.instances, inner, size, fill=0),
    )


def growth(size: tuple[int, int], scale: float) -> tuple[float, float]:
    """By how much a view of a batch of ``size`` (H, W) at ``scale`` is larger, along x and y: its sides are whole px."""
    return max(1, round(size[1] * scale)) / size[1], max(1, round(size[0] * scale)) / size[0]


def _shrink(images: Tensor, size: tuple[int, int]) -> Tensor:
    resized = F.interpolate(images.float(), size, mode="bilinear", align_corners=False, antialias=True)
    return resized.round().clamp(0, 255).to(torch.uint8)


def _nearest(maps: Tensor, inner: tuple[int, int], size: tuple[int, int], fill: int | bool) -> Tensor:
    resized = F.interpolate(maps[:, None].float(), inner, mode="nearest-exact").to(maps.dtype)
    return _place(resized, size, constant([fill], maps))[:, 0]


def _place(images: Tensor, size: tuple[int, int], fill: Tensor) -> Tensor:
    """Put images into the top left corner of a canvas; what does not fit is cut, the rest is ``fill``."""
    canvas = fill.to(images).view(1, -1, 1, 1).expand(*images.shape[:2], *size).clone()
    h, w = min(size[0], images.shape[2]), min(size[1], images.shape[3])
    canvas[:, :, :h, :w] = images[:, :, :h, :w]
    return canvas


def _flipped(batch: Batch, flip_order: tuple[int, ...]) -> Batch:
    width = batch.size[1]
    mirror = batch.to_input.new_tensor(((-1.0, 0.0, width), (0.0, 1.0, 0.0)))
    linear = mirror[:, :2] @ batch.to_input
    linear[..., 2] += mirror[:, 2]
    swapped = flip_order if batch.keypoints.shape[2] else ()  # a data set may have none that the model finds
    order = constant(swapped, batch.keypoints, torch.int64)
    keypoints = batch.keypoints.index_select(2, order)
    return replace(
        batch,
        images=None if batch.images is None else batch.images.flip(-1),
        keypoints=torch.stack((width - keypoints[..., 0], keypoints[..., 1]), dim=-1),
        visibility=batch.visibility.index_select(2, order),
        annotated=None if batch.annotated is None else batch.annotated.index_select(1, order),
        boxes=flip_boxes(batch.boxes, width),
        content=flip_boxes(batch.content, width),
        to_input=linear,
        ignore={name: maps.flip(-1) for name, maps in batch.ignore.items()},
        instances=None if batch.instances is None else batch.instances.flip(-1),
    )
