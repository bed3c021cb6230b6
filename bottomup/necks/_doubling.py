"""A transposed convolution that doubles the cells of a map, as simple baselines and HigherHRNet have it."""

from __future__ import annotations

from torch import nn

from bottomup.geometry import Grid


def doubling(channels: int, out: int) -> nn.Sequential:
    """(B, C, h, w) to (B, out, 2h, 2w) by a 4x4 transposed convolution of stride 2, batch norm and ReLU.

    The convolution has no bias, which batch norm would take away.
    """
    convolution = nn.ConvTranspose2d(channels, out, 4, stride=2, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(out), nn.ReLU(inplace=True))


def finer(grid: Grid, times: int = 1) -> Grid | None:
    """The grid of that many doublings; None where there is none: cells must tile the image, and the stride divide."""
    stride, rest = divmod(grid.stride, 2**times)
    return Grid.centred(stride) if grid.tiles and stride and not rest else None
