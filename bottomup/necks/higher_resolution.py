"""HigherHRNet's finer features, which read what was predicted on coarser ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock

from bottomup.contracts import NECKS, FeatureSpec, FeedBack, Level, Neck
from bottomup.errors import ConfigError
from bottomup.necks._doubling import doubling, finer
from bottomup.options import Count, Natural
from bottomup.types import Features


class Doubled(nn.Module):
    """A transposed convolution of stride 2 of features and of what was predicted of them, then residual ``blocks``."""

    def __init__(self, channels: int, fed_back: int, out: int, blocks: int) -> None:
        super().__init__()
        self.up = doubling(channels + fed_back, out)
        self.blocks = nn.Sequential(*(BasicBlock(out, out) for _ in range(blocks)))

    def forward(self, maps: Tensor) -> Tensor:
        """(B, channels + fed_back, h, w) to (B, out, 2h, 2w)."""
        result: Tensor = self.blocks(self.up(maps))
        return result


@NECKS.register
class HigherResolution(Neck):
    """The high-resolution feature pyramid of HigherHRNet (Cheng et al. 2020, §3.3).

    Its first stage is what it reads, the one level of its source. ``doublings`` more stages follow, level "up", each of half the
    stride of the one before: a 4x4 transposed convolution with batch norm and ReLU of that one's features and of what its heads
    predict, then ``blocks`` residual ones. ``channels`` are those of the finer stages; None: as many as it reads. Raises
    ConfigError for a pyramid, whose coarser levels would come to nothing, and where the stride cannot be halved so often or cells
    do not tile the image.
    """

    feeds_back = True

    def __init__(
        self, source: list[FeatureSpec], *, channels: Count | None = None, blocks: Natural = 4, doublings: Count = 1
    ) -> None:
        super().__init__()
        if len(source[-1]) > 1:
            raise ConfigError(
                f"neck higher_resolution reads one level, and the backbone offers {', '.join(source[-1])}, the coarser of which "
                "would come to nothing; use backbone hrnet or hourglass"
            )
        ((self.read, level),) = source[-1].items()
        self.out, self.blocks = channels or level.channels, blocks
        self.stages = [{self.read: level}]
        for times in range(1, doublings + 1):
            grid = finer(level.grid, times)
            if grid is None:
                raise ConfigError(
                    f"neck higher_resolution: {doublings} doublings halve the stride of cells that tile the image so often, but "
                    f"{self.read} lies on {level.grid}; use backbone hrnet or hourglass"
                )
            self.stages.append({"up": Level(self.out, grid)})
        self.connect(0)

    def connect(self, channels: int) -> None:
        """Build the finer stages, which take ``channels`` of predictions in; 0 disconnects."""
        self.fed_back = channels
        widths = [level.channels for stage in self.stages for level in stage.values()][:-1]
        self.finer = nn.ModuleList(Doubled(width, channels, self.out, self.blocks) for width in widths)

    def used_from(self, stage: int) -> list[str]:
        """What makes that stage and those after it."""
        return [f"finer.{index}" for index in range(max(stage - 1, 0), len(self.finer))]

    def forward(self, stages: list[Features], feed_back: FeedBack | None = None) -> list[Features]:
        """A stage of one level for each stride, coarsest first; ``feed_back`` is called only where connected."""
        made = [{self.read: stages[-1][self.read]}]
        for index, double in enumerate(self.finer):
            (maps,) = made[-1].values()
            if self.fed_back:
                assert feed_back is not None
                maps = torch.cat((maps, feed_back(made[-1], index).to(maps.dtype)), dim=1)
            made.append({"up": double(maps)})
        return made
