"""What ``bottomup report`` is to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bottomup.plan.composing import load_config


@dataclass(frozen=True, kw_only=True)
class ReportPlan:
    """Which results become a page, where, and under which title."""

    results: tuple[str, ...] = ()
    output: str | None = None  # default: where the first results lie
    title: str = ""


def report_plan(overrides: Sequence[str] = ()) -> ReportPlan:
    """The plan of ``bottomup report`` with overrides; ConfigError for what does not fit."""
    config = load_config("report", overrides)
    results, output = config["results"] or (), config["output"]
    results = (results,) if isinstance(results, str) else tuple(results)
    return ReportPlan(results=results, output=None if output is None else str(output), title=str(config["title"]))
