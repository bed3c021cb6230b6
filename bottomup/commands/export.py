"""``bottomup export``: network and decoder as one file, ONNX or a program of PyTorch, that is complete by itself.

The model is that of the checkpoint's run, with what is typed on top.
"""

from __future__ import annotations

import datetime
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bottomup.checkpoint import Checkpoint
from bottomup.errors import ConfigError
from bottomup.export.files import SUFFIXES, export
from bottomup.paths import check_writable, path_of
from bottomup.plan.exporting import ExportPlan, export_plan
from bottomup.workflows.models import make_predictor, with_checkpoint

_MEGABYTE = 1e6


def run(overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Write the file; returns ``{"path": …, "bytes": …}``."""
    plan, checkpoint = planned(overrides)
    path = file_of(plan)
    if path.is_dir() or (path.exists() and not plan.overwrite):
        replaced = "" if path.is_dir() else ", or replace it by overwrite=true"
        raise ConfigError(f"output: {path} exists already; give another output={replaced}")
    check_writable(path)  # what follows takes minutes
    predictor = make_predictor(plan.model, plan.viewing, "cpu", checkpoint, checkpoint.task, plan.weights)
    print(f"{plan.weights}: making its graph, which takes a minute or more", file=sys.stderr)
    export(predictor, path, plan.format, plan.sides)
    size = path.stat().st_size
    print(f"{path}: {size / _MEGABYTE:.1f} MB, network and decoder")
    return {"path": str(path), "bytes": size}


def planned(overrides: Sequence[str]) -> tuple[ExportPlan, Checkpoint]:
    """The plan of what is typed, with the checkpoint's model; ConfigError where weights are missing."""
    plan = export_plan(overrides)
    if not plan.weights:
        raise ConfigError(
            "weights= is missing: give a checkpoint (best.pt or last.pt of a run), or a name that `bottomup zoo` lists"
        )
    model, checkpoint = with_checkpoint(plan.model, plan.weights, overrides)
    assert checkpoint is not None  # of weights, which are there
    return replace(plan, model=model), checkpoint


def file_of(plan: ExportPlan) -> Path:
    """The file that a plan writes: ``output``, or model.onnx or model.pt2 in it where it names a folder."""
    suffix = SUFFIXES[plan.format]
    if plan.output is None:
        now = datetime.datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
        return Path("outputs") / "export" / now / f"model{suffix}"
    path = path_of(plan.output)
    return path if path.suffix == suffix else path / f"model{suffix}"
