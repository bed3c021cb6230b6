"""Any timm network as a pyramid C2…C5."""

from __future__ import annotations

from torch import Tensor

from bottomup.backbones._timm_network import TimmNetwork
from bottomup.contracts import BACKBONES, NORMALISATIONS, Backbone, FeedBack, NormalisationName
from bottomup.geometry import Grid
from bottomup.types import Features


@BACKBONES.register
class Pyramid(Backbone):
    """C2…C5 (strides 4 to 32) of any timm network.

    ``network`` is timm's name. ``pretrained`` fetches timm's weights by name, ``weights`` reads a local file, in timm's or
    torchvision's layout. ``frozen_batch_norm`` keeps the statistics of batch norm. ``normalisation`` names how uint8 RGB becomes
    the network's input (``contracts.NORMALISATIONS``).
    """

    def __init__(
        self,
        *,
        network: str = "resnet50",
        pretrained: bool = False,
        weights: str | None = None,
        frozen_batch_norm: bool = False,
        normalisation: NormalisationName = "imagenet",
    ) -> None:
        super().__init__()
        self.network = TimmNetwork(network, pretrained=pretrained, weights=weights, frozen_batch_norm=frozen_batch_norm)
        self.normalisation = NORMALISATIONS[normalisation]
        self.stages = [self.network.levels_on(Grid.centred)]
        self.coarsest = self.stages[0]["C5"].grid

    def forward(self, images: Tensor, feed_back: FeedBack | None = None) -> list[Features]:
        """One stage of four levels."""
        return [self.network(images)]
