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
from bottomup.workflows.models import with_checkpoint


def run(overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Evaluate as the overrides say; returns what ``metrics.json`` holds."""
    return evaluate(*planned(overrides))


def planned(overrides: Sequence[str]) -> tuple[EvaluatePlan, Checkpoint | None]:
    """The plan of what is typed, with the checkpoint's model and data where there is one."""
    plan = evaluate_plan(overrides)
    model, checkpoint = with_checkpoint(plan.model, plan.weights, overrides)
    data = plan.data.of_checkpoint(checkpoint.config.get("data"), overrides) if checkpoint else plan.data
    return replace(plan, model=model, data=data), checkpoint
