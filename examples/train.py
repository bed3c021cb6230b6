"""Train from Python, without a YAML file: ``python examples/train.py outputs/from_python``; a minute on two cores."""

from __future__ import annotations

import sys

from bottomup.engine.optim import Optimiser
from bottomup.engine.settings import Settings
from bottomup.plan.component import Component
from bottomup.plan.data import DataPlan
from bottomup.plan.model import HeadPlan, ModelPlan
from bottomup.plan.parts import Place
from bottomup.plan.training import TrainPlan
from bottomup.workflows.train import train

HEADS = {
    "heatmap": HeadPlan(Component("heatmap", {"sigma": 5.0, "start": "background"}), {"weight": 1.0}),
    "tags": HeadPlan(Component("tags", {"cells": "around"}), {"weight": {"pull": 2e-3, "push": 1e-2}}),
}


def plan(output: str, steps: int = 400) -> TrainPlan:
    """Associative Embedding on one small hourglass and drawn people."""
    return TrainPlan(
        model=ModelPlan(
            method="associative_embedding",
            backbone=Component("hourglass", {"stacks": 1, "channels": 48, "growth": 24, "batch_norm": True}),
            heads=HEADS,
            decoder=Component("associative_embedding", {"tag_threshold": 2.0, "detection_threshold": 0.5}),
            input_size=128,
        ),
        data=DataPlan(name="synthetic", options={"people": [1, 3], "height": [0.65, 0.95], "overlap": 0.0}),
        augment={"flip": 0.5},
        engine=Settings(steps=steps, batch_size=8, optimiser=Optimiser(lr=2e-3), validate_every=steps),
        place=Place(output=output, workers=2),
    )


if __name__ == "__main__":
    print(train(plan(sys.argv[1])))
