"""What a process frees while it trains, it keeps."""

import multiprocessing
import platform
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from bottomup.engine.memory import keep_freed_memory

MEGABYTES = 200


def _resident() -> float:
    """Megabytes of this process in memory."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024


def _left_of_a_tensor(keep: bool) -> float:
    """Megabytes by which this process is larger for having held a tensor."""
    if keep:
        assert keep_freed_memory()
    before = _resident()
    held = np.ones(MEGABYTES * 2**20, np.uint8)
    assert _resident() - before > 0.9 * MEGABYTES
    del held
    return _resident() - before


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is glibc's")
@pytest.mark.parametrize(("keep", "least", "most"), [(True, 0.9, 2.0), (False, -1.0, 0.1)], ids=["kept", "returned"])
def test_freed_memory_stays_where_that_is_asked_for(keep: bool, least: float, most: float) -> None:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        left = process.submit(_left_of_a_tensor, keep).result()
    assert least * MEGABYTES < left < most * MEGABYTES


def test_elsewhere_there_is_nothing_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not keep_freed_memory()
