"""Several ranks as torchrun starts them, as copies of this process: what it has imported they need not import again."""

from __future__ import annotations

import multiprocessing
import os
import socket
import sys
import traceback
from collections.abc import Callable

import torch


def in_ranks(function: Callable[..., object], *arguments: object, world: int = 2) -> list[int]:
    """Call a function in each of several ranks; their exit codes: what it returns where that is a number, 1 where it raises."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("fork")
    started = [context.Process(target=_rank, args=(rank, world, port, function, arguments)) for rank in range(world)]
    for process in started:
        process.start()
    for process in started:
        process.join()
    return [process.exitcode or 0 for process in started]


def _rank(rank: int, world: int, port: int, function: Callable[..., object], arguments: tuple[object, ...]) -> None:
    torch.set_num_threads(1)  # the threads of a process are not copied with it
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world, "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in place.items()}, MASTER_ADDR="127.0.0.1")
    try:
        returned = function(*arguments)
    except Exception:
        traceback.print_exc()
        returned = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(returned if isinstance(returned, int) else 0)
