"""A head of your own, trained beside those of a method: how tall is whoever is centred here, in px of the input.

``python examples/own_head.py outputs/heights`` registers the head, adds it to the demo's and trains; a minute on two cores. As a
package of its own it needs no such script: an entry point lets ``bottomup train heads.height={}`` find it, see docs/extend.md.
"""

from __future__ import annotations

import sys

import torch
from torch import Tensor, nn

from bottomup.contracts import HEADS, Head, Source
from bottomup.options import Positive
from bottomup.plan.training import train_plan
from bottomup.types import Batch, Features, Outputs, Targets, Task
from bottomup.workflows.train import train


@HEADS.register_as("height")
class Height(Head):
    """The logarithm of a person's height over ``typical`` px, at the cell in which their box is centred."""

    def __init__(self, source: Source, task: Task, *, typical: Positive = 64.0) -> None:
        super().__init__(source, task)
        self.typical = typical
        self.conv = nn.Conv2d(source.level.channels, 1, 1)
        self.provides = {"height": "B 1 h w"}
        self.grids = {"height": source.level.grid}

    def forward(self, features: Features, outputs: Outputs) -> Outputs:
        (maps,) = features.values()
        return {"height": self.conv(maps).float()}

    def encode(self, batch: Batch, outputs: Outputs) -> Targets:
        values, there = self._at_centres(batch)
        return {"height": values, "there": there}

    def loss(self, outputs: Outputs, targets: Targets) -> dict[str, Tensor]:
        error = (outputs["height"] - targets["height"]).abs() * targets["there"]
        return {"l1": error.sum((1, 2, 3)) / targets["there"].sum((1, 2, 3)).clamp(min=1)}  # (B,)

    def ideal(self, batch: Batch) -> Outputs:
        return {"height": self._at_centres(batch)[0]}

    def _at_centres(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The map (B, 1, h, w) that is right, and where somebody is centred, as 0 and 1; of two in one cell the taller."""
        grid = self.grids["height"]
        h, w = grid.shape(batch.size)
        x, y = grid.nearest((batch.boxes[..., :2] + batch.boxes[..., 2:]) / 2).unbind(-1)  # (B, N) cells
        cell = y.clamp(0, h - 1) * w + x.clamp(0, w - 1)
        tall = (batch.boxes[..., 3] - batch.boxes[..., 1]) * batch.present  # (B, N) input px
        tallest = torch.zeros(len(batch), h * w, device=tall.device).scatter_reduce(1, cell, tall, "amax")
        there = tallest > 0
        values = torch.where(there, tallest / self.typical, 1.0).log()
        return values.view(-1, 1, h, w), there.view(-1, 1, h, w).float()


def main(output: str, *overrides: str) -> None:
    """Train the demo's method with this head."""
    plan = train_plan(["experiment=demo/associative_embedding", "heads.height={weight: 0.01}", f"output={output}", *overrides])
    print(train(plan))


if __name__ == "__main__":
    main(sys.argv[1], "engine.steps=400", "engine.validate_every=400", *sys.argv[2:])
