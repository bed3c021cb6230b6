"""Parts of one model that were trained apart become one checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bottomup.checkpoint import Checkpoint, initialise, load_checkpoint, save_checkpoint, versions
from bottomup.errors import CheckpointError
from bottomup.plan.data import DataPlan
from bottomup.plan.model import ModelPlan


def combine(model: ModelPlan, files: Sequence[Path], path: Path, data: DataPlan | None = None) -> Path:
    """Write ``model`` with the tensors of checkpoints, of several that have one the last's, to ``path``, and the ``data`` it is of.

    CheckpointError where a tensor is in none of them.
    """
    task = load_checkpoint(files[0]).task
    plan = replace(model.without_pretraining(), freeze=(), trained=None)
    whole, _ = plan.compose(task)
    missing = initialise(whole, files)
    if missing:
        some, given = ", ".join(sorted(missing)[:3]), ", ".join(map(str, files))
        raise CheckpointError(
            f"{len(missing)} tensors are in none of {given}, or of another shape: {some}, …; was each part trained?"
        )
    config = plan.carried() | ({} if data is None else {"data": data.carried()})
    return save_checkpoint(path, Checkpoint(config, task, whole.state_dict(), None, None, versions()))
