"""Keypoints that tremble less: the One-Euro filter, of a low cutoff while a point rests and a high one while it moves."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from bottomup.options import FromZero, Positive, checked


@checked("smoothing")
@dataclass(frozen=True, kw_only=True)
class Smoothing:
    """The One-Euro filter (Casiez, Roussel and Vogel 2012).

    What trembles faster than ``min_cutoff`` is taken from a keypoint at rest: lower is smoother. ``beta`` is by how much the cutoff
    rises with each person's size, the root of its area, that a keypoint moves in a second: higher lags less.
    ``speed_cutoff`` smooths the speed itself.
    """

    min_cutoff: Annotated[Positive, "Hz"] = 1.5
    beta: FromZero = 3.0
    speed_cutoff: Annotated[Positive, "Hz"] = 1.0


def one_euro(
    points: Tensor, before: Tensor, speed: Tensor, seconds: Tensor, sizes: Tensor, options: Smoothing
) -> tuple[Tensor, Tensor]:
    """Points (P, K, 2) px filtered, and their speed, from what both were ``seconds`` (P,) ago; a point that is new stays as it is.

    ``sizes`` (P,) px are the people's. NaN is a keypoint that was not found; it starts anew where it is found again.
    """
    elapsed, size = seconds[:, None, None], sizes[:, None, None]
    now = (points - before) / elapsed
    known = before.isfinite() & points.isfinite()
    rate = _share(torch.full_like(elapsed, options.speed_cutoff), elapsed)
    smooth_speed = torch.where(known, speed + rate * (now - speed), 0.0)
    relative = smooth_speed.norm(dim=-1, keepdim=True) / size
    share = _share(options.min_cutoff + options.beta * relative, elapsed)
    filtered = torch.where(known, before + share * (points - before), points)
    return filtered, torch.where(points.isfinite(), smooth_speed, 0.0)


def _share(cutoff: Tensor, elapsed: Tensor) -> Tensor:
    """How much of a new value an exponential filter of a cutoff in Hz takes over after so many seconds."""
    turned = 2 * math.pi * cutoff * elapsed
    return turned / (turned + 1)
