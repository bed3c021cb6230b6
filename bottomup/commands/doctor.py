"""``bottomup doctor``: versions, device, what the processor does with bf16, and whether the data can be read."""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import torch

from bottomup.dataset import Dataset
from bottomup.errors import DataError, counted
from bottomup.plan.judging import evaluate_plan

_PACKAGES = (
    "bottomup",
    "torch",
    "torchvision",
    "timm",
    "numpy",
    "scipy",
    "albumentations",
    "pycocotools",
    "hydra-core",
)
_READ = 8  # images of the data set, evenly spread


def run(overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Print what a bug report needs, then check the device and the data set of the configuration, unless it has none.

    DataError or ConfigError where the data set cannot be read, has no images, or where the device is not there.
    """
    plan = evaluate_plan(overrides)
    found = {"python": platform.python_version(), "system": platform.platform()}
    found |= {package: _version(package) for package in _PACKAGES}
    found["cpu"] = f"{counted(torch.get_num_threads(), 'thread')}, {torch.backends.cpu.get_cpu_capability()}, AMX {_has_amx()}"
    for precision in (torch.float32, torch.bfloat16):
        found[f"cpu matmul {precision}"] = f"{_gigaflops(precision):.0f} GFLOP/s"
    found["cuda"] = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    for name, value in found.items():  # before the checks, which may end this
        _tell(name, value)
    found["device"] = plan.place.chosen_device()
    _tell("device", found["device"])
    found["data"] = "none chosen"
    if plan.data.name:
        found["data"] = f"{plan.data.called('val')}: {describe_data(plan.data.dataset('val', plan.limit))}"
    _tell("data", found["data"])
    return found


def _tell(name: str, value: str) -> None:
    print(f"{name:28} {value}")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _has_amx() -> bool:
    capability = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return bool(capability and capability())


def _gigaflops(precision: torch.dtype, side: int = 1024, repeats: int = 5) -> float:
    a = torch.randn(side, side, dtype=precision)
    a @ a  # the first call plans
    began = time.perf_counter()
    for _ in range(repeats):
        a @ a
    return 2 * side**3 * repeats / (time.perf_counter() - began) / 1e9


def describe_data(dataset: Dataset) -> str:
    """What some images of a data set hold, evenly spread over it; DataError where it has none or one cannot be read."""
    if not len(dataset):
        raise DataError(
            "the data set has no images; check what chooses them, such as data.split, data.images, data.min_people or limit"
        )
    read = np.unique(np.linspace(0, len(dataset) - 1, min(_READ, len(dataset))).round().astype(int)).tolist()
    samples = [dataset.sample(index, frozenset()) for index in read]
    shortest, longest = min(min(sample.file_size) for sample in samples), max(max(sample.file_size) for sample in samples)
    people = sum(len(sample.people) for sample in samples)
    keypoints = sum(int((sample.people.visibility > 0).sum()) for sample in samples)
    skeleton = f"skeleton {dataset.task.skeleton.name}" if dataset.task.skeleton else "no skeleton"
    held = f"{people} people, {keypoints} labelled keypoints, sides {shortest} to {longest} px"
    return f"{len(dataset)} images, {skeleton}; {len(samples)} read: {held}"
