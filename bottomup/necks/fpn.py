"""Feature pyramid network."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from bottomup.errors import ConfigError
from bottomup.geometry import Grid
from bottomup.stages import NECKS, FeatureSpec, Level, Neck
from bottomup.types import Features

_DEEPEST = 7


@NECKS.register
class Fpn(Neck):
    """P-levels from C-levels by torchvision's FPN (Lin et al. 2017); P6 and P7 by strided convolutions (RetinaNet).

    ``channels`` of every level; ``levels`` the first and the last, such as [2, 5] or [3, 7].
    """

    def __init__(self, source: list[FeatureSpec], *, channels: int = 256, levels: Sequence[int] = (2, 5)) -> None:
        super().__init__()
        first, last = levels[0], levels[-1]
        if not 2 <= first <= 5 or last not in (*range(first, 6), _DEEPEST):
            raise ConfigError(f"neck fpn: levels are [first, last] with 2 <= first <= 5 and last up to 5, or 7; got {list(levels)}")
        self.reads = [f"C{level}" for level in range(first, min(last, 5) + 1)]
        offered = source[-1]
        for name in self.reads:
            if name not in offered:
                raise ConfigError(f"neck fpn reads {name}; the backbone offers {', '.join(offered)}")
            if offered[name].grid != Grid.centred(offered[name].grid.stride):
                raise ConfigError(
                    "neck fpn upsamples by index, on grids of origin stride / 2; backbone dilated lies on 0.5: use pyramid"
                )
        deepest = offered[self.reads[-1]]
        extra = LastLevelP6P7(deepest.channels, channels) if last == _DEEPEST else None
        self.fpn = FeaturePyramidNetwork([offered[name].channels for name in self.reads], channels, extra)
        self.names = [f"P{level}" for level in range(first, last + 1)]
        self.stages = [{name: Level(channels, Grid.centred(2 ** int(name[1]))) for name in self.names}]

    def forward(self, stages: list[Features]) -> list[Features]:
        """One stage of P-levels, from the backbone's last."""
        read = OrderedDict((f"P{name[1]}", stages[-1][name]) for name in self.reads)
        made = self.fpn(read)
        return [dict(zip(self.names, made.values(), strict=True))]
