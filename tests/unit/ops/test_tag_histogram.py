"""A histogram of tags by the bins that hold something."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bottomup.ops.tag_histogram import modes, nearest_two, smoothed, tag_histogram


def clusters(size: int = 1, counts: tuple[int, ...] = (40, 25, 10), spread: float = 0.1, apart: float = 3.0) -> Tensor:
    """Tags (1, M, D) around means that lie ``apart``."""
    random = torch.Generator().manual_seed(0)
    means = [torch.full((count, size), place * apart / size**0.5) for place, count in enumerate(counts)]
    tags = torch.cat(means)
    return (tags + spread * torch.randn(tags.shape, generator=random))[None]


def everywhere(tags: Tensor) -> Tensor:
    return torch.ones(tags.shape[:2], dtype=torch.bool)


def test_single_numbers_fall_into_the_bins_of_an_ordinary_histogram() -> None:
    tags = clusters()
    found = tag_histogram(tags, everywhere(tags), 0.1, 100)
    bins, counts = (tags[0, :, 0] / 0.1).floor().unique(return_counts=True)
    order = found.values[0, :, 0][found.counts[0] > 0].argsort()
    assert found.counts[0][found.counts[0] > 0][order].tolist() == counts.tolist()
    assert (found.values[0, :, 0][found.counts[0] > 0][order] / 0.1).floor().tolist() == bins.tolist()


@pytest.mark.parametrize("size", [1, 2, 8])
def test_every_cluster_has_one_mode_and_its_own_members(size: int) -> None:
    tags = clusters(size)
    found = tag_histogram(tags, everywhere(tags), 0.25, 100)
    identifiers, heights = modes(found, smoothed(found, 0.3), 1.0, 10)
    assert (heights > 0).sum() == 3
    nearest, second, margin = nearest_two(tags, identifiers, heights > 0)
    members = [nearest[0, start:stop].unique().tolist() for start, stop in ((0, 40), (40, 65), (65, 75))]
    assert members == [[0], [1], [2]]  # the largest is densest
    assert (second != nearest).all() and (margin > 1).all()


def test_what_is_not_counted_is_nowhere() -> None:
    tags = clusters()
    counted = everywhere(tags)
    counted[:, :40] = False
    found = tag_histogram(tags, counted, 0.1, 100)
    assert found.counts.sum() == 35 and found.values[found.counts > 0].min() > 2
    nothing = tag_histogram(tags, torch.zeros_like(counted), 0.1, 100)
    assert not nothing.counts.any() and not smoothed(nothing, 0.2).any()
    identifiers, heights = modes(nothing, smoothed(nothing, 0.2), 1.0, 5)
    nearest, second, margin = nearest_two(tags, identifiers, heights > 0)
    assert (nearest == -1).all() and (second == -1).all() and margin.isinf().all()


def test_the_order_of_the_cells_says_nothing() -> None:
    tags = clusters(2)
    turned = tags.flip(1)
    first, second = (tag_histogram(one, everywhere(one), 0.25, 100) for one in (tags, turned))
    torch.testing.assert_close(modes(first, smoothed(first, 0.3), 1.0, 3)[0], modes(second, smoothed(second, 0.3), 1.0, 3)[0])


def test_noise_keeps_the_fullest_bins_alone() -> None:
    tags = torch.randn(2, 5000, 4, generator=torch.Generator().manual_seed(1)) * 100
    tags[0, 0] = torch.nan
    tags[1, :7] = torch.inf  # a diverged network's
    found = tag_histogram(tags, everywhere(tags), 0.1, 64)
    assert found.counts.shape == (2, 64) and found.values.isfinite().all() and (found.counts > 0).all()


def test_one_identifier_is_everybodys_and_no_second_is() -> None:
    tags = clusters(counts=(5,))
    nearest, second, margin = nearest_two(tags, torch.zeros(1, 1, 1), torch.ones(1, 1, dtype=torch.bool))
    assert (nearest == 0).all() and (second == -1).all() and margin.isinf().all()
