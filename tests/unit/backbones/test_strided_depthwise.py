"""Strided depthwise convolutions stay what they are, in float32."""

from __future__ import annotations

import torch
from torch import nn

from bottomup.backbones._strided_depthwise import StridedDepthwise, keep_strided_depthwise


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, 2, 1, groups=8), nn.Conv2d(8, 8, 3, 1, 1, groups=8), nn.Conv2d(8, 4, 1)
    )


def test_only_strided_depthwise_convolutions_change_and_nothing_else_does() -> None:
    before, after = network(), network()
    keep_strided_depthwise(after)
    assert [type(module) is StridedDepthwise for module in after] == [False, True, False, False]
    assert before.state_dict().keys() == after.state_dict().keys()
    images = torch.randn(2, 3, 33, 33)
    torch.testing.assert_close(before(images), after(images), rtol=0, atol=0)


def test_under_autocast_they_compute_in_float32_and_learn() -> None:
    net = network()
    keep_strided_depthwise(net)
    seen: list[torch.dtype] = []
    net[1].register_forward_hook(lambda module, given, found: seen.append(found.dtype))
    with torch.autocast("cpu", torch.bfloat16):
        maps = net(torch.randn(2, 3, 33, 33))
    maps.float().sum().backward()
    assert seen == [torch.float32] and maps.dtype is torch.bfloat16
    assert net[1].weight.grad is not None and bool(net[1].weight.grad.isfinite().all())
