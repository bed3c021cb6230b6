"""``bottomup evaluate``: AP, per-keypoint AP, an error breakdown, and the best and worst images drawn.

Model and data are those of the checkpoint's run, with what is typed on top.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bottomup.checkpoint import Checkpoint
from bottomup.plan.judging import EvaluatePlan, evaluate_plan
from bottomup.workflows.evaluate import evaluate
from bottomup.workflows.models import with_checkpoints


def run(overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Evaluate as the overrides say; returns what ``metrics.json`` holds."""
    return evaluate(*planned(overrides))


def planned(overrides: Sequence[str]) -> tuple[EvaluatePlan, list[Checkpoint]]:
    """The plan of what is typed, with the checkpoints' models, and the data of the first, where there are any."""
    plan = evaluate_plan(overrides)
    loaded = with_checkpoints(plan.model, plan.weights, overrides)
    checkpoints = [one.checkpoint for one in loaded if one.checkpoint is not None]
    data = plan.data.of_checkpoint(checkpoints[0].config.get("data"), overrides) if checkpoints else plan.data
    models = [one.model for one in loaded]
    return replace(plan, model=models[0], others=tuple(models[1:]), data=data), checkpoints
