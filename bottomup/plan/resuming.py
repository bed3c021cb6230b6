"""What a run that goes on may not change without being another run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_MATTER = {  # path -> what is then not as if the run had not stopped
    "seed": "images come in another order, so some twice in this epoch and some not at all",
    "engine.batch_size": "its place in the epoch is counted in steps of another size",
    "engine.precision": "from here on its numbers are rounded otherwise",
    "engine.average.name": "the average so far is of another kind",
    "data": "its place in the epoch is one among other images",
}


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """With which options, as plain data, a run goes on that it did not begin with, and what that does; empty where with none."""
    return "; ".join(
        f"{path} is {_at(now, path)!r}, was {_at(before, path)!r}: {what}"
        for path, what in _MATTER.items()
        if _written(_at(now, path)) != _written(_at(before, path))
    )


def _at(config: Any, path: str) -> Any:
    for name in path.split("."):
        config = config.get(name) if isinstance(config, Mapping) else None
    return config


def _written(value: Any) -> str:
    """As files have it: tuples are lists there."""
    return json.dumps(value, sort_keys=True, default=str)
