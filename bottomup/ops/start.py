"""How the weights that make maps begin."""

from __future__ import annotations

import math
from typing import Literal

from torch import nn

Start = Literal["torch", "background"]

_QUIET, _PRIOR = 1e-3, 0.01  # of weights that start as background, and the probability that they give


def start_as(conv: nn.Conv2d, start: Start, logits: bool) -> None:
    """Let the convolution of a head begin as torch drew it, or as "background", whatever the features: all but 0, or its logit.

    The probability of background is 0.01 (RetinaNet §4.1). Behind batch norm, whose features are large from the first step on, a
    network otherwise spends its first thousands of images on unlearning its own noise.
    """
    if start == "torch":
        return
    assert conv.bias is not None
    if not conv.weight.is_meta:  # where torch would import its compiler, seconds long, to draw nothing
        nn.init.normal_(conv.weight, std=_QUIET)
    nn.init.constant_(conv.bias, math.log(_PRIOR / (1 - _PRIOR)) if logits else 0.0)
