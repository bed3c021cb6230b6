"""Feature pyramid network."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from bottomup.contracts import NECKS, FeatureSpec, FeedBack, Level, Neck
from bottomup.errors import ConfigError
from bottomup.necks._aligned_pyramid import AlignedPyramid, coarser, convolution, pyramid_levels
from bottomup.options import Count, Natural
from bottomup.types import Features

_LAST_READ, _LAST_MADE = 5, 7  # C5; P6 and P7 come together


@NECKS.register
class Fpn(Neck):
    """P-levels from C-levels by an FPN (Lin et al. 2017); P6 from C5 and P7 from P6 by strided convolutions
    (RetinaNet); where C5 has as many channels as the pyramid, P6 comes from P5 (torchvision).

    ``channels`` of every level; ``levels`` the first and the last, such as [2, 5] or [3, 7]. An FPN sums its levels linearly;
    ``convolutions`` 3x3 convolutions with ReLU after each level (not in the paper, default 0) let heads of a single 1x1
    convolution see more than such a sum. ``batch_norm`` after every convolution is not in the paper either; P6 and P7 have none.
    Levels lie on the grids of what they are made of: those of a dilated network may share a stride. Raises ConfigError for a
    level that the source lacks.
    """

    def __init__(
        self,
        source: list[FeatureSpec],
        *,
        channels: Count = 256,
        levels: tuple[int, int] = (2, 5),
        convolutions: Natural = 0,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        first, last = _ends(levels)
        self.reads = [f"C{level}" for level in range(first, min(last, _LAST_READ) + 1)]
        read = pyramid_levels("fpn", self.reads, source[-1])
        extra = LastLevelP6P7(read[-1].channels, channels) if last == _LAST_MADE else None
        self.fpn = AlignedPyramid(read, channels, extra, batch_norm)
        self.names = [f"P{level}" for level in range(first, last + 1)]
        self.towers = nn.ModuleDict({name: _tower(channels, convolutions, batch_norm) for name in self.names})
        grids = [level.grid for level in read]
        while len(grids) < len(self.names):
            grids.append(coarser(grids[-1]))
        self.stages = [{name: Level(channels, grid) for name, grid in zip(self.names, grids, strict=True)}]

    def forward(self, stages: list[Features], feed_back: FeedBack | None = None) -> list[Features]:
        """One stage of P-levels, finest first, from the backbone's last."""
        read = OrderedDict((name, stages[-1][name]) for name in self.reads)
        pyramid = zip(self.names, self.fpn(read).values(), strict=True)
        return [{name: self.towers[name](maps) for name, maps in pyramid}]

    def keep(self, levels: set[str]) -> None:
        """Levels that no head reads get no convolutions after the sums, which would be trained by nothing."""
        self.towers = nn.ModuleDict({name: tower if name in levels else nn.Identity() for name, tower in self.towers.items()})
        if not levels & {"P6", "P7"}:
            self.fpn.extra_blocks = None
            self.names = self.names[: len(self.reads)]
        elif getattr(self.fpn.extra_blocks, "use_P5", False):
            levels = levels | {"P5"}
        for index, name in enumerate(self.names[: len(self.reads)]):
            if name not in levels:
                self.fpn.layer_blocks[index] = nn.Identity()


def _tower(channels: int, count: int, batch_norm: bool) -> nn.Sequential:
    return nn.Sequential(*(layer for _ in range(count) for layer in convolution(channels, channels, batch_norm)))


def _ends(levels: tuple[int, int]) -> tuple[int, int]:
    first, last = levels
    if 2 <= first <= _LAST_READ and last in (*range(first, _LAST_READ + 1), _LAST_MADE):
        return first, last
    raise ConfigError(f"neck fpn: levels are [first, last], first from 2 to 5 and last up to 5 or 7; got {list(levels)}")
