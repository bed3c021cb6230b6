"""What every backbone must keep to, whichever it is."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from bottomup.backbones.dilated import Dilated
from bottomup.backbones.hourglass import Hourglass
from bottomup.backbones.hrnet import Hrnet
from bottomup.backbones.mobilenet_v1 import MobilenetV1
from bottomup.backbones.pyramid import Pyramid
from bottomup.contracts import BACKBONES, NORMALISATIONS, Backbone
from bottomup.geometry import smallest_side
from bottomup.types import Features

FED_BACK = 5
NETWORKS = {"resnet": "test_resnet", "efficientnet": "test_efficientnet"}  # timm's smallest ones
BUILD: dict[str, Callable[..., Backbone]] = {
    "hourglass": partial(Hourglass, stacks=2, levels=1, channels=8, growth=4),
    "hourglass bn": partial(Hourglass, stacks=2, levels=2, channels=8, growth=4, batch_norm=True),
    "hourglass normed first": partial(Hourglass, stacks=2, levels=1, channels=8, growth=4, batch_norm="before"),
    "hrnet": partial(Hrnet, network="hrnet_w18_small", width=4),
    "pyramid resnet": partial(Pyramid, network=NETWORKS["resnet"]),
    "pyramid efficientnet": partial(Pyramid, network=NETWORKS["efficientnet"], frozen_batch_norm=True),
    "dilated 16": partial(Dilated, network="resnet18", auxiliary=True),
    "mobilenet_v1 16": partial(MobilenetV1, depth=0.25),
    "mobilenet_v1 8": partial(MobilenetV1, depth=0.25, output_stride=8, native_stride=32),
    "dilated 8": partial(Dilated, network=NETWORKS["efficientnet"], output_stride=8, levels=(2, 5), frozen_batch_norm=False),
}
backbones = pytest.mark.parametrize("name", BUILD)


@pytest.fixture(autouse=True)
def _forget_what_was_compiled() -> None:
    """Every backbone is compiled through the same class; together they would reach dynamo's limit of recompilations."""
    torch._dynamo.reset()


def make_backbone(name: str) -> Backbone:
    torch.manual_seed(0)
    backbone = BUILD[name]()
    if backbone.feeds_back:
        backbone.connect(FED_BACK)
    return backbone


def make_images(backbone: Backbone, images: int = 2, least: tuple[int, int] = (64, 72)) -> Tensor:
    h, w = (smallest_side(side, [backbone.coarsest]) for side in least)
    return torch.randn(images, 3, h, w, generator=torch.Generator().manual_seed(1))


def feed_back(features: Features, stage: int) -> Tensor:
    """Maps that depend on the features of the stage."""
    (maps,) = features.values()
    return maps.float().mean(1, keepdim=True).expand(-1, FED_BACK, -1, -1)


