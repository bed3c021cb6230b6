"""Any timm network at a dilated output stride, the same weights for all of them."""

from __future__ import annotations

from typing import Annotated, Literal

from torch import Tensor

from bottomup.backbones._timm_network import TimmNetwork
from bottomup.contracts import BACKBONES, NORMALISATIONS, Backbone, FeedBack, NormalisationName
from bottomup.errors import ConfigError, unknown
from bottomup.geometry import Grid
from bottomup.types import Features


@BACKBONES.register
class Dilated(Backbone):
    """A timm network whose last strides became dilations, PersonLab §4.1.

    ``network`` is timm's name. ``output_stride`` 8, 16 or 32 is chosen when composing, on the same weights. Cells lie on pixels
    s·j whatever the stride, so the grids have origin 0.5 and input sides are n·s + 1. ``levels`` are the first and the last of
    C2…C5 that the last stage offers: C5 alone, for where C2 stays at stride 4 a head takes it for the finest. ``auxiliary`` adds
    an earlier supervised stage in the middle of the network, C4 or the level it names. ``frozen_batch_norm`` keeps the statistics
    of batch norm, and trains its scale and shift. ``pretrained`` fetches timm's weights by name, ``weights`` reads a local file,
    in timm's or torchvision's layout. ``normalisation`` names how uint8 RGB becomes the network's input
    (``contracts.NORMALISATIONS``). Raises ConfigError for a network that timm cannot dilate.
    """

    def __init__(
        self,
        *,
        network: str = "resnet50",
        output_stride: Annotated[Literal[8, 16, 32], "input px"] = 16,
        levels: tuple[int, int] = (5, 5),
        auxiliary: bool | str = False,
        pretrained: bool = False,
        weights: str | None = None,
        frozen_batch_norm: bool = True,
        normalisation: NormalisationName = "imagenet",
    ) -> None:
        super().__init__()
        self.network = TimmNetwork(
            network, output_stride=output_stride, pretrained=pretrained, weights=weights, frozen_batch_norm=frozen_batch_norm
        )
        self.normalisation = NORMALISATIONS[normalisation]
        offered = self.network.levels_on(Grid.cornered)
        last = _between(levels, list(offered))
        middle = _middle(auxiliary, list(offered))
        self.stages = [{name: offered[name] for name in names} for names in (middle, last) if names]
        self.coarsest = offered["C5"].grid

    def forward(self, images: Tensor, feed_back: FeedBack | None = None) -> list[Features]:
        """One stage of the chosen levels; with ``auxiliary``, one level of the middle before it."""
        features = self.network(images)
        return [{name: features[name] for name in stage} for stage in self.stages]


def _between(levels: tuple[int, int], offered: list[str]) -> list[str]:
    """The names of the first to the last level."""
    ends = [f"C{level}" for level in levels]
    if not set(ends) <= set(offered) or ends[0] > ends[1]:
        raise ConfigError(f"backbone dilated: levels are [first, last] of {', '.join(offered)}, such as [5, 5]; got {list(levels)}")
    return [name for name in offered if ends[0] <= name <= ends[1]]


def _middle(auxiliary: bool | str, offered: list[str]) -> list[str]:
    """The level of the auxiliary stage, if there is one."""
    name = "C4" if auxiliary is True else auxiliary
    if name is False:
        return []
    if name not in offered[:-1]:
        raise ConfigError("backbone dilated: " + unknown("auxiliary level", str(name), offered[:-1]))
    return [str(name)]
