"""Any timm network at a dilated output stride, the same weights for all of them."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from bottomup.backbones.timm_network import TimmNetwork, normalisation_named
from bottomup.errors import ConfigError
from bottomup.geometry import Grid
from bottomup.stages import BACKBONES, Backbone, Level, Predict
from bottomup.types import Features


@BACKBONES.register
class Dilated(Backbone):
    """C2…C5 of a timm network whose last strides became dilations, PersonLab §4.1.

    ``output_stride`` 8, 16 or 32 is chosen when composing, on the same weights. Cells lie on pixels s·j whatever the stride, so
    the grids have origin 0.5 and input sides are n·s + 1. ``auxiliary`` adds C4 as an earlier supervised stage.
    """

    def __init__(
        self,
        *,
        network: str = "resnet50",
        output_stride: Literal[8, 16, 32] = 16,
        auxiliary: bool = False,
        pretrained: bool = False,
        weights: str | None = None,
        frozen_batch_norm: bool = True,
        normalisation: str = "imagenet",
    ) -> None:
        super().__init__()
        if output_stride not in (8, 16, 32):
            raise ConfigError(f"backbone dilated: output_stride is 8, 16 or 32, got {output_stride}")
        self.network = TimmNetwork(
            network, output_stride=output_stride, pretrained=pretrained, weights=weights, frozen_batch_norm=frozen_batch_norm
        )
        self.normalisation = normalisation_named(normalisation)
        levels = {
            level: Level(self.network.channels[level], Grid.cornered(stride)) for level, stride in self.network.strides.items()
        }
        self.stages = [{"C4": levels["C4"]}, levels] if auxiliary else [levels]
        self.coarsest = levels["C5"].grid

    def forward(self, images: Tensor, predict: Predict | None = None) -> list[Features]:
        """One stage of four levels; with ``auxiliary``, C4 alone before it."""
        features = self.network(images)
        return [{"C4": features["C4"]}, features] if len(self.stages) > 1 else [features]
