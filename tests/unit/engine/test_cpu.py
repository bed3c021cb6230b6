"""What training on CPUs sets: freed memory is kept, denormal numbers are zeros, and afterwards all is as it was."""

import multiprocessing
import platform
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from bottomup.engine.cpu import flushing_denormals, tuned
from bottomup.memory import keeping_freed_memory

MEGABYTES = 200


def _resident() -> float:
    """Megabytes of this process in memory."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024


def _held_and_freed() -> float:
    """Megabytes by which this process is larger for having held a tensor."""
    before = _resident()
    held = np.ones(MEGABYTES * 2**20, np.uint8)
    assert _resident() - before > 0.9 * MEGABYTES
    del held
    return _resident() - before


def _left_of_a_tensor() -> tuple[float, float, float, float]:
    """What is left before memory is kept, while it is, when that ends, and of another tensor thereafter."""
    first = _resident()
    before = _held_and_freed()
    with keeping_freed_memory() as kept:
        assert kept
        inside = _held_and_freed()
    ended = _resident() - first
    return before, inside, ended, _held_and_freed()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is glibc's")
def test_freed_memory_stays_as_long_as_that_is_asked_for() -> None:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        before, inside, ended, after = process.submit(_left_of_a_tensor).result()
    assert inside > 0.9 * MEGABYTES and max(before, ended, after) < 0.1 * MEGABYTES


def test_elsewhere_there_is_nothing_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    with keeping_freed_memory() as kept:
        assert not kept


def _is_zero() -> bool:
    """Whether what lies below the least normal number counts as 0."""
    return not (torch.tensor([1e-38]) * 0.1).any()


def test_denormal_numbers_are_zeros_as_long_as_that_is_asked_for() -> None:
    with flushing_denormals() as possible:
        assert _is_zero() or not possible
    assert not _is_zero()
    with tuned():
        assert _is_zero() or not possible
    assert not _is_zero()
