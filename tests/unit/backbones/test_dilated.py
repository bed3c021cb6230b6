"""Dilated networks: one set of weights at every output stride, cells on pixels s·j."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from bottomup.backbones.dilated import Dilated
from bottomup.geometry import Grid

NETWORKS = ("resnet18", "mobilenetv2_100")
networks = pytest.mark.parametrize("network", NETWORKS)


def make(network: str, output_stride: int, **options: object) -> Dilated:
    torch.manual_seed(0)
    backbone = Dilated(network=network, output_stride=output_stride, **options)  # type: ignore[arg-type]
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)  # timm starts each residual branch at 0, where it would hide what it sees
    return backbone.eval()


@networks
@pytest.mark.parametrize("output_stride", [8, 16, 32])
@pytest.mark.parametrize("side", [97, 129])
def test_a_side_of_n_strides_and_one_has_n_cells_and_one(network: str, output_stride: int, side: int) -> None:
    backbone = make(network, output_stride)
    with torch.no_grad():
        (features,) = backbone(torch.zeros(1, 3, side, 129))
    assert features["C5"].shape[-2:] == ((side - 1) // output_stride + 1, 128 // output_stride + 1)
    assert backbone.stages[-1]["C5"].grid == backbone.coarsest == Grid.cornered(output_stride)


@networks
def test_the_same_weights_give_the_same_features_at_common_pixels(network: str) -> None:
    """Finer strides only fill in cells between: what the coarser net sees at pixel s·j is unchanged."""
    nets = {stride: make(network, stride) for stride in (32, 16, 8)}
    images = torch.randn(1, 3, 97, 129)
    maps = {}
    for stride, net in nets.items():
        net.load_state_dict(nets[32].state_dict())
        with torch.no_grad():
            maps[stride] = net(images)[-1]["C5"]
    torch.testing.assert_close(maps[16][..., ::2, ::2], maps[32], rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(maps[8][..., ::2, ::2], maps[16], rtol=1e-3, atol=1e-3)


def make_positive(backbone: nn.Module) -> None:
    """Averages instead of convolutions, so that every path counts the same and nothing is rectified away."""
    for module in backbone.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 1.0 / module.weight[0].numel())


@pytest.mark.parametrize("output_stride", [8, 16])
def test_cells_see_around_the_pixel_that_their_grid_names(output_stride: int) -> None:
    """The centroid of a cell's gradient on the image is the cell's centre."""
    backbone = make("resnet18", output_stride, auxiliary=True)
    make_positive(backbone)
    images = torch.rand(1, 3, 513, 513).requires_grad_()
    for features, spec in zip(backbone(images), backbone.stages, strict=True):
        ((name, level),) = spec.items()
        cell = level.grid.cells(513) // 2
        (gradient,) = torch.autograd.grad(features[name][0, :, cell, cell - 1].sum(), images, retain_graph=True)
        y, x = centroid(gradient[0].sum(0))
        assert y == pytest.approx(float(level.grid.to_input(torch.tensor(cell))), abs=0.5)
        assert x == pytest.approx(float(level.grid.to_input(torch.tensor(cell - 1))), abs=0.5)


def centroid(weights: Tensor) -> tuple[float, float]:
    """(y, x) in continuous coordinates: pixel 0 is centred at 0.5."""
    rows, columns = (torch.arange(side) + 0.5 for side in weights.shape)
    return float((weights.sum(1) * rows).sum() / weights.sum()), float((weights.sum(0) * columns).sum() / weights.sum())


def test_batch_norm_keeps_its_statistics_and_trains_its_scale() -> None:
    backbone = make("resnet18", 16).train()
    before = {name: tensor.clone() for name, tensor in backbone.named_buffers()}
    backbone(torch.rand(2, 3, 33, 33))[-1]["C5"].sum().backward()
    assert all(torch.equal(tensor, before[name]) for name, tensor in backbone.named_buffers())
    assert all(parameter.grad is not None for parameter in backbone.parameters())
    free = make("resnet18", 16, frozen_batch_norm=False).train()
    assert free.state_dict().keys() == backbone.state_dict().keys()
    free(torch.rand(2, 3, 33, 33))
    assert not all(torch.equal(tensor, before[name]) for name, tensor in free.named_buffers())


@pytest.mark.parametrize(("auxiliary", "first"), [(True, "C4"), ("C4", "C4"), ("C3", "C3")])
def test_an_auxiliary_stage_comes_from_the_middle(auxiliary: bool | str, first: str) -> None:
    backbone = make("resnet18", 16, auxiliary=auxiliary)
    assert [list(stage) for stage in backbone.stages] == [[first], ["C5"]]


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="output_stride should be 8 or 16 or 32"):
        make("resnet18", 4)
    with pytest.raises(ValueError, match="levels are"):
        make("resnet18", 16, levels=(5, 3))
    with pytest.raises(ValueError, match="no auxiliary level named 'C5'"):
        make("resnet18", 16, auxiliary="C5")
    with pytest.raises(ValueError, match="timm cannot build densenet121"):
        make("densenet121", 16)
