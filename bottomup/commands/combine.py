"""``bottomup combine init=[A,B] output=DIR``: the parts of one model, trained apart, become one checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bottomup.errors import ConfigError
from bottomup.plan.training import train_plan
from bottomup.workflows.combine import combine
from bottomup.workflows.folders import BEST, alone, without_leftovers, write_config
from bottomup.zoo.weights import checkpoint_file


def run(overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Write ``output``/best.pt, the configured model with the tensors of ``init``'s checkpoints; of two that have one, the last.

    Heads that are ``given`` are never run: their outputs come from elsewhere, as boxes do with ``given=[proposals]``.
    CheckpointError where a tensor is in none of the checkpoints.
    """
    plan = train_plan(overrides)
    if not plan.init or plan.place.output is None:
        raise ConfigError("expected bottomup combine method=… init=[A.pt,B.pt] output=DIR; init= or output= is missing")
    output = plan.place.folder("combine")
    if (output / BEST).exists() and not plan.overwrite:
        raise ConfigError(f"{output} holds a best.pt already; give another output=, or replace it by overwrite=true")
    with without_leftovers(output), alone(output):
        path = combine(plan.model, list(map(checkpoint_file, plan.init)), output / BEST)
        write_config(output, plan.plain())
    print(path)
    return {"path": str(path)}
