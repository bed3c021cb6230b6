"""MobileNetV1: one set of weights at every output stride."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bottomup.backbones.mobilenet_v1 import MobilenetV1
from bottomup.errors import ConfigError


@pytest.mark.parametrize("native", [16, 32])
def test_the_same_weights_fit_every_output_stride(native: int) -> None:
    strides = [stride for stride in (8, 16, 32) if stride <= native]
    backbones = [MobilenetV1(depth=0.25, output_stride=stride, native_stride=native) for stride in strides]  # type: ignore[arg-type]
    for backbone, stride in zip(backbones, strides, strict=True):
        backbone.load_state_dict(backbones[0].state_dict())
        (features,) = backbone(torch.randn(1, 3, 65, 97))
        assert features["C5"].shape[-2:] == (64 // stride + 1, 96 // stride + 1)


def test_a_dilated_network_sees_what_the_strided_one_sees() -> None:
    """At every second cell of stride 8 the maps are those of stride 16, while nothing beyond the border comes in."""
    coarse, fine = MobilenetV1(depth=0.25), MobilenetV1(depth=0.25, output_stride=8)
    fine.load_state_dict(coarse.state_dict())
    images = torch.randn(1, 3, 513, 513)
    with torch.no_grad():
        one, other = coarse(images)[0]["C5"], fine(images)[0]["C5"][:, :, ::2, ::2]
    inner = slice(12, -12)
    torch.testing.assert_close(one[..., inner, inner], other[..., inner, inner], rtol=1e-4, atol=1e-5)


def test_only_blocks_after_a_missing_stride_are_dilated() -> None:
    def dilations(**options: int) -> list[int]:
        network = MobilenetV1(depth=0.25, **options)  # type: ignore[arg-type]
        return [m.dilation[0] for m in network.blocks.modules() if isinstance(m, nn.Conv2d) and m.groups > 1]

    assert dilations() == [1] * 13
    assert dilations(output_stride=8) == [1] * 6 + [2] * 7
    assert dilations(native_stride=32) == [1] * 12 + [2]
    assert dilations(native_stride=32, output_stride=8) == [1] * 6 + [2] * 6 + [4]


def test_strides_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(ConfigError, match="at most native_stride"):
        MobilenetV1(output_stride=32)