class FedBack(torch.nn.Module):
    """A backbone with its predictions, a function of images alone: what is compiled and exported."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, images: Tensor) -> list[Features]:
        stages: list[Features] = self.backbone(images, feed_back if self.backbone.feeds_back else None)
        return stages


def run(backbone: Backbone, images: Tensor) -> list[Features]:
    stages: list[Features] = FedBack(backbone)(images)
    return stages


def assert_equal(first: list[Features], second: list[Features], **tolerance: float) -> None:
    for one, other in zip(first, second, strict=True):
        assert one.keys() == other.keys()
        for level, maps in one.items():
            torch.testing.assert_close(maps, other[level], **tolerance)


def test_all_registered_backbones_are_tested_here() -> None:
    assert {name.split()[0] for name in BUILD} >= set(BACKBONES.names())


@backbones
@pytest.mark.parametrize("least", [(64, 72), (96, 128)])
def test_features_have_the_declared_levels_channels_and_cells(name: str, least: tuple[int, int]) -> None:
    backbone = make_backbone(name).eval()
    images = make_images(backbone, 1, least)
    stages = run(backbone, images)
    assert len(stages) == len(backbone.stages)
    for features, spec in zip(stages, backbone.stages, strict=True):
        assert list(features) == list(spec)
        strides = [level.grid.stride for level in spec.values()]
        assert strides == sorted(strides), "finest first"
        for level, maps in features.items():
            assert maps.shape[1:] == (spec[level].channels, *spec[level].grid.shape(images.shape[-2:]))


@backbones
def test_every_grid_accepts_the_sides_that_the_coarsest_accepts(name: str) -> None:
    backbone = make_backbone(name)
    for least in range(64, 200, 7):
        side = smallest_side(least, [backbone.coarsest])
        assert all(level.grid.accepts(side) for spec in backbone.stages for level in spec.values())


@backbones
def test_an_image_has_the_same_features_alone_and_in_a_batch(name: str) -> None:
    backbone = make_backbone(name).eval()
    images = make_images(backbone, 3)
    whole = run(backbone, images)
    for row in range(3):
        single = run(backbone, images[row : row + 1])
        assert_equal(single, [{k: v[row : row + 1] for k, v in stage.items()} for stage in whole], rtol=1e-4, atol=1e-4)


@backbones
def test_every_parameter_gets_a_gradient(name: str) -> None:
    backbone = make_backbone(name).train()
    stages = run(backbone, make_images(backbone))
    torch.stack([maps.square().mean() for stage in stages for maps in stage.values()]).sum().backward()
    assert not [key for key, p in backbone.named_parameters() if p.grad is None or not p.grad.isfinite().all()]


@backbones
def test_weights_move_to_a_second_backbone_exactly(name: str) -> None:
    first, second = make_backbone(name).eval(), make_backbone(name).eval()
    for parameter in second.parameters():
        torch.nn.init.zeros_(parameter)
    second.load_state_dict(first.state_dict())
    images = make_images(first)
    assert_equal(run(first, images), run(second, images), rtol=0, atol=0)


@backbones
def test_compiled_equals_eager(name: str) -> None:
    model = FedBack(make_backbone(name)).eval()
    images = make_images(model.backbone)
    with torch.no_grad():
        compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
        assert_equal(compiled(images), model(images))


@pytest.mark.parametrize("name", ["hourglass", "pyramid efficientnet"])  # one of each kind: tracing the backward takes seconds
def test_a_training_step_compiles_whole(name: str) -> None:
    model = FedBack(make_backbone(name)).train()
    images = make_images(model.backbone)
    stages = torch.compile(model, fullgraph=True, backend="aot_eager")(images)
    torch.stack([maps.square().mean() for stage in stages for maps in stage.values()]).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


@backbones
def test_exported_equals_eager(name: str) -> None:
    model = FedBack(make_backbone(name)).eval()
    images = make_images(model.backbone)
    with torch.no_grad():
        exported = torch.export.export(model, (images,)).module()
        assert_equal(exported(images), model(images))


@backbones
def test_channels_last_changes_nothing(name: str) -> None:
    backbone = make_backbone(name).eval()
    images = make_images(backbone)
    plain = run(backbone, images)
    backbone = backbone.to(memory_format=torch.channels_last)
    moved = run(backbone, images.contiguous(memory_format=torch.channels_last))
    assert_equal(plain, moved, rtol=1e-3, atol=1e-4)


@backbones
def test_half_precision_gives_nearly_the_same_features(name: str) -> None:
    backbone = make_backbone(name).eval()
    images = make_images(backbone)
    plain = run(backbone, images)
    with torch.autocast("cpu", torch.bfloat16):
        half = run(backbone, images)
    for one, other in zip(plain, half, strict=True):
        for level, maps in one.items():
            error = (other[level].float() - maps).square().mean().sqrt()
            assert error < 0.1 * maps.square().mean().sqrt()


@backbones
def test_only_what_feeds_back_is_connected(name: str) -> None:
    backbone = BUILD[name]()
    if backbone.feeds_back:
        assert len(backbone.stages) > 1
    else:
        with pytest.raises(NotImplementedError, match="feeds nothing back"):
            backbone.connect(FED_BACK)


@backbones
def test_a_normalisation_is_chosen_by_name(name: str) -> None:
    assert BUILD[name](normalisation="symmetric").normalisation == NORMALISATIONS["symmetric"]
    with pytest.raises(ValueError, match="did you mean 'imagenet'"):
        BUILD[name](normalisation="imagnet")
