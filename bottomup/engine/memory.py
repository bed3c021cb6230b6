"""Where a CPU's memory goes between steps: nowhere, as the next step asks for as much again."""

from __future__ import annotations

import ctypes
import platform

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # of glibc's malloc.h
_NEVER = 2**31 - 1  # bytes, the most that mallopt takes


def keep_freed_memory() -> bool:
    """Have this process keep the memory it frees, for the tensors of its next step; False where the C library has no such setting.

    glibc hands large blocks back to the system and has it clear as many pages anew in every step: of the Pose Residual
    Network's training on CPUs that is a third (``benchmarks/memory.py``). The process stays as large as it ever was.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    return bool(libc.mallopt(_MMAP_MAX, 0) and libc.mallopt(_TRIM_THRESHOLD, _NEVER))
