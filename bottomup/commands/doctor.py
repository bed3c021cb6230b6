"""``bottomup doctor``: versions, device, what the processor does with bf16, and whether the data is there."""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from bottomup.commands.setting import dataset_of
from bottomup.errors import BottomupError

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
    "onnxruntime",
)


def run(config: dict[str, Any], overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Print what a bug report needs; the data set of the configuration is opened and its first image read."""
    found = {"python": platform.python_version(), "system": platform.platform()}
    found |= {package: _version(package) for package in _PACKAGES}
    found["cpu"] = f"{torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}, AMX {_has_amx()}"
    for precision in (torch.float32, torch.bfloat16):
        found[f"cpu matmul {precision}"] = f"{_gigaflops(precision):.0f} GFLOP/s"
    found["cuda"] = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    found["data"] = _data(config)
    for name, value in found.items():
        print(f"{name:28} {value}")
    return found


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


def _data(config: dict[str, Any]) -> str:
    try:
        dataset = dataset_of(config, "val")
        sample = dataset.sample(0, frozenset())
    except BottomupError as error:
        return f"FAULT: {error}"
    skeleton = dataset.task.skeleton.name if dataset.task.skeleton else "no skeleton"
    return f"{len(dataset)} images, {skeleton}; the first is {sample.size[1]}x{sample.size[0]} with {len(sample.people)} people"
