"""The folder that a run writes into."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from bottomup.paths import write_text


def write_config(folder: Path, config: dict[str, Any]) -> None:
    """Write ``config.yaml``, whole or not at all."""
    write_text(folder / "config.yaml", yaml.safe_dump(config, sort_keys=False))
