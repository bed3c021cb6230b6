"""HRNet: timm's network but for what nothing reads, of any width."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from torch import nn

from bottomup.backbones.hrnet import Hrnet

SMALLEST = "hrnet_w18_small"


def timms(network: str) -> nn.Module:
    """timm's own, with statistics and scales of batch norm that differ, so that a swapped one is seen."""
    torch.manual_seed(0)
    module: nn.Module = timm.create_model(network, features_only=True, feature_location="", out_indices=(1,))
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
                assert tensor is not None
                nn.init.uniform_(tensor, 0.5, 1.5)
    return module.eval()


def test_a_file_of_timms_gives_timms_finest_branch(tmp_path: Path) -> None:
    reference = timms(SMALLEST)
    torch.save(reference.state_dict(), tmp_path / "weights.pt")
    backbone = Hrnet(network=SMALLEST, weights=str(tmp_path / "weights.pt")).eval()
    images = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        torch.testing.assert_close(backbone(images)[-1]["branch"], reference(images)[0], rtol=1e-4, atol=1e-4)


def test_tensors_have_timms_names_without_those_of_the_last_exchange_that_nothing_reads() -> None:
    ours = {name.removeprefix("network.") for name in Hrnet(network="hrnet_w18_small_v2").state_dict()}
    theirs = set(timms("hrnet_w18_small_v2").state_dict())
    left_out = theirs - ours
    assert ours < theirs
    assert {name.rsplit(".fuse_layers.")[0] for name in left_out} == {"stage4.1"}  # the last module's, of two
    assert {name.split("fuse_layers.")[1][0] for name in left_out} == {"1", "2", "3"}


@pytest.mark.parametrize("width", [4, 12])
def test_a_width_is_that_of_the_finest_branch_and_doubles_with_the_stride(width: int) -> None:
    backbone = Hrnet(network=SMALLEST, width=width)
    assert backbone.stages[0]["branch"].channels == width
    branches = backbone.network.stage4[-1].branches
    assert [branch[-1].conv2.out_channels for branch in branches] == [width, 2 * width, 4 * width, 8 * width]
    assert Hrnet(network=SMALLEST).stages[0]["branch"].channels == 16, "timm's own table is as it was"


def test_the_authors_width_is_timms() -> None:
    with torch.device("meta"):
        named, widened = Hrnet(network="hrnet_w32"), Hrnet(network="hrnet_w18", width=32)
    shapes = [{name: tuple(tensor.shape) for name, tensor in it.state_dict().items()} for it in (named, widened)]
    assert shapes[0] == shapes[1]


def test_frozen_batch_norm_keeps_its_statistics() -> None:
    backbone = Hrnet(network=SMALLEST, width=4, frozen_batch_norm=True).train()
    before = backbone.network.bn1.running_mean.clone()
    backbone(torch.randn(2, 3, 64, 64))
    assert torch.equal(backbone.network.bn1.running_mean, before)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"network": "hrnet_w33"}, "did you mean 'hrnet_w32'"),
        ({"network": "resnet50"}, "no network of timm's HRNets named 'resnet50'"),
        ({"width": 8, "pretrained": True}, "give width or pretrained, not both"),
        ({"width": 0}, "width should be"),
    ],
)
def test_what_is_no_hrnet_is_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Hrnet(**options)
