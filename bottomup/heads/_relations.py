"""What is made of the crops of one person: the Pose Residual Network, MultiPoseNet §3.4, and what it is compared with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bottomup.ops.crops import CROP, gaussians
from bottomup.ops.int8 import Int8Linear

Softmax = Literal["all", "keypoint"]
Weights = Literal["fp32", "int8"]
_LINEAR: dict[Weights, type[nn.Linear]] = {"fp32": nn.Linear, "int8": Int8Linear}

NOTHING = 1e-12  # of an activation, whose logarithm is finite
_UNLIKELY = -6.0  # the logit that UCR's prior starts from: of 2016 cells, about 5 hold a gaussian of σ = 2


class Relation(nn.Module, ABC):
    """Crops of a person to activations."""

    @abstractmethod
    def forward(self, crops: Tensor) -> Tensor:
        """The logarithms (B, R, K, 56, 36) of the activations, of crops of that shape."""

    def supervised(self, logits: Tensor) -> Tensor:
        """The logarithms, at most 0, of what is to become the targets: of the activations themselves."""
        return logits


class Perceptron(Relation):
    """The multilayer perceptron of eq. 3 and its softmax, over "all" cells of a person or those of each "keypoint".

    ``weights`` are what its layers predict from.
    """

    def __init__(
        self, keypoints: int, hidden: Sequence[int], dropout: float, output_relu: bool, softmax: Softmax, weights: Weights
    ) -> None:
        super().__init__()
        self.softmax, linear = softmax, _LINEAR[weights]
        widths = [keypoints * CROP[0] * CROP[1], *hidden]
        layers: list[nn.Module] = []
        for width, wider in zip(widths, hidden, strict=False):
            layers += [linear(width, wider), nn.ReLU(), nn.Dropout(dropout)]
        layers += [linear(widths[-1], widths[0]), nn.ReLU() if output_relu else nn.Identity()]
        self.layers = nn.Sequential(*layers)

    def forward(self, crops: Tensor) -> Tensor:
        """The logarithms (B, R, K, 56, 36) of what softmax makes of crops of that shape."""
        return self.correct(crops).flatten(2 if self.softmax == "all" else 3).log_softmax(-1).view_as(crops)

    def correct(self, crops: Tensor) -> Tensor:
        """What enters the softmax."""
        corrected: Tensor = self.layers(crops.flatten(2)).float().reshape(crops.shape)
        return corrected


class Residual(Perceptron):
    """Eq. 1: what the perceptron makes of the crops is added to them."""

    def correct(self, crops: Tensor) -> Tensor:
        """What enters the softmax."""
        return super().correct(crops) + crops


class Prior(Relation):
    """Eq. 2, the unary conditional relationship: crops times where in a box each keypoint is expected, learned from the targets.

    Not counted but learned: a parameter, which under the one engine comes to the prior that the loss likes best, the mean of the
    targets, at a learning rate of some 3e-2.
    """

    def __init__(self, keypoints: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.full((keypoints, *CROP), _UNLIKELY))

    def forward(self, crops: Tensor) -> Tensor:
        """The logarithms of crops (B, R, K, 56, 36) times the prior."""
        return (crops * self.logits.sigmoid()).clamp(min=NOTHING).log()

    def supervised(self, logits: Tensor) -> Tensor:
        """The logarithms of what is to become the targets: of the prior, for everybody; the best one is their mean."""
        return F.logsigmoid(self.logits).expand_as(logits)


class Highest(Relation):
    """The first baseline of §3.4: a gaussian at the highest cell of each crop. It learns nothing."""

    def __init__(self, sigma: float) -> None:
        super().__init__()
        self.sigma = sigma

    def forward(self, crops: Tensor) -> Tensor:
        """The logarithms of the gaussians (B, R, K, 56, 36), of crops of that shape."""
        highest = crops.flatten(3).argmax(-1)  # (B, R, K)
        peak = torch.stack((highest % CROP[1], highest // CROP[1]), dim=-1) + 0.5
        there = crops.flatten(3).amax(-1) > 0
        return gaussians(peak[..., None, :], there[..., None].float(), self.sigma).float().clamp(min=NOTHING).log()

    def supervised(self, logits: Tensor) -> Tensor:
        """The logarithms of what is to become the targets: of the activations themselves, none above 1."""
        return logits.clamp(max=0.0)
