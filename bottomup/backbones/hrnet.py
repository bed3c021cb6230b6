"""HRNet: the branch that stays at stride 4 from the first layer to the last."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import timm
from timm.models.hrnet import HighResolutionNetFeatures, cfg_cls
from torch import Tensor, nn

from bottomup.backbones._pretrained import load_file
from bottomup.backbones._timm_network import create, keep_statistics
from bottomup.contracts import BACKBONES, NORMALISATIONS, Backbone, FeedBack, Level, NormalisationName
from bottomup.errors import ConfigError, unknown
from bottomup.geometry import Grid
from bottomup.options import Count
from bottomup.types import Features

_FINEST = 1  # of timm's features: 0 is the stem's first convolution, 1 to 4 the branches of strides 4 to 32
_BRANCHES = {"stage2": 2, "stage3": 3, "stage4": 4}


@BACKBONES.register
class Hrnet(Backbone):
    """HRNet (Sun et al. 2019): parallel branches of strides 4, 8, 16 and 32 that keep exchanging what they see.

    ``network`` is timm's name of one, such as "hrnet_w32". ``width`` replaces the channels of its branches by 1, 2, 4 and 8 times
    itself; None leaves them as they are. One stage of one level, "branch", the finest branch at stride 4; of the last exchange
    only what comes to that is built, as in the published pose networks. ``pretrained`` fetches timm's weights by name,
    ``weights`` reads a local file in timm's layout, which is the authors', too. ``frozen_batch_norm`` keeps the statistics of
    batch norm. ``normalisation`` names how uint8 RGB becomes the network's input (``contracts.NORMALISATIONS``). Raises
    ConfigError for a network that is no HRNet, and for a ``width`` of which there are no pretrained weights.
    """

    def __init__(
        self,
        *,
        network: str = "hrnet_w32",
        width: Count | None = None,
        pretrained: bool = False,
        weights: str | None = None,
        frozen_batch_norm: bool = False,
        normalisation: NormalisationName = "imagenet",
    ) -> None:
        super().__init__()
        self.normalisation = NORMALISATIONS[normalisation]
        self.network = _network(network, width, pretrained)
        last = self.network.stage4[-1]
        last.fuse_layers = last.fuse_layers[:1]
        self.frozen_batch_norm = frozen_batch_norm
        if weights is not None:
            load_file(self, weights)
        self.stages = [{"branch": Level(self.network.feature_info.channels()[0], Grid.centred(4))}]
        self.coarsest = Grid.centred(32)
        self.train()

    def forward(self, images: Tensor, feed_back: FeedBack | None = None) -> list[Features]:
        """One stage of one level (B, C, H/4, W/4)."""
        (finest,) = self.network(images)
        return [{"branch": finest}]

    def train(self, mode: bool = True) -> Self:
        """As nn.Module.train, but frozen batch norm keeps its statistics."""
        super().train(mode)
        if self.frozen_batch_norm:
            keep_statistics(self)
        return self


def _network(name: str, width: int | None, pretrained: bool) -> Any:
    """timm's network with its branches as they are, or of another width."""
    known = timm.list_models("hrnet_*")
    if name.partition(".")[0] not in known:
        raise ConfigError("backbone hrnet: " + unknown("network of timm's HRNets", name, known))
    if width is None:
        return create(name, pretrained, {"features_only": True, "feature_location": "", "out_indices": (_FINEST,)})
    if pretrained:
        raise ConfigError(f"backbone hrnet: no weights of width {width} are published; give width or pretrained, not both")
    published: dict[str, Any] = cfg_cls[name.partition(".")[0].removesuffix("_ssld")]
    stages = {
        stage: published[stage] | {"num_channels": tuple(width * 2**branch for branch in range(branches))}
        for stage, branches in _BRANCHES.items()
    }
    build: Callable[..., nn.Module] = HighResolutionNetFeatures
    return build(published | stages, feature_location="", out_indices=(_FINEST,))
