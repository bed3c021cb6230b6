"""MultiPoseNet's features of keypoints: a pyramid, supervised at every level, joined at the finest stride. §3.2, Fig. 3."""

from __future__ import annotations

from collections import OrderedDict
from typing import Literal

import torch
from torch import nn

from bottomup.contracts import NECKS, FeatureSpec, FeedBack, Level, Neck
from bottomup.geometry import enlarge
from bottomup.necks._aligned_pyramid import AlignedPyramid, convolution, pyramid_levels
from bottomup.options import Count
from bottomup.types import Features

Intermediate = Literal["finest", "own"]
Smoothed = Literal["all", "sums"]
Reduction = Literal["relu", "linear"]

_NAMES = ("2", "3", "4", "5")


@NECKS.register
class KeypointPyramid(Neck):
    """K2…K5 of ``channels`` by an FPN; D2…D5 of ``reduced`` by two 3x3 convolutions each; both of all levels joined at stride 4.

    The last stage, "D", is a 3x3 convolution with ReLU over the concatenated D-levels, of ``channels``; without ``concat`` over D2
    alone (Table 2). Before it stands a stage for each K-level, whose losses are the ``intermediate`` supervision: on maps
    enlarged to the "finest" stride (features stay on their own grids, as 1x1 convolutions of them may be enlarged as well) or on
    its "own"; None has none (Table 2).

    ``smoothed`` says which K-levels end with a 3x3 convolution of the FPN: "all", as in Fig. 3, or the "sums" alone, of which K5 is
    none. ``reduction`` says whether the two convolutions of each D-level are followed by a "relu" or are "linear". The paper says
    neither; MultiPoseNet.pytorch has "sums" and "linear". ``batch_norm`` after every convolution is not in the paper. What else it
    leaves open: maps are enlarged by the nearest cell, the last convolution keeps ``channels``.
    """

    def __init__(
        self,
        source: list[FeatureSpec],
        *,
        channels: Count = 256,
        reduced: Count = 128,
        concat: bool = True,
        intermediate: Intermediate | None = "finest",
        smoothed: Smoothed = "all",
        reduction: Reduction = "relu",
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        self.reads = [f"C{name}" for name in _NAMES]
        read = pyramid_levels("keypoint_pyramid", self.reads, source[-1])
        self.intermediate, self.concat = intermediate, concat
        self.levels = [level.grid for level in read]
        self.fpn = AlignedPyramid(read, channels, batch_norm=batch_norm)
        if smoothed == "sums":
            self.fpn.layer_blocks[-1] = nn.Identity()
        joined = _NAMES if concat else _NAMES[:1]
        if intermediate is None:  # what nothing reads gets no convolution after the sums, which nothing would train
            for index in range(len(joined), len(_NAMES)):
                self.fpn.layer_blocks[index] = nn.Identity()
        self.reductions = nn.ModuleDict({f"D{name}": _reduction(channels, reduced, batch_norm, reduction) for name in joined})
        self.smooth = convolution(reduced * len(joined), channels, batch_norm)
        finest = self.levels[0]
        own = [Level(channels, grid) for grid in self.levels]
        supervised = own if intermediate == "own" else [own[0], *(Level(channels, finest, grid) for grid in self.levels[1:])]
        self.stages = [{f"K{name}": level} for name, level in zip(_NAMES, supervised, strict=True) if intermediate]
        self.stages.append({"D": Level(channels, finest)})

    def forward(self, stages: list[Features], feed_back: FeedBack | None = None) -> list[Features]:
        """A stage for each K-level, finest first, then that of the joined features."""
        read = OrderedDict((name, stages[-1][name]) for name in self.reads)
        pyramid = list(self.fpn(read).values())
        shape = (pyramid[0].shape[-2], pyramid[0].shape[-1])
        joined = slice(len(self.reductions))
        levels = zip(self.reductions.values(), pyramid[joined], self.levels[joined], strict=True)
        finest = [enlarge(reduce(maps), grid, self.levels[0], shape) for reduce, maps, grid in levels]
        supervised = zip(_NAMES, pyramid, strict=True) if self.intermediate else ()
        return [*({f"K{name}": maps} for name, maps in supervised), {"D": self.smooth(torch.cat(finest, dim=1))}]


def _reduction(channels: int, reduced: int, batch_norm: bool, reduction: Reduction) -> nn.Sequential:
    activation = nn.ReLU if reduction == "relu" else None
    layers = (convolution(width, reduced, batch_norm, activation) for width in (channels, reduced))
    return nn.Sequential(*(layer for block in layers for layer in block))
