"""``bottomup combine init=[A,B] output=DIR``: the parts of one model, trained apart, become one checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bottomup.commands.setting import initial_checkpoints, write_config
from bottomup.compose import MODEL_KEYS, compose_model, without_pretraining
from bottomup.engine.checkpoint import Checkpoint, initialise, load_checkpoint, save_checkpoint, versions
from bottomup.errors import CheckpointError, ConfigError
from bottomup.paths import path_of


def run(config: dict[str, Any], overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Write ``output``/best.pt, the configured model with the tensors of ``init``'s checkpoints; of two that have one, the last.

    Heads that are ``given`` are never run: their outputs come from elsewhere, as boxes do with ``given=[proposals]``.
    CheckpointError where a tensor is in none of the checkpoints.
    """
    paths = initial_checkpoints(config)
    if not paths or not config["output"]:
        raise ConfigError("expected bottomup combine method=… init=[A.pt,B.pt] output=DIR; init= or output= is missing")
    task = load_checkpoint(paths[0]).task
    plain = {**without_pretraining(config), "freeze": [], "trained": None}
    model, _ = compose_model(plain, task)
    missing = initialise(model, paths)
    if missing:
        some, given = ", ".join(sorted(missing)[:3]), ", ".join(paths)
        raise CheckpointError(
            f"{len(missing)} tensors are in none of {given}, or of another shape: {some}, …; was each part trained?"
        )
    kept = {key: plain[key] for key in MODEL_KEYS if key in plain}
    output = path_of(str(config["output"]))
    path = save_checkpoint(output / "best.pt", Checkpoint(kept, task, model.state_dict(), None, None, versions()))
    write_config(output, plain)
    print(path)
    return {"path": str(path)}
