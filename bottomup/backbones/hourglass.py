"""The stacked hourglass of Associative Embedding."""

from __future__ import annotations

from typing import Annotated

import torch.nn.functional as F
from torch import Tensor, nn

from bottomup.contracts import BACKBONES, NORMALISATIONS, Backbone, FeedBack, Level, NormalisationName
from bottomup.geometry import Grid
from bottomup.options import Count, MultipleOf, Natural
from bottomup.types import Features


class Convolution(nn.Sequential):
    """A convolution with bias, ReLU and, as in pose-ae-train, batch norm after it."""

    def __init__(self, channels: int, out: int, kernel: int = 3, stride: int = 1, batch_norm: bool = False) -> None:
        super().__init__(nn.Conv2d(channels, out, kernel, stride, kernel // 2), nn.ReLU(inplace=True))
        if batch_norm:
            self.append(nn.BatchNorm2d(out))


class HourglassModule(nn.Module):
    """One hourglass: ``levels`` times pool, convolve, come back up by nearest neighbours and add the skip; growing inwards."""

    def __init__(self, levels: int, channels: int, growth: int, batch_norm: bool) -> None:
        super().__init__()
        inner = channels + growth
        self.skip = Convolution(channels, channels, batch_norm=batch_norm)
        self.down = Convolution(channels, inner, batch_norm=batch_norm)
        self.inner: nn.Module = (
            HourglassModule(levels - 1, inner, growth, batch_norm)
            if levels > 1
            else Convolution(inner, inner, batch_norm=batch_norm)
        )
        self.up = Convolution(inner, channels, batch_norm=batch_norm)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) to the same shape; h and w divide by 2**levels."""
        below = self.up(self.inner(self.down(F.max_pool2d(x, 2))))
        result: Tensor = self.skip(x) + F.interpolate(below, scale_factor=2.0, mode="nearest")
        return result


@BACKBONES.register
class Hourglass(Backbone):
    """Stacked hourglasses with predictions fed back, Associative Embedding §3.2 and Fig. 2.

    ``stacks`` hourglasses, one after the other. ``channels`` at stride 4, ``growth`` more at each of the ``levels`` below it: 256,
    384, 512, 640, 768 as published. The stem starts at a quarter of ``channels``. One stage a stack, level "stack" of stride 4;
    input sides are multiples of 4 · 2**levels. Weights start as torch.nn's defaults, as in pose-ae-train; without ``batch_norm``
    that takes a learning rate of some 1e-3 at most. ``normalisation`` names how uint8 RGB becomes the network's input
    (``contracts.NORMALISATIONS``).

    Deviates from the paper: widths are those of pose-ae-train, where the paper lists 256, 386, 512, 768. With ``batch_norm``,
    which neither uses by default, every level has it, where pose-ae-train has it outside the recursion only.
    """

    feeds_back = True

    def __init__(
        self,
        *,
        stacks: Count = 4,
        levels: Count = 4,
        channels: Annotated[Count, MultipleOf(4)] = 256,
        growth: Natural = 128,
        batch_norm: bool = False,
        normalisation: NormalisationName = "imagenet",
    ) -> None:
        super().__init__()
        self.normalisation = NORMALISATIONS[normalisation]
        self.stem = _stem(channels, batch_norm)
        self.hourglasses = nn.ModuleList(
            nn.Sequential(
                HourglassModule(levels, channels, growth, batch_norm),
                Convolution(channels, channels, batch_norm=batch_norm),
                Convolution(channels, channels, batch_norm=batch_norm),
            )
            for _ in range(stacks)
        )
        self.merge_features = nn.ModuleList(nn.Conv2d(channels, channels, 1) for _ in range(stacks - 1))
        self.merge_predictions = nn.ModuleList()
        self.channels = channels
        self.stages = [{"stack": Level(channels, Grid.centred(4))} for _ in range(stacks)]
        self.coarsest = Grid.centred(4 * 2**levels)

    def connect(self, channels: int) -> None:
        """Build the 1x1 convolutions that take ``channels`` of predictions into the next stack; 0 disconnects."""
        merges = self.merge_features if channels else ()
        self.merge_predictions = nn.ModuleList(nn.Conv2d(channels, self.channels, 1) for _ in merges)

    def forward(self, images: Tensor, feed_back: FeedBack | None = None) -> list[Features]:
        """One feature map (B, channels, H/4, W/4) a stack; ``feed_back`` is called only where connected."""
        x = self.stem(images)
        stages: list[Features] = []
        for index, hourglass in enumerate(self.hourglasses):
            features = {"stack": hourglass(x)}
            stages.append(features)
            if index < len(self.merge_features):
                x = x + self.merge_features[index](features["stack"])
                if feed_back is not None and len(self.merge_predictions):
                    x = x + self.merge_predictions[index](feed_back(features, index).to(x.dtype))
        return stages


def _stem(channels: int, batch_norm: bool) -> nn.Sequential:
    """(B, 3, H, W) to (B, channels, H/4, W/4)."""
    quarter, half = channels // 4, channels // 2
    return nn.Sequential(
        Convolution(3, quarter, 7, 2, batch_norm),
        Convolution(quarter, half, batch_norm=batch_norm),
        nn.MaxPool2d(2),
        Convolution(half, half, batch_norm=batch_norm),
        Convolution(half, channels, batch_norm=batch_norm),
    )
