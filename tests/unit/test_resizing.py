"""Maps are resized as grids of one input lie on each other, whichever way is taken."""

from __future__ import annotations

import pytest
import torch

from bottomup.geometry import Grid, resample, resize

CENTRED, CORNERED = Grid.centred, Grid.cornered


@pytest.mark.parametrize(
    ("own", "grid", "sides"),
    [
        (CENTRED(4), CENTRED(1), (64, 96)),
        (CENTRED(4), CENTRED(8), (64, 96)),
        (CORNERED(8), CORNERED(4), (65, 97)),
        (Grid(8, 4.0), Grid(2, 4.0), (56, 88)),
        (CENTRED(4), Grid(2, 2.0), (64, 96)),
        (CORNERED(8), CORNERED(4), (64, 96)),  # which end at other places
    ],
)
def test_what_every_runtime_has_is_what_the_grids_say(own: Grid, grid: Grid, sides: tuple[int, int]) -> None:
    def shape(of: Grid) -> tuple[int, int]:
        return tuple(int((side - 2 * of.origin) // of.stride) + 1 for side in sides)  # type: ignore[return-value]

    maps, whole = (
        torch.rand(2, 3, *shape(own), generator=torch.Generator().manual_seed(0)),
        torch.tensor([[0.0, 0.0, 1.0, 1.0]] * 2),
    )
    for mode in ("bilinear", "nearest"):
        expected = resample(maps, own, whole, grid, whole, shape(grid), mode)
        torch.testing.assert_close(resize(maps, own, grid, shape(grid), mode), expected, atol=1e-5, rtol=0)
