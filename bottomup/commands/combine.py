"""``bottomup combine init=[A,B] output=DIR``: the parts of one model, trained apart, become one checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bottomup.checkpoint import Checkpoint, initialise, load_checkpoint, save_checkpoint, versions
from bottomup.errors import CheckpointError, ConfigError
from bottomup.plan.training import train_plan
from bottomup.workflows.folders import alone, without_leftovers, write_config
from bottomup.zoo.weights import checkpoint_file


def run(overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Write ``output``/best.pt, the configured model with the tensors of ``init``'s checkpoints; of two that have one, the last.

    Heads that are ``given`` are never run: their outputs come from elsewhere, as boxes do with ``given=[proposals]``.
    CheckpointError where a tensor is in none of the checkpoints.
    """
    plan = train_plan(overrides)
    if not plan.init or plan.place.output is None:
        raise ConfigError("expected bottomup combine method=… init=[A.pt,B.pt] output=DIR; init= or output= is missing")
    files = list(map(checkpoint_file, plan.init))
    task = load_checkpoint(files[0]).task
    plan = replace(plan, model=replace(plan.model.without_pretraining(), freeze=(), trained=None))
    model, _ = plan.model.compose(task)
    missing = initialise(model, files)
    if missing:
        some, given = ", ".join(sorted(missing)[:3]), ", ".join(plan.init)
        raise CheckpointError(
            f"{len(missing)} tensors are in none of {given}, or of another shape: {some}, …; was each part trained?"
        )
    output = plan.place.folder("combine")
    if (output / "best.pt").exists() and not plan.overwrite:
        raise ConfigError(f"{output} holds a best.pt already; give another output=, or replace it by overwrite=true")
    checkpoint = Checkpoint(plan.model.carried(), task, model.state_dict(), None, None, versions())
    with without_leftovers(output), alone(output):
        path = save_checkpoint(output / "best.pt", checkpoint)
        write_config(output, plan.plain())
    print(path)
    return {"path": str(path)}
