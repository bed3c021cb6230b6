"""Anchors, and boxes as their shares of them; Lin et al. 2017 (RetinaNet) §4, Ren et al. 2015 (Faster R-CNN) eq. 2."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from bottomup.devices import constant
from bottomup.geometry import Grid

_WEIGHTS = (10.0, 10.0, 5.0, 5.0)  # one over the deviations of deltas, 0.1 and 0.2
_SAME = 1e-3  # octaves by which an anchor's side may miss the power of 2 that it should be
_LARGEST = math.log(1000 / 16)  # a box grows by this at the most, so that an untrained network's stay finite


def anchor_boxes(grid: Grid, shape: tuple[int, int], sizes: Sequence[float], ratios: Sequence[float], like: Tensor) -> Tensor:
    """Anchors (h w S Q, 4) xyxy input px about the cells of a level, row by row.

    ``sizes`` (S) are the square roots of their areas, input px; ``ratios`` (Q) height over width. On the device of ``like``.
    """
    size, ratio = (constant(values, like, torch.float32) for values in (sizes, ratios))
    width = (size[:, None] / ratio.sqrt()).flatten() / 2  # (S Q,) half
    height = (size[:, None] * ratio.sqrt()).flatten() / 2
    corners = torch.stack((-width, -height, width, height), dim=-1)
    y, x = torch.meshgrid(*(grid.centres(side, corners) for side in shape), indexing="ij")
    centres = torch.stack((x, y, x, y), dim=-1)  # (h, w, 4)
    return (centres[:, :, None] + corners).flatten(0, 2)


def encode_boxes(anchors: Tensor, boxes: Tensor) -> Tensor:
    """The deltas (..., 4) that lead from anchors to boxes, both (..., 4) xyxy."""
    (centre, size), (wanted, wanted_size) = _middle(anchors), _middle(boxes)
    least = torch.finfo(size.dtype).eps
    deltas = torch.cat(((wanted - centre) / size, (wanted_size.clamp(min=least) / size).log()), dim=-1)
    return deltas * constant(_WEIGHTS, deltas)


def decode_boxes(anchors: Tensor, deltas: Tensor) -> Tensor:
    """The boxes (..., 4) xyxy to which deltas lead from anchors, both (..., 4)."""
    centre, size = _middle(anchors)
    deltas = deltas / constant(_WEIGHTS, deltas)
    centre = centre + deltas[..., :2] * size
    half = size * deltas[..., 2:].clamp(max=_LARGEST).exp() / 2
    return torch.cat((centre - half, centre + half), dim=-1)


def best_of_octaves(scores: Tensor, anchors: Tensor, count: int) -> Tensor:
    """Scores (B, A), 0 where ``count`` better ones are of anchors (B, A, 4) xyxy within the same octave of sizes.

    An octave is what a level of a pyramid adds to those before it: RetinaNet's best of each level, whatever view they are of.
    """
    octave = (_middle(anchors)[1].prod(-1).log2() / 2 + _SAME).floor()  # of the square root of its area
    best = scores.argsort(dim=1, descending=True)
    octave, within = octave.gather(1, best).sort(dim=1, stable=True)  # of one octave the best first
    place = torch.arange(scores.shape[1], device=scores.device)
    which = F.pad(octave.diff(dim=1) != 0, (1, 0)).cumsum(1)  # the number of each one's octave
    anchors_of = torch.zeros_like(which).scatter_add(1, which, torch.ones_like(which))
    kept = place - (anchors_of.cumsum(1) - anchors_of).gather(1, which) < count
    return scores * torch.zeros_like(kept).scatter(1, best.gather(1, within), kept)


def jittered(boxes: Tensor, deviation: float, least_iou: float) -> Tensor:
    """Boxes (..., 4) xyxy moved by a normal deviate of ``deviation`` times their sides, each side times the exponential of one.

    A box whose IoU with the given one would be less than ``least_iou`` stays as it is. The random numbers are torch's.
    """
    deltas = torch.randn_like(boxes) * deviation * constant(_WEIGHTS, boxes)
    moved = decode_boxes(boxes, deltas)
    return torch.where((_paired_iou(moved, boxes) >= least_iou)[..., None], moved, boxes)


def _paired_iou(boxes: Tensor, others: Tensor) -> Tensor:
    """The IoU (...) of each box (..., 4) xyxy with its other; NaN of two without area."""
    shared = (torch.minimum(boxes[..., 2:], others[..., 2:]) - torch.maximum(boxes[..., :2], others[..., :2])).clamp(min=0).prod(-1)
    own, theirs = (_middle(both)[1].prod(-1) for both in (boxes, others))
    return shared / (own + theirs - shared)


def _middle(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """The centres and the sizes (..., 2) of boxes."""
    return (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]
