"""The folder that a run writes into."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml


def write_config(folder: Path, config: dict[str, Any]) -> None:
    """Write ``config.yaml``, whole or not at all."""
    partial = folder / f".config.yaml.{os.getpid()}"
    partial.write_text(yaml.safe_dump(config, sort_keys=False))
    partial.replace(folder / "config.yaml")
