"""``bottomup train``: read, augment, train, validate, keep the best."""

from __future__ import annotations

from collections.abc import Sequence

from bottomup.plan.training import train_plan
from bottomup.workflows.train import train


def run(overrides: Sequence[str] = ()) -> dict[str, float]:
    """Train as the overrides say; returns the last validation's figures."""
    return train(train_plan(overrides))
