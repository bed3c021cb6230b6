"""What was measured, as JSON that says where, when and with what."""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from bottomup.types import write_json

Row = dict[str, Any]

_FIELDS: dict[str, type] = {
    "name": str,  # of the benchmark
    "commit": str,  # "-dirty" behind it where files had changed
    "date": str,  # UTC, ISO 8601
    "device": str,
    "threads": int,
    "versions": dict,  # package -> version
    "config": dict,  # what the benchmark was told
    "rows": list,  # one measurement each, keys alike
}
_PACKAGES = ("torch", "numpy", "scipy")


def write_result(path: str | Path, name: str, config: Mapping[str, Any], rows: Sequence[Row], device: str = "cpu") -> Path:
    """Write the rows of benchmark ``name`` and the setting they were measured in; ValueError if they are not as ``check`` wants."""
    result = {
        "name": name,
        "commit": commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": device_name(device),
        "threads": torch.get_num_threads(),
        "versions": {"python": platform.python_version()} | {package: version(package) for package in _PACKAGES},
        "config": dict(config),
        "rows": list(rows),
    }
    check(result)
    return write_json(path, result)


def read_result(path: str | Path) -> dict[str, Any]:
    """Read a result and check it."""
    result: dict[str, Any] = json.loads(Path(path).read_text())
    check(result)
    return result


def check(result: Mapping[str, Any]) -> None:
    """Raise ValueError unless a result has every field, and rows that all have the same keys, ``name`` among them."""
    for field, kind in _FIELDS.items():
        if not isinstance(result.get(field), kind):
            raise ValueError(f"a benchmark's {field!r} should be a {kind.__name__}, got {result.get(field)!r}")
    rows = result["rows"]
    if not rows:
        raise ValueError("a benchmark should have at least one row, got none")
    for row in rows:
        if "name" not in row or row.keys() != rows[0].keys():
            raise ValueError(f"rows should all have a name and the keys {sorted(rows[0])}, got {sorted(row)}")


def commit() -> str:
    """The commit that is checked out, "-dirty" where tracked files differ from it; "unknown" outside a repository."""
    try:
        described = subprocess.run(
            ("git", "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"),
            cwd=Path(__file__).parent, capture_output=True, text=True, check=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return described.stdout.strip()


def device_name(device: str) -> str:
    """What the hardware calls itself."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()
