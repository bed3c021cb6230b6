"""The tags of several views of an image."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from bottomup.contracts import Head
from bottomup.types import Frame, Outputs

Scales = Literal["nearest", "all"]


def concatenated(head: Head, key: str, views: list[Outputs], frames: list[Frame], onto: Frame, scales: Scales) -> Tensor:
    """The tags ``key`` (B, …, D, h, w) of a head's views as one map whose D counts all views: each counts instances anew.

    ``scales`` says which of the views give tags: those whose scale is "nearest" to 1, or "all". Tags are divided by √views, so that
    equal views are as far apart as one.
    """
    there = {frame.scale for frame in frames}
    chosen = there if scales == "all" else {min(there, key=lambda scale: (abs(math.log(scale)), scale))}
    giving = [index for index, frame in enumerate(frames) if frame.scale in chosen]
    tags = head.aligned(key, [views[index] for index in giving], [frames[index] for index in giving], onto, mode="nearest")
    joined: Tensor = torch.cat(tags, dim=2) * len(tags) ** -0.5
    return joined
