"""What was measured, as JSON that says where, when and with what."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypedDict, cast, get_origin, get_type_hints

import torch

from bottomup.paths import path_of, write_json

Row = dict[str, Any]

SCHEMA = 2  # what is written; files of 1, which do not say so, have rows without their own circumstances


class Circumstances(TypedDict):
    """Where and when something was measured, and with which code."""

    device: str
    threads: int
    commit: str  # "-dirty" behind it where files had changed
    date: str  # UTC, ISO 8601


CIRCUMSTANCES = tuple(Circumstances.__annotations__)


class Result(Circumstances):
    """What a file of a benchmark holds."""

    schema: int
    name: str  # of the benchmark
    versions: dict[str, str]  # of packages
    config: dict[str, Any]  # what it was run with
    rows: list[Row]  # one measurement each, keys alike


_KINDS = {field: get_origin(kind) or kind for field, kind in get_type_hints(Result).items()}
_FIELDS = {
    field: _KINDS[field] for field in sorted(_KINDS, key=lambda field: field in CIRCUMSTANCES)
}  # what a file is of, then where
_PACKAGES = ("torch", "torchvision", "timm", "numpy", "scipy", "albumentations", "pycocotools")
_SHORT = 12  # hexadecimal digits that tell two files apart


def write_result(
    path: str | Path,
    name: str,
    config: Mapping[str, object],
    rows: Sequence[Row],
    device: str = "cpu",
    measured: Circumstances | None = None,
) -> Path:
    """Write the rows of benchmark ``name`` and their circumstances; ValueError if they are not as ``checked`` wants.

    ``measured`` is that ``circumstances``, where it is not here and now. Figures that are not finite are null.
    """
    where = circumstances(device) if measured is None else measured
    versions = {"python": platform.python_version()} | {package: version(package) for package in _PACKAGES}
    result = {"schema": SCHEMA, "name": name, **where, "versions": versions, "config": dict(config), "rows": list(rows)}
    return write_json(path, checked(result))


def read_result(path: str | Path) -> Result:
    """Read a result and check it, ValueError says what is wrong; one that does not say its ``schema`` is of the first."""
    read = json.loads(path_of(path).read_text())
    if not isinstance(read, dict):
        raise ValueError(f"a benchmark's result should be an object, got a {type(read).__name__}")
    return checked({"schema": 1} | read)


def checked(result: dict[str, Any]) -> Result:
    """A result as it is; ValueError unless it has every field, and rows, objects of the same keys, ``name`` among them."""
    for field, kind in _FIELDS.items():
        if not isinstance(result.get(field), kind):
            raise ValueError(f"a benchmark's {field!r} should be a {kind.__name__}, got {result.get(field)!r}")
    if not 1 <= result["schema"] <= SCHEMA:
        raise ValueError(f"a benchmark's schema should be 1 to {SCHEMA}, got {result['schema']}; read it with a newer bottomup")
    rows = result["rows"]
    if not rows:
        raise ValueError("a benchmark should have at least one row, got none")
    for number, row in enumerate(rows):
        if not isinstance(row, dict):
            raise ValueError(f"row {number} should be an object, got a {type(row).__name__}")
        if "name" not in row or row.keys() != rows[0].keys():
            raise ValueError(f"rows should all have a name and the keys {sorted(rows[0])}, got {sorted(row)}")
    return cast(Result, result)


def blank_row(name: str, choices: Mapping[str, str], overrides: Sequence[str], folder: str, device: str = "cpu") -> Row:
    """A row of ``bottomup benchmark`` to be filled: all of its keys, of here and now. ``folder`` is of its pictures."""
    return {
        "name": name,
        "choices": dict(choices),
        "overrides": list(overrides),
        "folder": folder,
        "status": "measured",  # or refused, failed
        "reason": "",  # why it was, or what its figures lack
        **circumstances(device),
        "judged": {},  # on which images, at which size and precision
        "figures": {},
        "spread": {},  # of the figures over seeds: the greatest less the least
        "oracle": {},  # the figures with all maps that the decoder reads ideal
        "grouping": {},  # with an ideal heatmap
        "parameters": {},  # by block
        "gigamacs": None,
        "latency": {},  # by block
        "images_per_second": {},  # by batch size
        "peak_mebibytes": None,
        "training": None,
        "weights_hash": None,
        "training_images_per_second": None,
        "training_precision": None,  # of that rate: what engine.precision=auto became on this device
        "matrix_share": None,
    }


def circumstances(device: str) -> Circumstances:
    """The circumstances here and now: the device's name, torch's threads, the commit, the time in UTC."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {"device": device_name(device), "threads": torch.get_num_threads(), "commit": commit(), "date": now}


def circumstances_of(result: Result | Row) -> Circumstances:
    """The circumstances that a result or one of its rows says."""
    return {"device": result["device"], "threads": result["threads"], "commit": result["commit"], "date": result["date"]}


def file_hash(path: str | Path | None) -> str | None:
    """A short name for what a file holds; None where there is no file."""
    if path is None or not path_of(path).is_file():
        return None
    with path_of(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:_SHORT]


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
