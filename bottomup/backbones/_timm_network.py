"""What `pyramid` and `dilated` share: a timm network cut at C2…C5, its weights from timm, a local file or nowhere."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Self

import timm
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from bottomup.backbones._pretrained import load_file
from bottomup.backbones._strided_depthwise import keep_strided_depthwise
from bottomup.contracts import FeatureSpec, Level
from bottomup.errors import ConfigError, nearest
from bottomup.geometry import Grid, smallest_side
from bottomup.types import Features

_STRIDES = {"C2": 4, "C3": 8, "C4": 16, "C5": 32}  # undilated
_DILATING = "resnet*, resnext*, regnet*, mobilenetv2_*, mobilenetv3_*, efficientnet_*"


class TimmNetwork(nn.Module):
    """Any timm network as a dictionary of features C2…C5.

    C5 ends with the network's last convolution where it has one behind its blocks (``conv_head`` of MobileNets and
    EfficientNets). ``strides`` and ``channels`` are by level. Batch norm keeps its statistics where ``frozen_batch_norm``; its
    scale and shift are trained.
    """

    def __init__(
        self,
        network: str,
        *,
        output_stride: int = 32,
        pretrained: bool = False,
        weights: str | None = None,
        frozen_batch_norm: bool = False,
    ) -> None:
        super().__init__()
        self.name = network
        indices = _level_indices(network)
        options: dict[str, Any] = {"features_only": True, "out_indices": tuple(indices.values())}
        if output_stride != 32:
            options["output_stride"] = output_stride
        self.net = create(network, pretrained, options)
        self.top = _top(network, pretrained)
        self.levels = tuple(indices)
        self.channels = dict(zip(indices, self.net.feature_info.channels(), strict=True))
        self.strides = dict(zip(indices, self.net.feature_info.reduction(), strict=True))
        if self.top is not None:
            self.channels["C5"] = self.top[0].out_channels
        keep_strided_depthwise(self.net)
        self.frozen_batch_norm = frozen_batch_norm
        if weights is not None:
            load_file(self, weights)
        self.train()

    def forward(self, images: Tensor) -> Features:
        """Level name -> (B, C, h, w)."""
        features = dict(zip(self.levels, self.net(images), strict=True))
        if self.top is not None:
            features["C5"] = self.top(features["C5"])
        return features

    def levels_on(self, grid: Callable[[int], Grid]) -> FeatureSpec:
        """Its levels, each on the grid of its stride; ConfigError where a black image shows that its cells do not fit them."""
        levels = {name: Level(self.channels[name], grid(self.strides[name])) for name in self.levels}
        side = smallest_side(2 * max(self.strides.values()), [level.grid for level in levels.values()])
        expected = {name: (level.channels, *level.grid.shape((side, side))) for name, level in levels.items()}
        given = _shapes(self, side)
        if given != expected:
            raise ConfigError(
                f"backbone: timm's {self.name} gives maps (C, h, w) of {given} for an input of {side} px, expected {expected}; "
                "take a convolutional network that accepts any input, such as a ResNet or MobileNet"
            )
        return levels

    def train(self, mode: bool = True) -> Self:
        """As nn.Module.train, but frozen batch norm keeps its statistics."""
        super().train(mode)
        if self.frozen_batch_norm:
            keep_statistics(self)
        return self


def keep_statistics(network: nn.Module) -> None:
    """Let batch norm use the statistics that it has, and keep them; until the next ``train()``."""
    for module in network.modules():
        if isinstance(module, _BatchNorm):  # SyncBatchNorm too
            module.eval()


def _level_indices(network: str) -> dict[str, int]:
    """The index of timm's deepest feature of each stride; ConfigError for an unknown network or one without all four."""
    if not timm.is_model(network):
        near = ", ".join(nearest(network, timm.list_models(), most=5)) or "see timm.list_models()"
        raise ConfigError(f"backbone: no timm network named {network!r}; near ones: {near}")
    with torch.device("meta"):
        reductions = create(network, False, {"features_only": True}).feature_info.reduction()
    found = {level: max((i for i, r in enumerate(reductions) if r == stride), default=-1) for level, stride in _STRIDES.items()}
    if min(found.values()) < 0:
        raise ConfigError(f"backbone: timm's {network} has features of strides {reductions}; C2…C5 need 4, 8, 16 and 32")
    return found


def create(network: str, pretrained: bool, options: dict[str, Any]) -> Any:
    """A network of timm's by name; ConfigError where it cannot be built, or its pretrained weights not be fetched."""
    try:
        return timm.create_model(network, pretrained=pretrained, **options)
    except (RuntimeError, TypeError, NotImplementedError, AssertionError) as error:
        wanted = ", ".join(f"{key}={value}" for key, value in options.items())
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        remedy = f"; networks that dilate: {_DILATING}" if "output_stride" in options else ""
        raise ConfigError(f"backbone: timm cannot build {network} with {wanted}: {reason}{remedy}") from error
    except Exception as error:  # the hub's client raises types of its own
        if not pretrained:
            raise
        raise ConfigError(
            f"backbone: the pretrained weights of {network} could not be fetched ({type(error).__name__}); "
            "give a local file with backbone.weights=PATH, or train from scratch with backbone.pretrained=false"
        ) from error


def _top(network: str, pretrained: bool) -> nn.Sequential | None:
    """The convolution behind the last block, where a network has one of the usual shape."""
    with torch.device("meta"):
        probe = create(network, False, {"num_classes": 0})
    if not (isinstance(getattr(probe, "conv_head", None), nn.Conv2d) and hasattr(probe, "bn2")):
        return None
    whole = create(network, pretrained, {"num_classes": 0})
    return nn.Sequential(OrderedDict(conv_head=whole.conv_head, bn2=whole.bn2))


def _shapes(network: TimmNetwork, side: int) -> dict[str, tuple[int, ...]] | str:
    """Each level's (C, h, w) for a square input, or why there is none."""
    training = network.training
    try:
        with torch.no_grad():
            features = network.eval()(torch.zeros(1, 3, side, side))
    except (AssertionError, RuntimeError, ValueError) as error:  # a network of one input size
        return f"none ({next(iter(str(error).splitlines()), type(error).__name__)})"
    finally:
        network.train(training)
    return {name: tuple(maps.shape[1:]) for name, maps in features.items()}
