"""The processes that read images: one thread each, no ear for signals, and no life after their parent's."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import re
import signal
from collections.abc import Iterator
from multiprocessing.queues import Queue
from typing import Any

import cv2
import torch

from bottomup.ending import end_with_parent
from bottomup.errors import BottomupError, WorkerError
from bottomup.memory import keep_freed_memory

_LAST_IN_LINE = 19  # niceness
_UNSENT = 74  # how a worker exits whose batch cannot be sent, EX_IOERR of sysexits.h
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
        _end_where_nothing_can_be_sent()
    keep_freed_memory()
    cv2.setNumThreads(0)
    torch.set_num_threads(1)


def _end_where_nothing_can_be_sent() -> None:
    """End this worker where a batch does not fit into shared memory: Python drops it, and the main process waits for ever."""

    def end(_: Exception, __: Any) -> None:
        os._exit(_UNSENT)

    Queue._on_queue_feeder_error = staticmethod(end)  # type: ignore[attr-defined]


@contextlib.contextmanager
def workers_alive() -> Iterator[None]:
    """Say in one sentence that a worker was ended, which PyTorch notices wherever the main process is: WorkerError."""
    try:
        yield
    except RuntimeError as error:
        found = _DEAD.search(str(error.__cause__)) or _DEAD.search(str(error))  # the cause knows the signal
        if isinstance(error, BottomupError) or not found:
            raise
        if f"exit code {_UNSENT}" in found[1]:
            raise WorkerError(
                "a process that reads images could not hand them over through shared memory, which is full (/dev/shm) "
                "or limited (ulimit -f); make room or raise it, give smaller batches, or workers=0"
            ) from error
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
