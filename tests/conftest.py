"""What every test may ask for, and how many threads it may take."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent


def pytest_configure() -> None:
    """Share the cores between the workers of pytest-xdist: a worker with a thread per core slows all the others."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // workers))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a GPU where there is none."""
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


@pytest.fixture(autouse=True)
def _seed() -> None:
    """Every test starts from the same random numbers, alone or in company."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real images, labels, weights and reference outputs: BOTTOMUP_SHARED, by default beside the checkout."""
    folder = Path(os.environ.get("BOTTOMUP_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set BOTTOMUP_SHARED to the folder that holds data/ and weights/")
    return folder


@pytest.fixture(scope="session")
def cases(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small inputs of kinds that users really have, written by cases/make.py of the folder of real data."""
    script, folder = shared / "cases" / "make.py", tmp_path_factory.mktemp("cases")
    if not script.is_file():
        pytest.skip(f"no {script}")
    subprocess.run([sys.executable, str(script), str(folder)], check=True)
    return folder
