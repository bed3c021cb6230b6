"""Depthwise convolutions with a stride, as bf16 training on CPUs needs them."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class StridedDepthwise(nn.Conv2d):
    """A convolution that stays in float32 under CPU autocast.

    oneDNN's bf16 gradient of a strided depthwise convolution takes thirty times as long as that in float32, and a MobileNetV2
    spends a sixth of its training steps in two of them.
    """

    def forward(self, maps: Tensor) -> Tensor:
        """As nn.Conv2d, but (B, C, h, w) float32 on a CPU."""
        if maps.device.type != "cpu":
            return super().forward(maps)
        with torch.autocast("cpu", enabled=False):
            return super().forward(maps.to(self.weight.dtype))


def keep_strided_depthwise(network: nn.Module) -> None:
    """Let every strided depthwise convolution of ``network`` be such a one; its weights and their names stay."""
    for module in network.modules():
        if type(module) is nn.Conv2d and module.groups > 1 and max(module.stride) > 1:
            module.__class__ = StridedDepthwise
