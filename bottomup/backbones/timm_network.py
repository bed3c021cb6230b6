"""What `pyramid` and `dilated` share: a timm network cut at C2…C5, its weights from timm, a local file or nowhere."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import timm
import torch
from torch import Tensor, nn

from bottomup.errors import CheckpointError, ConfigError
from bottomup.registry import unknown
from bottomup.stages import NORMALISATIONS, Normalisation
from bottomup.types import Features

_STRIDES = {"C2": 4, "C3": 8, "C4": 16, "C5": 32}  # undilated


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
        indices = _level_indices(network)
        options: dict[str, Any] = {"features_only": True, "out_indices": tuple(indices.values())}
        if output_stride != 32:
            options["output_stride"] = output_stride
        self.net = _create(network, pretrained, options)
        self.top = _top(network, pretrained)
        self.levels = tuple(indices)
        self.channels = dict(zip(indices, self.net.feature_info.channels(), strict=True))
        self.strides = dict(zip(indices, self.net.feature_info.reduction(), strict=True))
        if self.top is not None:
            self.channels["C5"] = self.top[0].out_channels
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

    def train(self, mode: bool = True) -> Self:
        """As nn.Module.train, but frozen batch norm keeps its statistics."""
        super().train(mode)
        if self.frozen_batch_norm:
            for module in self.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        return self


def normalisation_named(name: str) -> Normalisation:
    """A normalisation of stages.NORMALISATIONS; ConfigError with the nearest names."""
    if name not in NORMALISATIONS:
        raise ConfigError("backbone: " + unknown("normalisation", name, list(NORMALISATIONS)))
    return NORMALISATIONS[name]


def _level_indices(network: str) -> dict[str, int]:
    """The index of timm's deepest feature of each stride; ConfigError for an unknown network or one without all four."""
    if network not in timm.list_models():
        raise ConfigError("backbone: " + unknown("timm network", network, timm.list_models()))
    with torch.device("meta"):
        reductions = _create(network, False, {"features_only": True}).feature_info.reduction()
    found = {level: max((i for i, r in enumerate(reductions) if r == stride), default=-1) for level, stride in _STRIDES.items()}
    if min(found.values()) < 0:
        raise ConfigError(f"backbone: timm's {network} has features of strides {reductions}; C2…C5 need 4, 8, 16 and 32")
    return found


def _create(network: str, pretrained: bool, options: Mapping[str, Any]) -> Any:
    try:
        return timm.create_model(network, pretrained=pretrained, **options)
    except (RuntimeError, TypeError, NotImplementedError, AssertionError) as error:
        wanted = ", ".join(f"{key}={value}" for key, value in options.items())
        raise ConfigError(f"backbone: timm cannot build {network} with {wanted}: {str(error).splitlines()[0]}") from error
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
        probe = _create(network, False, {"num_classes": 0})
    if not (isinstance(getattr(probe, "conv_head", None), nn.Conv2d) and hasattr(probe, "bn2")):
        return None
    whole = _create(network, pretrained, {"num_classes": 0})
    return nn.Sequential(OrderedDict(conv_head=whole.conv_head, bn2=whole.bn2))


def load_file(network: TimmNetwork, path: str) -> list[str]:
    """Load a state dict in timm's names, or in another library's for the same layers in the same order (torchvision's).

    Returns the names of the file's tensors that the network has no place for (a classifier). Raises CheckpointError naming
    file and tensor where something does not fit.
    """
    if not Path(path).is_file():
        raise CheckpointError(f"{path}: no such weights file (backbone.weights)")
    try:
        read = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises half a dozen types for broken files
        raise CheckpointError(f"{path}: not readable as weights: {str(error).splitlines()[0]}") from error
    tensors: dict[str, Tensor] = read.get("state_dict", read)
    own = network.state_dict()
    by_name = {name: name.split(".", 1)[1] for name in own}  # without "net." or "top."
    named = all(there in tensors for there in by_name.values())
    pairs = by_name if named else _by_order(own, tensors, path)
    for name, there in pairs.items():
        if own[name].shape != tensors[there].shape:
            raise CheckpointError(f"{path}: {there} is {tuple(tensors[there].shape)}, the network expects {tuple(own[name].shape)}")
    network.load_state_dict({name: tensors[there] for name, there in pairs.items()})
    used = set(pairs.values())
    return [there for there in tensors if there not in used]


def _by_order(own: Mapping[str, Tensor], tensors: Mapping[str, Tensor], path: str) -> dict[str, str]:
    """Pair tensors by their place: both list the layers in the order in which they run."""
    theirs = [name for name in tensors if not name.startswith(("classifier", "fc", "head"))]
    if len(theirs) != len(own):
        first = next((name for name in own if name.split(".", 1)[1] not in tensors), "")
        raise CheckpointError(
            f"{path}: {len(theirs)} tensors, the network has {len(own)}; it lacks {first.split('.', 1)[1]!r}, for one. "
            "Is it another network (backbone.network)?"
        )
    return dict(zip(own, theirs, strict=True))
