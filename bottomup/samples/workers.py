"""The processes that read images: one thread each, no ear for signals, and no life after their parent's."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import re
import signal
from collections.abc import Iterator

import cv2
import torch

from bottomup.ending import end_with_parent
from bottomup.errors import BottomupError, WorkerError
from bottomup.memory import keep_freed_memory

_LAST_IN_LINE = 19  # niceness
_DEAD = re.compile(r"DataLoader worker \(pid(?:\(s\))? [\d, ]+\) (?:is )?(killed by signal: [^.]+|exited unexpectedly[^.]*)")


def start_worker(_: int) -> None:
    """Give a worker one thread, as there are others, and the memory it frees; leave signals to the main process.

    That still needs its batches, and Ctrl-C and what ends a job go to all processes of a group.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "setpgrp"):  # not on Windows
        os.setpgrp()
    if multiprocessing.parent_process() is not None:
        end_with_parent()  # PyTorch's own worker waits for somebody to read
    keep_freed_memory()
    cv2.setNumThreads(0)
    torch.set_num_threads(1)


@contextlib.contextmanager
def workers_alive() -> Iterator[None]:
    """Say in one sentence that a worker was ended, which PyTorch notices wherever the main process is: WorkerError."""
    try:
        yield
    except RuntimeError as error:
        found = _DEAD.search(str(error.__cause__)) or _DEAD.search(str(error))  # the cause knows the signal
        if isinstance(error, BottomupError) or not found:
            raise
        raise WorkerError(
            f"a process that reads images was ended from outside ({found[1]}), as where memory runs out; give fewer workers=, or "
            "workers=0"
        ) from error


@contextlib.contextmanager
def deaf() -> Iterator[None]:
    """Let workers that are begun inside never hear Ctrl-C, not even before ``start_worker`` says so."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def start_yielding_worker(number: int) -> None:
    """As ``start_worker``, of a worker that gets a core only while nobody else wants it.

    Where training computes on the CPU, a worker that takes one of its cores has all its threads wait: on two cores a step of the
    demo took 151 ms beside ordinary workers, 122 ms beside these, which run while the step waits for them.
    """
    start_worker(number)
    if hasattr(os, "nice"):  # not on Windows
        os.nice(_LAST_IN_LINE)
