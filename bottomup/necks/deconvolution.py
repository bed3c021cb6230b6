"""Transposed convolutions from a network's coarsest features up to stride 4."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from bottomup.contracts import NECKS, FeatureSpec, FeedBack, Level, Neck
from bottomup.errors import ConfigError
from bottomup.necks._doubling import doubling, finer
from bottomup.options import Count
from bottomup.types import Features


@NECKS.register
class Deconvolution(Neck):
    """Simple baselines (Xiao et al. 2018, §2): ``layers`` times a 4x4 transposed convolution of stride 2, batch norm and ReLU.

    It reads the coarsest level, of equally coarse ones the deepest, and has ``channels`` after each of its layers: three of them
    bring a ResNet's stride 32 to 4. One stage of one level, "up". Raises ConfigError where the stride cannot be halved so often,
    or where cells do not tile the image, as those of `dilated` do not.
    """

    def __init__(self, source: list[FeatureSpec], *, channels: Count = 256, layers: Count = 3) -> None:
        super().__init__()
        coarsest = max(level.grid.stride for level in source[-1].values())
        self.read = [name for name, level in source[-1].items() if level.grid.stride == coarsest][-1]
        level = source[-1][self.read]
        grid = finer(level.grid, layers)
        if grid is None:
            raise ConfigError(
                f"neck deconvolution: {layers} layers halve the stride of cells that tile the image so often, but {self.read} lies "
                f"on {level.grid}; use backbone pyramid, or fewer layers"
            )
        widths = [level.channels, *[channels] * layers]
        self.layers = nn.Sequential(*(part for pair in pairwise(widths) for part in doubling(*pair)))
        self.stages = [{"up": Level(channels, grid)}]

    def forward(self, stages: list[Features], feed_back: FeedBack | None = None) -> list[Features]:
        """One stage of one level, (B, channels, h, w) on the finer grid, from the source's last."""
        return [{"up": self.layers(stages[-1][self.read])}]
