"""Offset fields."""

from __future__ import annotations

import math

import torch

from bottomup.geometry import Grid
from bottomup.ops.offsets import cell_centres, refine_offsets


def test_refinement_arrives_where_short_offsets_agree() -> None:
    """From a wrong offset that ends within a disk, one step lands on the keypoint; gradients reach both fields."""
    grid, place = Grid.cornered(8), torch.tensor([60.0, 44.0])
    short = (place.view(2, 1, 1) - cell_centres(grid, 13, 13, place))[None, None].requires_grad_()
    rough = (short + 5.0).detach().requires_grad_()
    fine = refine_offsets(rough, short, grid, 1)
    inner = (slice(None), slice(None), slice(None), slice(1, -1), slice(1, -1))
    torch.testing.assert_close(fine[inner], short[inner], atol=1e-3, rtol=0)
    fine.sum().backward()
    assert rough.grad is not None and short.grad is not None and math.isfinite(float(short.grad.abs().sum()))
