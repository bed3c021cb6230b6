"""Crops around people: of maps, as a fixed number of cells in which they are told apart (MultiPoseNet §3.4), and of images."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from bottomup.devices import constant
from bottomup.geometry import Grid

CROP = (56, 36)  # cells, height x width
_MOST = 16  # candidates of a kind in one box; more are other people's, and a hundred in each of a hundred boxes would take seconds
_TIE_BREAK = 1e-6  # of a score, for all of the way from a crop's middle to its border
_SAMPLES = 2  # along each side of a crop's cell, as region networks take from maps
_FARTHEST = 6.0  # σ, where a gaussian has fallen to 1.5e-8: products of less become numbers that a CPU is 40 times as slow with


def to_crop(points: Tensor, boxes: Tensor) -> Tensor:
    """Points in the cells of a crop: (0, 0) is the box's upper left corner, (36, 56) its lower right one, cell j's centre j + 0.5.

    ``points`` (..., 2) x, y and ``boxes`` (..., 4) xyxy share a frame and broadcast. A box without area gives what is not
    finite or far outside.
    """
    cells = []
    for axis, side in enumerate(CROP[::-1]):
        point, low, high = points[..., axis].contiguous(), boxes[..., axis], boxes[..., axis + 2]
        cells.append((point - low) * (side / (high - low)))
    return torch.stack(cells).movedim(0, -1)  # each coordinate together in memory: the pairs of a crowd take half the time


def inside(points: Tensor) -> Tensor:
    """Points (..., 2) of a crop moved to its border where they lie outside."""
    return points.nan_to_num().clamp(constant((0, 0), points), constant(CROP[::-1], points))


def best_in_boxes(candidates: Tensor, boxes: Tensor, margin: float) -> tuple[Tensor, Tensor, Tensor]:
    """Of candidates (B, K, M, 3) x, y, score the best of each kind in each box (B, R, 4) xyxy, 16 at most, all where M is no more.

    Returns their points (B, R, K, N, 2) in cells of the box's crop, moved to its border where they lie outside, their scores
    (B, R, K, N) and which of the M they are (B, R, K, N). Of equal scores the nearest to the box's middle is the best. Candidates
    more than ``margin`` of the box's sides outside it have score 0, and so has what is left over of the 16.
    """
    points, scores = candidates[:, None, ..., :2], candidates[:, None, ..., 2]
    across, down = (_from_middle(points[..., axis], boxes[:, :, None, None, axis::2]) for axis in (0, 1))  # (B, R, K, M)
    scores = torch.where((across <= 1 + 2 * margin) & (down <= 1 + 2 * margin), scores, 0.0)
    points = points.expand(*scores.shape, 2)
    if points.shape[-2] <= _MOST:
        which = torch.arange(points.shape[-2], device=points.device).expand(scores.shape)
    else:
        apart = across.clamp(max=1.0).square() + down.clamp(max=1.0).square()
        which = torch.where(scores > 0, scores - _TIE_BREAK * apart, -torch.inf).topk(_MOST, dim=-1, sorted=False).indices
        points, scores = points.gather(-2, which[..., None].expand(*which.shape, 2)), scores.gather(-1, which)
    return inside(to_crop(points, boxes[:, :, None, None])), scores, which


def _from_middle(places: Tensor, sides: Tensor) -> Tensor:
    """How far places (...) along one axis lie from the middle of the ``sides`` (..., 2) of a box, 1 at either side."""
    low, high = sides.unbind(-1)
    return ((places - (low + high) / 2) * (2 / (high - low))).abs()


def gaussians(points: Tensor, weights: Tensor, sigma: float) -> Tensor:
    """The sum (..., 56, 36) of gaussians of mass ``weights`` (..., M) about the points (..., M, 2) of a crop.

    ``sigma`` is in cells; a gaussian of mass 1 is 1 / (2 π σ²) high.
    """
    height, width = CROP
    across = _profile(points[..., 0], width, sigma)  # (..., M, 36)
    down = _profile(points[..., 1], height, sigma) * (weights / (2 * math.pi * sigma**2))[..., None]  # (..., M, 56)
    return down.transpose(-1, -2) @ across


def _profile(places: Tensor, cells: int, sigma: float) -> Tensor:
    """A gaussian of height 1 about each place (...), at the centres of ``cells`` cells: (..., cells)."""
    centres = torch.arange(cells, device=places.device, dtype=places.dtype) + 0.5
    return _bell(places[..., None] - centres, sigma)


def _bell(apart: Tensor, sigma: float) -> Tensor:
    """A gaussian of height 1, at distances in the unit of ``sigma``."""
    return apart.square().mul_(-0.5 / sigma**2).clamp_(min=-0.5 * _FARTHEST**2).exp_()  # in place: a crowd's are large


def cropped(maps: Tensor, boxes: Tensor, grid: Grid) -> Tensor:
    """Maps (B, K, h, w) in each of the boxes (B, R, 4) xyxy input px: (B, R, K, 56, 36)."""
    from torchvision.ops import roi_align  # late, here and below: it takes seconds to import, and few models crop

    cells = (grid.to_cells(boxes.unflatten(-1, (2, 2))) + 0.5).flatten(-2)  # roi_align counts from the cells' edges
    crops: Tensor = roi_align(maps, list(cells), CROP, sampling_ratio=_SAMPLES, aligned=True)
    return crops.view(*boxes.shape[:2], -1, *CROP)


def cropped_gaussians(points: Tensor, heights: Tensor, boxes: Tensor, sigma: float, grid: Grid) -> Tensor:
    """What ``cropped`` makes of maps of gaussians that nobody drew: (B, R, K, 56, 36).

    ``points`` (B, K, M, 2) and ``sigma`` in input px, gaussians as high as ``heights`` (B, K, M), of several the highest. They lie
    on the cells of ``grid``, whose maps here have no border. The M are gone through one by one: all at once would take M times the
    memory.
    """
    width, height = (
        _sampled(points[:, None, ..., axis], boxes[..., axis::2], CROP[1 - axis], sigma, grid) for axis in (0, 1)
    )  # (B, R, K, M, 36) and (B, R, K, M, 56)
    height = height * heights[:, None, ..., None]
    highest = points.new_zeros((*width.shape[:3], *CROP))
    for m in range(points.shape[2]):
        highest = torch.maximum(highest, height[..., m, :, None] * width[..., m, None, :])
    return highest


def _sampled(places: Tensor, sides: Tensor, cells: int, sigma: float, grid: Grid) -> Tensor:
    """Gaussians about places (B, 1, K, M) as ``cells`` cells of a crop along one axis: (B, R, K, M, ``cells``).

    ``sides`` (B, R, 2) are where the boxes begin and end. Each cell is the mean of its samples, which lie between two cells of
    the map.
    """
    share = (torch.arange(cells * _SAMPLES, device=places.device, dtype=places.dtype) + 0.5) / (cells * _SAMPLES)
    at = grid.to_cells(sides[..., :1] + share * (sides[..., 1:] - sides[..., :1]))[:, :, None, None]  # (B, R, 1, 1, samples)
    before = at.floor()
    low, high = (_bell(grid.to_input(before + step) - places[..., None], sigma) for step in (0, 1))
    samples: Tensor = torch.lerp(low, high, (at - before).expand_as(low)).unflatten(-1, (cells, _SAMPLES))
    return samples.mean(-1)


def window_sums(maps: Tensor, points: Tensor, window: int) -> Tensor:
    """The sums (B, R, K, M) of maps (B, R, K, 56, 36) over ``window`` x ``window`` cells about points (B, R, K, M, 2) of the crops.

    Points count at the cell that they lie in; what of the window lies outside the crop holds nothing.
    """
    height, width = CROP
    x = points[..., 0].floor().clamp(0, width - 1).long()
    y = points[..., 1].floor().clamp(0, height - 1).long()
    rows = _within(y, height, window, maps) @ maps  # (B, R, K, M, 36): of each column the cells beside the point
    return rows.mul_(_within(x, width, window, maps)).sum(-1)


def _within(place: Tensor, cells: int, window: int, like: Tensor) -> Tensor:
    """(..., cells) 1 where a cell lies in the window about the cell ``place`` (...), 0 elsewhere."""
    cell = torch.arange(cells, device=like.device)
    windows = ((cell[:, None] - cell).abs() <= window // 2).to(like.dtype)  # of each cell: there are few, and many places
    return windows.index_select(0, place.flatten()).view(*place.shape, cells)


def images_in(image: Tensor, boxes: Tensor, side: int, fill: Tensor) -> Tensor:
    """An image (3, H, W) uint8 in each of the square boxes (N, 4) xyxy px: (N, 3, ``side``, ``side``) float32 in [0, 255].

    ``fill`` (3,) is the colour out of the image. A crop that is more than twice as large as it is to be is read from an image
    that was halved as often as leaves it less, so that no pixel is skipped and a crop costs the same however large the image.
    """
    from torchvision.ops import roi_align

    boxes, colour = boxes.to(image.device), fill.to(image.device).float().view(-1, 1, 1)
    halved = image.float()[None] - colour  # so that the 0 which is read out of the image is the fill
    halvings = ((boxes[:, 2] - boxes[:, 0]) / side).clamp(min=1.0).log2().floor().long()
    crops = boxes.new_zeros((len(boxes), 3, side, side))
    for level in range(int(halvings.max()) + 1 if len(boxes) else 0):
        own = halvings == level
        crops[own] = roi_align(halved, [boxes[own] / 2**level], (side, side), sampling_ratio=_SAMPLES, aligned=True)
        halved = F.avg_pool2d(halved, 2, ceil_mode=True, count_include_pad=False)
    return crops + colour
