"""The stacked hourglass of Associative Embedding."""

from __future__ import annotations

from typing import Annotated, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from bottomup.contracts import BACKBONES, NORMALISATIONS, Backbone, FeedBack, Level, NormalisationName
from bottomup.geometry import Grid
from bottomup.options import Count, MultipleOf, Natural
from bottomup.types import Features


class Convolution(nn.Sequential):
    """A convolution with bias, and ReLU."""

    def __init__(self, channels: int, out: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__(nn.Conv2d(channels, out, kernel, stride, kernel // 2), nn.ReLU(inplace=True))

    @staticmethod
    def merge(channels: int, out: int) -> nn.Module:
        """The 1x1 convolution that takes features or predictions of a stack into the next."""
        return nn.Conv2d(channels, out, 1)


class NormedLast(Convolution):
    """The same with batch norm behind it, as in pose-ae-train."""

    def __init__(self, channels: int, out: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__(channels, out, kernel, stride)
        self.append(nn.BatchNorm2d(out))


class NormedFirst(Convolution):
    """A convolution without bias, batch norm and ReLU, as in mmpose."""

    def __init__(self, channels: int, out: int, kernel: int = 3, stride: int = 1) -> None:
        nn.Sequential.__init__(self, *_normed(channels, out, kernel, stride), nn.ReLU(inplace=True))

    @staticmethod
    def merge(channels: int, out: int) -> nn.Module:
        """The same with batch norm."""
        return nn.Sequential(*_normed(channels, out))


def _normed(channels: int, out: int, kernel: int = 1, stride: int = 1) -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(channels, out, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(out)


BatchNorm = bool | Literal["before"]
_CONVOLVE: dict[BatchNorm, type[Convolution]] = {False: Convolution, True: NormedLast, "before": NormedFirst}


class HourglassModule(nn.Module):
    """One hourglass: ``levels`` times pool, convolve, come back up by nearest neighbours and add the skip; growing inwards."""

    def __init__(self, levels: int, channels: int, growth: int, convolve: type[Convolution]) -> None:
        super().__init__()
        inner = channels + growth
        self.skip = convolve(channels, channels)
        self.down = convolve(channels, inner)
        self.inner: nn.Module = HourglassModule(levels - 1, inner, growth, convolve) if levels > 1 else convolve(inner, inner)
        self.up = convolve(inner, channels)

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
    that takes a learning rate of some 1e-3 at most. ``batch_norm`` stands behind every ReLU, as in pose-ae-train, or "before" it:
    behind every convolution, which then has no bias, as in mmpose. ``normalisation`` names how uint8 RGB becomes the network's
    input (``contracts.NORMALISATIONS``).

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
        batch_norm: BatchNorm = False,
        normalisation: NormalisationName = "imagenet",
    ) -> None:
        super().__init__()
        self.normalisation = NORMALISATIONS[normalisation]
        convolve = self.convolve = _CONVOLVE[batch_norm]
        self.stem = _stem(channels, convolve)
        self.hourglasses = nn.ModuleList(
            nn.Sequential(
                HourglassModule(levels, channels, growth, convolve), convolve(channels, channels), convolve(channels, channels)
            )
            for _ in range(stacks)
        )
        self.merge_features = nn.ModuleList(convolve.merge(channels, channels) for _ in range(stacks - 1))
        self.merge_predictions = nn.ModuleList()
        self.channels = channels
        self.stages = [{"stack": Level(channels, Grid.centred(4))} for _ in range(stacks)]
        self.coarsest = Grid.centred(4 * 2**levels)

    def connect(self, channels: int) -> None:
        """Build the 1x1 convolutions that take ``channels`` of predictions into the next stack; 0 disconnects."""
        merges = self.merge_features if channels else ()
        self.merge_predictions = nn.ModuleList(self.convolve.merge(channels, self.channels) for _ in merges)

    def used_from(self, stage: int) -> list[str]:
        """The stack of that stage, those after it, and what leads to them."""
        merges = {"merge_features": self.merge_features, "merge_predictions": self.merge_predictions}
        leading = [f"{name}.{index}" for name, merge in merges.items() for index in range(max(stage - 1, 0), len(merge))]
        return [*(f"hourglasses.{index}" for index in range(stage, len(self.hourglasses))), *leading]

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


def _stem(channels: int, convolve: type[Convolution]) -> nn.Sequential:
    """(B, 3, H, W) to (B, channels, H/4, W/4)."""
    quarter, half = channels // 4, channels // 2
    return nn.Sequential(
        convolve(3, quarter, 7, 2), convolve(quarter, half), nn.MaxPool2d(2), convolve(half, half), convolve(half, channels)
    )
