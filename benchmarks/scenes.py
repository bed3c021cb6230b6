"""What the decoding benchmark decodes: maps of one image, and the people that they show."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from bottomup.contracts import Decoder
from bottomup.geometry import Grid
from bottomup.skeletons import COCO
from bottomup.types import Frame, Outputs, Prediction

NEAR = 2.0  # input px, of a keypoint that comes back
COMES_BACK = 0.95  # of the keypoints, else the row is void


@dataclass(frozen=True)
class Scene:
    """Maps of one image, and the keypoints (N, K, 2) in input px that they show; None for noise."""

    name: str
    outputs: Outputs
    grid: Grid
    side: int  # input px
    keypoints: Tensor | None

    @property
    def frame(self) -> Frame:
        """All of the image is content."""
        content = torch.tensor([[0.0, 0.0, self.side, self.side]])
        return Frame(dict.fromkeys(self.outputs, self.grid), (self.side, self.side), content)

    def recall(self, prediction: Prediction) -> float | None:
        """The part of the keypoints that came back within ``NEAR``, with one instance for each person; None for noise."""
        if self.keypoints is None:
            return None
        apart = (prediction.instances.keypoints[:, None] - self.keypoints).norm(dim=-1)
        back = (apart < NEAR).float().mean(-1).numpy()  # (P, N)
        rows, columns = linear_sum_assignment(back, maximize=True)
        return float(back[rows, columns].sum() / len(self.keypoints))


@dataclass(frozen=True)
class Case:
    """A decoder on a scene, and what it is compared with."""

    scene: Scene
    decoder: Decoder
    options: dict[str, Any]
    baseline: Decoder  # on the same scene
    patched: Callable[[], AbstractContextManager[Any]] = field(default=nullcontext)  # how the baseline is run


def lattice(people: int, side: float, spread: float, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """People on a square lattice: slots (N, 2), and keypoints (N, K, 2) within ``spread`` pitches of each slot's middle."""
    columns = int(np.ceil(np.sqrt(people)))
    pitch = side / columns
    slots = torch.stack((torch.arange(people) % columns, torch.arange(people) // columns), dim=-1)
    about = spread * (2 * torch.rand(people, len(COCO), 2, generator=rng) - 1)
    return slots, (slots[:, None] + 0.5 + about) * pitch


def named(people: int) -> str:
    """How many there are, in words."""
    return f"{people} {'person' if people == 1 else 'people'}"


def sigmoid_noise(*shape: int, generator: torch.Generator) -> Tensor:
    """The sigmoid of normal noise."""
    return torch.randn(*shape, generator=generator).sigmoid()
