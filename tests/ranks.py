"""Several ranks as torchrun starts them, as copies of one process that has imported everything and done nothing else yet."""

from __future__ import annotations

import multiprocessing
import os
import socket
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

_CONTEXT = multiprocessing.get_context("forkserver")  # threads of a process that has computed are not copied with it
_CONTEXT.set_forkserver_preload(
    ["pytest", "tests.engine.runs", *(f"bottomup.commands.{name}" for name in ("train", "evaluate", "predict"))]
)
_PATIENCE = 300  # s


class Ended(NamedTuple):
    """How a rank ended: with what it returned where that is a number, else 0, or 1 where it raised; and all that it printed."""

    code: int | None
    said: str


def in_ranks(function: Callable[..., object], *arguments: object, world: int = 2) -> list[Ended]:
    """Call a function of a module in each of several ranks."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / str(rank) for rank in range(world)]
        started = [
            _CONTEXT.Process(target=_rank, args=(rank, world, port, str(files[rank]), function, arguments)) for rank in range(world)
        ]
        for process in started:
            process.start()
        for process in started:
            process.join(_PATIENCE)
            process.kill()
            process.join()
        return [Ended(process.exitcode, file.read_text()) for process, file in zip(started, files, strict=True)]


def _rank(rank: int, world: int, port: int, said: str, function: Callable[..., object], arguments: tuple[object, ...]) -> None:
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world, "MASTER_PORT": port, "OMP_NUM_THREADS": 1}
    os.environ.update({name: str(value) for name, value in place.items()}, MASTER_ADDR="127.0.0.1")
    file = os.open(said, os.O_CREAT | os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(file, stream)
    try:
        import torch

        torch.set_num_threads(1)
        returned = function(*arguments)
    except Exception:
        traceback.print_exc()
        returned = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(returned if isinstance(returned, int) else 0)
