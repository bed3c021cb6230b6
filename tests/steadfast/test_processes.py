"""Processes end: workers with their parent, commands by a word and the code of shells."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from torch.utils.data import DataLoader, Dataset

from bottomup import cli
from bottomup.cli import main
from bottomup.ending import ending
from bottomup.errors import InterruptedRunError, WorkerError
from bottomup.samples.workers import start_worker, workers_alive

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 10.0  # s until nothing may be left

LOADING = """
import os, time
from torch.utils.data import DataLoader
from bottomup.samples.workers import start_worker
class Images:
    def __len__(self): return 10**6
    def __getitem__(self, index): return b"x" * 10**6
if __name__ == "__main__":
    loader = iter(DataLoader(Images(), batch_size=None, num_workers=2, worker_init_fn=start_worker, prefetch_factor=64))
    next(loader)
    print(*[worker.pid for worker in loader._workers], flush=True)
    time.sleep(600)
"""

WAITING = """
import os, time
from bottomup.engine.distributed import ranks
if __name__ == "__main__":
    with ranks("cpu"):
        os.write(1, f"{os.getpid()}\\n".encode())  # at once, and whole
        time.sleep(600)
"""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize("ended_by", [signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_their_parent(ended_by: signal.Signals, tmp_path: Path) -> None:
    script = tmp_path / "loading.py"
    script.write_text(LOADING)
    assert not left_by([str(script)], ended_by)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_ranks_end_with_torchrun(tmp_path: Path) -> None:
    script = tmp_path / "waiting.py"
    script.write_text(WAITING)
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    assert not left_by(torchrun, signal.SIGKILL)


def left_by(arguments: list[str], ended_by: signal.Signals) -> list[int]:
    """Those of two processes that are alive a while after their parent was ended, which prints their ids among other lines."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    children = list[int]()
    while len(children) < 2 and (line := process.stdout.readline()):
        words = line.split()
        children += map(int, words) if all(map(str.isdecimal, words)) else ()  # PyTorch 2.9 also tells of its ranks there
    assert len(children) == 2 and all(map(alive, children))
    process.send_signal(ended_by)
    process.wait()
    until = time.monotonic() + PATIENCE
    while any(map(alive, children)) and time.monotonic() < until:
        time.sleep(0.1)
    left = [child for child in children if alive(child)]
    for child in left:
        os.kill(child, signal.SIGKILL)
    return left


class Deadly(Dataset[int]):
    """Images of which the second ends its reader."""

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> int:
        if index:
            os.kill(os.getpid(), signal.SIGKILL)
        return index


def test_a_killed_worker_is_one_sentence() -> None:
    with pytest.raises(WorkerError, match=r"\(killed by signal: Killed\).*give fewer workers=") as error, workers_alive():
        list(DataLoader(Deadly(), batch_size=None, num_workers=1, worker_init_fn=start_worker))
    assert "\n" not in str(error.value)


class Unsendable(Dataset[object]):
    """What no process can hand over, as a batch for which shared memory has no room."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> object:
        return lambda: index


def test_a_batch_that_cannot_be_handed_over_is_one_sentence() -> None:
    """Python drops it with a traceback, and a training waited for it for ever."""
    loader = DataLoader(Unsendable(), batch_size=None, num_workers=1, worker_init_fn=start_worker, timeout=PATIENCE)
    with pytest.raises(WorkerError, match=r"through shared memory.*or workers=0") as error, workers_alive():
        list(loader)
    assert "\n" not in str(error.value)


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="shape"), workers_alive():
        raise RuntimeError("shape")


def _raise(error: BaseException) -> object:
    raise error


ENDS = {  # what a command does -> the code, and the word
    "interrupted": (lambda: _raise(KeyboardInterrupt()), 130, "interrupted"),
    "SIGINT": (lambda: signal.raise_signal(signal.SIGINT), 130, "interrupted"),
    "SIGTERM": (lambda: signal.raise_signal(signal.SIGTERM), 143, "terminated"),
    "a training": (lambda: _raise(InterruptedRunError("interrupted at step 3")), 130, "interrupted at step 3"),
    "a full disk": (lambda: _raise(OSError(28, "No space left on device", "/x")), 1, "/x: no space left on device; make room"),
    "no memory": (lambda: _raise(MemoryError()), 1, "no memory left"),
    "depth": (lambda: _raise(RecursionError("maximum")), 1, "something that is given is nested too deeply"),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_command_ends_by_a_word(end: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    does, code, word = ENDS[end]
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), sys.unraisablehook
    monkeypatch.setattr(cli.importlib, "import_module", lambda _: SimpleNamespace(run=lambda _: does()))
    assert main(["doctor"]) == code
    told = capsys.readouterr().err
    assert told.startswith(f"bottomup doctor: {word}") and told.count("\n") == 1
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), sys.unraisablehook) == before


def test_what_an_interrupted_import_raises_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def import_module(_: str) -> object:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise ImportError("half a module") from None
        return None

    monkeypatch.setattr(cli.importlib, "import_module", import_module)
    assert main(["doctor"]) == 130
    assert capsys.readouterr().err == "bottomup doctor: interrupted\n"


def test_a_fault_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli.importlib, "import_module", lambda _: _raise(KeyError("ours")))
    with pytest.raises(KeyError):
        main(["doctor"])


def test_a_signal_where_nothing_can_be_raised_is_not_lost() -> None:
    class Closing:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    def close() -> None:
        closing = Closing()
        del closing
        for _ in range(1000):
            time.sleep(0.001)

    with pytest.raises(KeyboardInterrupt), ending() as asked:
        close()
    assert asked.number == signal.SIGINT
