"""MobileNetV1 as Google's PoseNet and BodyPix have it: batch norm folded into biases."""

from __future__ import annotations

from typing import Annotated, Literal

from torch import Tensor, nn

from bottomup.backbones._strided_depthwise import keep_strided_depthwise
from bottomup.contracts import BACKBONES, NORMALISATIONS, Backbone, FeedBack, Level, NormalisationName
from bottomup.errors import ConfigError
from bottomup.geometry import Grid
from bottomup.options import Positive
from bottomup.types import Features

_CHANNELS = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)  # of the blocks, at depth 1
_STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
_STEM = 32
_SMALLEST = 8  # channels
_NATIVE = 32  # input px, the stride of the published network


class Block(nn.Sequential):
    """A depthwise 3 x 3 and a pointwise convolution, each with bias and ReLU6."""

    def __init__(self, channels: int, out: int, stride: int, dilation: int) -> None:
        super().__init__(
            nn.Conv2d(channels, channels, 3, stride, dilation, dilation, groups=channels),
            nn.ReLU6(inplace=True),
            nn.Conv2d(channels, out, 1),
            nn.ReLU6(inplace=True),
        )


def widths(depth: float, native_stride: int) -> list[int]:
    """The channels of the stem and of each block."""
    widest = max(_CHANNELS) * native_stride // _NATIVE
    return [max(_SMALLEST, int(min(width, widest) * depth)) for width in (_STEM, *_CHANNELS)]


@BACKBONES.register
class MobilenetV1(Backbone):
    """MobileNetV1 at any output stride, on grids of origin 0.5; Howard et al. 2017, for Google's PersonLab weights.

    ``depth`` multiplies all widths. ``output_stride`` 8, 16 or 32 is chosen when composing, on the same weights: what would
    stride further dilates the blocks after it. ``native_stride`` 16 leaves the last stride and the last doubling of the
    widths out, as PoseNet and BodyPix of depth 0.5 and 0.75 do, so that nothing is dilated at 16; 32 is the published network,
    which theirs of depth 1 are. Input sides are n·s + 1, on which TensorFlow's "SAME" padding is the same on both sides: the
    padding here.
    ``normalisation`` names how uint8 RGB becomes the network's input (``contracts.NORMALISATIONS``).
    """

    def __init__(
        self,
        *,
        depth: Positive = 1.0,
        output_stride: Annotated[Literal[8, 16, 32], "input px"] = 16,
        native_stride: Annotated[Literal[16, 32], "input px"] = 16,
        normalisation: NormalisationName = "symmetric",
    ) -> None:
        super().__init__()
        if output_stride > native_stride:
            raise ConfigError(
                f"backbone mobilenet_v1: output_stride should be at most native_stride, {native_stride}, got {output_stride}"
            )
        self.normalisation = NORMALISATIONS[normalisation]
        channels = widths(depth, native_stride)
        self.stem = nn.Sequential(nn.Conv2d(3, channels[0], 3, 2, 1), nn.ReLU6(inplace=True))
        blocks, nominal, dilation = [], 2, 1  # nominal: the stride that the undilated network has come to
        for stride, inward, out in zip(_STRIDES, channels, channels[1:], strict=False):
            if nominal * stride > native_stride:
                stride = 1
            nominal *= stride
            if nominal <= output_stride:
                blocks.append(Block(inward, out, stride, dilation))
            else:
                blocks.append(Block(inward, out, 1, dilation))
                dilation *= stride
        self.blocks = nn.Sequential(*blocks)
        keep_strided_depthwise(self.blocks)
        grid = Grid.cornered(min(nominal, output_stride))
        self.stages = [{"C5": Level(channels[-1], grid)}]
        self.coarsest = grid

    def forward(self, images: Tensor, feed_back: FeedBack | None = None) -> list[Features]:
        """One stage of one level, "C5"."""
        return [{"C5": self.blocks(self.stem(images))}]
