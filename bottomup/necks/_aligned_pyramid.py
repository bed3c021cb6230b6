"""torchvision's feature pyramid network, whose sums are of cells that lie at the same place."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation, FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import ExtraFPNBlock

from bottomup.contracts import FeatureSpec, Level
from bottomup.errors import ConfigError
from bottomup.geometry import Grid, enlarge


class AlignedPyramid(FeaturePyramidNetwork):  # type: ignore[misc]  # torchvision has no types
    """An FPN (Lin et al. 2017) on nested grids of either origin; levels may share a stride, as those of a dilated network do.

    Where cells tile the image it is torchvision's, which enlarges maps by index: on grids of origin 0.5 that would shift them.
    """

    def __init__(
        self, levels: Sequence[Level], channels: int, extra_blocks: ExtraFPNBlock | None = None, batch_norm: bool = False
    ) -> None:
        norm = nn.BatchNorm2d if batch_norm else None
        super().__init__([level.channels for level in levels], channels, extra_blocks, norm)
        self.grids = [level.grid for level in levels]

    def forward(self, x: dict[str, Tensor]) -> dict[str, Tensor]:
        """The levels of ``x``, finest first, each with all coarser ones added, and those of the extra blocks."""
        sums = [block(maps) for block, maps in zip(self.inner_blocks, x.values(), strict=True)]
        for index in range(len(sums) - 2, -1, -1):
            h, w = sums[index].shape[-2:]
            sums[index] = sums[index] + enlarge(sums[index + 1], self.grids[index + 1], self.grids[index], (h, w))
        levels = [block(maps) for block, maps in zip(self.layer_blocks, sums, strict=True)]
        names = list(x)
        if self.extra_blocks is not None:
            levels, names = self.extra_blocks(levels, list(x.values()), names)
        return OrderedDict(zip(names, levels, strict=True))


def convolution(channels: int, out: int, batch_norm: bool = False, activation: type[nn.Module] | None = nn.ReLU) -> nn.Sequential:
    """A 3x3 convolution, batch norm where asked for, and an activation where there is to be one."""
    norm = nn.BatchNorm2d if batch_norm else None
    layers: nn.Sequential = Conv2dNormActivation(channels, out, norm_layer=norm, activation_layer=activation)
    return layers


def coarser(grid: Grid) -> Grid:
    """The grid of a convolution of stride 2."""
    return Grid.centred(2 * grid.stride) if grid.tiles else Grid.cornered(2 * grid.stride)


def pyramid_levels(neck: str, reads: Sequence[str], offered: FeatureSpec) -> list[Level]:
    """The levels that a pyramid reads; ConfigError where the source lacks one, or where their grids are not nested."""
    for name in reads:
        if name not in offered:
            raise ConfigError(
                f"neck {neck} reads {', '.join(reads)}; the backbone offers {', '.join(offered)}; use backbone pyramid, or levels= "
                "of a dilated one"
            )
    for finer, name in pairwise(reads):
        grid, below = offered[name].grid, offered[finer].grid
        if grid.stride % below.stride or grid.tiles != below.tiles:
            raise ConfigError(
                f"neck {neck} expects nested grids, got {name} on {grid} above {finer} on {below}; use backbone pyramid"
            )
    return [offered[name] for name in reads]
