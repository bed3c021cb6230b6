"""Metrics as text and as a file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bottomup.paths import path_of, write_json


def format_table(metrics: Mapping[str, float], per_row: int = 10) -> str:
    """Metrics in [0, 1] as plain text: names above percentages with two decimals, right-aligned; n/a for NaN.

    After ``per_row`` metrics the table goes on below.
    """
    cells = [(name, "n/a" if math.isnan(value) else f"{100 * value:.2f}") for name, value in metrics.items()]
    width = max((len(text) for cell in cells for text in cell), default=0)
    rows = [cells[start : start + per_row] for start in range(0, len(cells), per_row)]
    return "\n".join("  ".join(text.rjust(width) for text in line) for row in rows for line in zip(*row, strict=True))


def write_metrics(directory: str | Path, metrics: Mapping[str, object]) -> Path:
    """Write nested metrics to ``metrics.json`` in ``directory``, whole or not at all, and return its path.

    NaN and infinities become null, which JSON has; numpy numbers and tensors of one element become plain numbers.
    """
    return write_json(path_of(directory) / "metrics.json", plain(metrics))


def plain(value: Any) -> Any:
    """A value as JSON has it: not-a-number and infinities are null, numpy numbers and tensors of one element plain numbers."""
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
