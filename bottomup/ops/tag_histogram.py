"""Which tags there are among many cells: a histogram, smoothed, and its local maxima; Associative Embedding §3.4.

Of tags of several numbers a histogram would be mostly empty: only bins that hold something are kept, so that the same works for
any tag size. Shapes are static. R is the number of maps, each of M cells; U is how many bins are kept.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

_STEP = 1_000_003  # a prime by which the numbers of a bin become one; what overflows wraps around
_FARTHEST = 2**40  # bins from 0; a diverged network's tags are all out there
_REACH = 4.0  # sigmas; what is farther adds nothing
_NOWHERE = torch.iinfo(torch.int64).max


class Histogram(NamedTuple):
    """The fullest bins of each map."""

    values: Tensor  # (R, U, D) the mean tag of what lies in a bin
    counts: Tensor  # (R, U) float32 how many cells do; 0: no bin


def tag_histogram(tags: Tensor, counted: Tensor, width: float, most: int) -> Histogram:
    """The ``most`` fullest bins, ``width`` wide along every dimension, of tags (R, M, D) where ``counted`` (R, M)."""
    tags = tags.float().nan_to_num(0.0, 0.0, 0.0)
    bins = (tags / width).floor().clamp(-_FARTHEST, _FARTHEST).long()
    key = torch.zeros_like(bins[..., 0])
    for dimension in bins.unbind(-1):
        key = key * _STEP + dimension
    key, order = torch.where(counted, key, _NOWHERE).sort(1)
    there = counted.gather(1, order)
    fresh = torch.ones_like(there)
    fresh[:, 1:] = key[:, 1:] != key[:, :-1]
    which = fresh.long().cumsum(1) - 1  # (R, M): the bin that each cell, in order, lies in
    ordered = tags.gather(1, order[..., None].expand_as(tags)) * there[..., None]
    counts = tags.new_zeros(key.shape).scatter_add_(1, which, there.float())
    sums = torch.zeros_like(tags).scatter_add_(1, which[..., None].expand_as(tags), ordered)
    counts, fullest = counts.topk(torch.sym_min(most, counts.shape[1]), dim=1)
    sums = sums.gather(1, fullest[..., None].expand(-1, -1, tags.shape[-1]))
    return Histogram(sums / counts[..., None].clamp(min=1), counts)


def smoothed(histogram: Histogram, sigma: float) -> Tensor:
    """(R, U) what a gaussian of ``sigma`` (tag distance) around each bin holds, in cells; 0 where there is no bin."""
    apart = torch.cdist(histogram.values, histogram.values)
    near = torch.exp(-(apart / sigma).square() / 2) * (apart < _REACH * sigma)
    return (near @ histogram.counts[..., None])[..., 0] * (histogram.counts > 0)


def modes(histogram: Histogram, density: Tensor, separation: float, most: int) -> tuple[Tensor, Tensor]:
    """The bins of which none nearer than ``separation`` holds more: the identifiers (R, P, D), densest first.

    ``density`` (R, U) is what counts; of equal ones the first. Also returns the P = ``most`` highest, 0 where there are fewer.
    """
    near = torch.cdist(histogram.values, histogram.values) < separation
    first = torch.arange(density.shape[1], device=density.device)
    other, own = density[:, None, :], density[:, :, None]
    better = (other > own) | ((other == own) & (first[None, :] < first[:, None]))
    peaks = torch.where((near & better).any(2), 0.0, density)
    heights, index = peaks.topk(torch.sym_min(most, peaks.shape[1]), dim=1)
    return histogram.values.gather(1, index[..., None].expand(-1, -1, histogram.values.shape[-1])), heights


def nearest_two(tags: Tensor, identifiers: Tensor, valid: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of tags (R, M, D) the nearest of the ``valid`` (R, P) identifiers (R, P, D), the second, and how much farther that is.

    Indices (R, M) int64, -1 where there is none; infinite is how much farther nothing is.
    """
    apart = torch.cdist(tags.float().nan_to_num(0.0, 0.0, 0.0), identifiers)
    apart = torch.where(valid[:, None], apart, torch.inf)
    if apart.shape[2] < 2:
        apart = torch.cat((apart, torch.full_like(apart, torch.inf)), dim=2)
    distance, index = apart.topk(2, dim=2, largest=False)
    found = distance.isfinite()
    nearest, second = torch.where(found, index, -1).unbind(2)
    return nearest, second, torch.where(found[..., 1], distance[..., 1] - distance[..., 0], torch.inf)
