"""What ``keeping_freed_memory`` saves: training steps on the CPU with the memory of the last one at hand, and without.

``python benchmarks/memory.py`` writes ``benchmarks/results/memory.json``, of each training a row: milliseconds a step, the
system's share in the processor time and the process's largest size, each ``kept`` and ``returned`` (the baseline), both in a
process of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import resource
import statistics
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

from bottomup.benchmark.results import Row, write_result
from bottomup.commands.train import make_trainer
from bottomup.compose import load_config
from bottomup.engine.distributed import Ranks
from bottomup.engine.memory import keeping_freed_memory

RESULT = Path(__file__).parent / "results" / "memory.json"
_COMMON = ("data=synthetic", "engine.checkpoint_every=0", "engine.validate_every=0", "engine.tensorboard=false", "workers=0")
TRAININGS = {
    "associative_embedding": ("experiment=synthetic_standard",),
    "personlab": ("experiment=synthetic_standard", "method=personlab"),
    "prn": ("experiment=prn", "data.min_keypoints=2", "engine.batch_size=128"),
}
_WARM_UP = 3  # steps
"""Steps before those that count."""


def steps(overrides: Sequence[str], count: int, keep: bool) -> dict[str, float]:
    """The cost of a step, of ``count`` of them in this process."""
    memory = keeping_freed_memory() if keep else contextlib.nullcontext()
    with tempfile.TemporaryDirectory() as folder, memory:
        config = load_config("train", [*overrides, *_COMMON, f"engine.steps={count + _WARM_UP}", "engine.log_every=1"])
        times: list[tuple[float, float, float]] = []
        trainer = make_trainer(config, Path(folder), Ranks())
        trainer.on_step = lambda *_: times.append(_now())
        trainer.fit()
    counted = times[_WARM_UP - 1 :]
    walls = [after[0] - before[0] for before, after in pairwise(counted)]
    user, system = (counted[-1][index] - counted[0][index] for index in (1, 2))
    return {
        "ms": round(1000 * statistics.median(walls), 1),
        "system_share": round(system / (user + system), 3),
        "gigabytes": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
    }


def _now() -> tuple[float, float, float]:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return time.perf_counter(), usage.ru_utime, usage.ru_stime


def row(name: str, count: int) -> Row:
    """One training, with the memory kept and with it returned."""
    found: Row = {"name": name}
    for setting, keep in (("returned", False), ("kept", True)):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            measured = process.submit(steps, TRAININGS[name], count, keep).result()
        found |= {f"{setting}_{figure}": value for figure, value in measured.items()}
    return found | {"ratio": round(found["kept_ms"] / found["returned_ms"], 3)}


def main() -> None:
    """Measure every training and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=20)
    count = parser.parse_args().steps
    rows = [row(name, count) for name in TRAININGS]
    for found in rows:
        print(found)
    write_result(RESULT, "memory", {"steps": count, "trainings": {name: list(given) for name, given in TRAININGS.items()}}, rows)


if __name__ == "__main__":
    main()
