"""``bottomup evaluate``: AP, per-keypoint AP, an error breakdown, and the best and worst images drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bottomup.plan.judging import evaluate_plan
from bottomup.workflows.evaluate import evaluate
from bottomup.workflows.models import with_checkpoint


def run(overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Evaluate as the overrides say; returns what ``metrics.json`` holds."""
    plan = evaluate_plan(overrides)
    model, checkpoint = with_checkpoint(plan.model, plan.weights, overrides)
    return evaluate(replace(plan, model=model), checkpoint)
