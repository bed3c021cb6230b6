"""Where in a map of tags somebody is: the best cell for a mean tag."""

from __future__ import annotations

import torch
from torch import Tensor

_LARGEST = 2**21  # numbers of a chunk's tags: 8 MB


def best_cells(heatmap: Tensor, tags: Tensor, kinds: Tensor, means: Tensor, least: float) -> tuple[Tensor, Tensor]:
    """Of each of S missing keypoints the cell of the greatest heatmap value less the tag distance in whole units.

    ``heatmap`` (K, h, w) and ``tags`` (K, D, h, w) are of one image, ``kinds`` (S,) int64 says which keypoint is missing and
    ``means`` (S, D) the mean tag of who misses it. Cells count whose heatmap is positive and at least ``least``. Returns the cells
    (S, 2), x, y, and their heatmap values (S,), 0 where no cell counts. In chunks, so that memory is bounded.
    """
    size, (h, w) = tags.shape[1], tags.shape[-2:]
    heat, flat = heatmap.flatten(1), tags.flatten(2)
    counted = torch.where((heat >= least) & (heat > 0) & heat.isfinite(), heat, -torch.inf)
    chunks = zip(*(part.split(max(1, _LARGEST // (size * h * w))) for part in (kinds, means)), strict=True)
    found = [_best(counted[k], flat[k], mean) for k, mean in chunks]
    index = torch.cat([cells for cells, _ in found])
    values = torch.where(torch.cat([fit for _, fit in found]).isfinite(), heat[kinds, index], 0.0)
    return torch.stack((index % w, index // w), dim=-1), values


def _best(heat: Tensor, tags: Tensor, means: Tensor) -> tuple[Tensor, Tensor]:
    """Of heat (S, hw) and tags (S, D, hw) the best cell (S,) for mean tags (S, D), and how well it fits; -inf where none does."""
    apart = (tags - means[..., None]).square_().sum(1).sqrt_().round_()
    fit, index = (heat - apart).nan_to_num_(-torch.inf, -torch.inf, -torch.inf).max(1)  # a diverged network's tags fit nobody
    return index, fit
