"""``bottomup impute weights=… data.root=… data.split=… output=FILE.json``: keypoints for the people that nobody annotated any of.

A single-person network finds them in crops around the annotated boxes; they are marked as imputed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bottomup.plan.imputing import impute_plan
from bottomup.workflows.impute import impute


def run(overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Impute as the overrides say; returns how many people have keypoints now."""
    return impute(impute_plan(overrides))
