"""What a process does with memory that it frees: glibc hands large blocks back, and the system clears as many pages anew."""

from __future__ import annotations

import contextlib
import ctypes
import platform
from collections.abc import Iterator, Mapping

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4  # of glibc's malloc.h
_KEPT = {_MMAP_MAX: 0, _TRIM_THRESHOLD: 2**31 - 1}  # bytes, the most that mallopt takes
# where glibc's own thresholds, which move until somebody sets one, end in a process that uses large blocks
_RETURNED = {_MMAP_MAX: 65536, _MMAP_THRESHOLD: 32 * 2**20, _TRIM_THRESHOLD: 64 * 2**20}


def keep_freed_memory() -> bool:
    """Have this process keep from now on the memory it frees; False where that cannot be set.

    Of a worker that reads images and moves them onto canvases of 801 px pages that were cleared anew were a third of its time.
    """
    return _set(_KEPT)


@contextlib.contextmanager
def keeping_freed_memory() -> Iterator[bool]:
    """Have this process keep the memory it frees, for the tensors of its next step; gives False where that cannot be set.

    Of the Pose Residual Network's training on two cores clearing pages anew in every step was a third. What was kept is handed back
    at the end.
    """
    try:
        yield keep_freed_memory()
    finally:
        if _set(_RETURNED):
            release_freed_memory()


def release_freed_memory() -> None:
    """Hand back to the system what glibc holds of freed memory."""
    if _has_glibc():
        ctypes.CDLL(None).malloc_trim(0)


def _set(options: Mapping[int, int]) -> bool:
    if not _has_glibc():
        return False
    libc = ctypes.CDLL(None)
    return all(libc.mallopt(option, value) for option, value in options.items())


def _has_glibc() -> bool:
    return platform.libc_ver()[0] == "glibc"
