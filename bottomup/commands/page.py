"""``bottomup page``: networks in one HTML file, which opens from a disk and finds people in pictures without a connection.

Each model is that of its checkpoint's run, with what is typed on top.
"""

from __future__ import annotations

import datetime
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bottomup.errors import ConfigError, counted
from bottomup.images import find_images
from bottomup.page.assembly import assemble, check_examples
from bottomup.page.networks import PageNetwork, numbered, page_network
from bottomup.page.onnxruntime_web import onnxruntime_web
from bottomup.paths import check_writable, path_of, write_text
from bottomup.plan.paging import PagePlan, page_plan
from bottomup.workflows.models import Loaded, make_predictor, with_checkpoints

_MEGABYTE = 1e6
_NAME = "page.html"


def run(overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Write the page; returns ``{"path": …, "bytes": …}``."""
    plan = page_plan(overrides)
    if not plan.weights:
        raise ConfigError(
            "weights= is missing: give a checkpoint, or a name that `bottomup zoo` lists, or a list: weights=[a.pt,b.pt]"
        )
    path = _file_of(plan)
    check_writable(path)  # what follows takes minutes
    examples = [] if plan.images is None else find_images(plan.images)
    check_examples(examples)
    loaded = with_checkpoints(plan.model, plan.weights, overrides)
    runtime = onnxruntime_web(plan.onnxruntime_web)
    networks = numbered([_network(plan, one, overrides) for one in loaded])
    write_text(path, assemble(networks, runtime, plan.title, examples))
    size = path.stat().st_size
    print(f"{path}: {size / _MEGABYTE:.1f} MB, {counted(len(networks), 'network')}; open it in a browser")
    return {"path": str(path), "bytes": size}


def _network(plan: PagePlan, loaded: Loaded, overrides: Sequence[str]) -> PageNetwork:
    assert loaded.checkpoint is not None  # of weights, which are there
    print(f"{loaded.weights}: making its graph, which takes a minute or more", file=sys.stderr)
    predictor = make_predictor(loaded.model, plan.viewing, "cpu", loaded.checkpoint, loaded.checkpoint.task, loaded.weights)
    return page_network(predictor, str(loaded.weights), plan.hover, plan.stored_as, plan.options(overrides))


def _file_of(plan: PagePlan) -> Path:
    """The file that a plan writes; ConfigError where it is there already and is not to be replaced."""
    if plan.output is None:
        return Path("outputs") / "page" / datetime.datetime.now().strftime("%Y-%m-%d_%H-%M-%S") / _NAME
    path = path_of(plan.output)
    path = path if path.suffix in (".html", ".htm") else path / _NAME
    if path.is_dir() or (path.exists() and not plan.overwrite):
        replaced = "" if path.is_dir() else ", or replace it by overwrite=true"
        raise ConfigError(f"output: {path} exists already; give another output={replaced}")
    return path
