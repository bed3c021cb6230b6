"""Commands killed at random moments and started again: what is left alive, and whether the end is that of a run in peace.

``python benchmarks/kills.py --kills 100`` trains, evaluates, predicts and benchmarks a small network on drawn people, a quarter of
the kills each, and writes ``benchmarks/results/kills.json``. Three of four kills are by SIGKILL, the others by SIGTERM, at a moment
drawn between nothing and the time that the command takes in peace. Training goes on by ``resume=true``, or anew where nothing was
written yet; the others start over an output that a killed run left. Weights are compared bit by bit, results by their content.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from bottomup.benchmark.results import Row, read_result, write_result
from bottomup.checkpoint import load_checkpoint
from bottomup.cli import main as bottomup

RESULT = Path(__file__).parent / "results" / "kills.json"
PATIENCE = 10.0  # s until nothing of a killed run may be alive
SMALL = ["backbone.channels=8", "backbone.growth=4", "input_size=64", "workers=1", "limit=32", "engine.tensorboard=false"]
TRAINING = [
    "train", "experiment=demo/associative_embedding", *SMALL, "engine.steps=30", "engine.batch_size=2", "engine.validate_every=10",
    "engine.checkpoint_every=5", "engine.average_from=10", "engine.log_every=5", "validation.limit=4",
]  # fmt: skip


class Command(NamedTuple):
    """A command that is killed, and how its end is compared."""

    name: str
    first: Callable[[Path], list[str]]  # what is typed, for an output folder
    again: Callable[[Path], list[str]]  # after a kill
    end: Callable[[Path], object]  # what two runs must have alike


def weights_of(folder: Path) -> dict[str, bytes]:
    """Every tensor of a training's last checkpoint, the averaged ones too, as bytes."""
    checkpoint = load_checkpoint(folder / "last.pt")
    parts = {"model": checkpoint.model, "average": checkpoint.average or {}}
    return {f"{part}.{name}": tensor.numpy().tobytes() for part, tensors in parts.items() for name, tensor in tensors.items()}


def content_of(*names: str) -> Callable[[Path], object]:
    """What files of an output hold."""
    return lambda folder: [(folder / name).read_bytes() for name in names]


def rows_of(folder: Path) -> object:
    """The figures of a benchmark's rows; times differ from run to run."""
    return [
        {name: row.get(name) for name in ("name", "AP", "AR", "weights_hash")}
        for row in read_result(folder / "benchmark.json")["rows"]
    ]


def commands(place: Path) -> list[Command]:
    """The four commands; those that need weights take the ones of ``place``."""
    weights, images = f"weights={place / 'trained' / 'last.pt'}", f"images={place / 'images'}"
    judging = ["data.split=test", "limit=24", "workers=1", "pictures=0"]
    return [
        Command("train", lambda out: [*TRAINING, f"output={out}"], resumed, weights_of),
        Command("evaluate", *twice("evaluate", weights, *judging), content_of("metrics.json")),
        Command("predict", *twice("predict", weights, images, "workers=1"), content_of("predictions.json")),
        Command("benchmark", *twice("benchmark", weights, *judging[:3], "measure.runs=null", "measure.pictures=0"), rows_of),
    ]


def twice(*words: str) -> tuple[Callable[[Path], list[str]], Callable[[Path], list[str]]]:
    """A command over an empty output, and over what a killed run left there."""
    over = ["overwrite=true"] if words[0] == "predict" else []  # the others ask no leave
    return lambda out: [*words, f"output={out}"], lambda out: [*words, *over, f"output={out}"]


def resumed(out: Path) -> list[str]:
    """The training that goes on, or begins anew where it had not come to a checkpoint."""
    if (out / "last.pt").is_file():
        return ["train", f"output={out}", "resume=true"]
    return [*TRAINING, f"output={out}", "overwrite=true"]


def started(words: Sequence[str], log: Path) -> int:
    """A command in a process of a session of its own, which has imported everything already; its number."""
    child = os.fork()
    if child:
        return child
    os.setsid()
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    code = 1
    try:
        code = bottomup(list(words))
    finally:
        os._exit(code)


def alive(session: int) -> list[int]:
    """The processes of a session that have not ended."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, _, own = stat.read_text().rpartition(")")[2].split()[:4]
            if int(own) == session and state != "Z":
                found.append(int(stat.parent.name))
    return found


class Trial(NamedTuple):
    """What became of one command that was killed again and again."""

    kills: int
    left: int  # processes alive when the patience is over
    alike: bool  # whether its end is that of the run in peace
    failed: int  # runs that ended by themselves otherwise than well


def in_peace(command: Command, place: Path) -> tuple[object, float]:
    """The end of a command that nobody disturbs, and its seconds."""
    out, began = place / f"{command.name}_in_peace", time.monotonic()
    code = os.waitstatus_to_exitcode(os.waitpid(started(command.first(out), place / "log.txt"), 0)[1])
    if code:
        raise SystemExit(f"{command.name} ends with {code} in peace; see {place / 'log.txt'}")
    return command.end(out), time.monotonic() - began


def tried(command: Command, kills: int, place: Path, chance: random.Random) -> Trial:
    """Kill a command at random moments, some runs of it several times, until there were so many kills; then let it end."""
    expected, seconds = in_peace(command, place)
    done = left = failed = 0
    alike = True
    while done < kills:
        out, words = place / f"{command.name}_{done}", command.first
        for wanted in [True] * chance.randint(1, 4) + [False]:
            killed, code, remains = run(words(out), seconds * chance.random() if wanted else None, chance, place / "log.txt")
            done, left, failed = done + killed, left + remains, failed + (not killed and code != 0)
            words = command.again
            if not killed:
                break
        alike &= command.end(out) == expected
        shutil.rmtree(out)
    return Trial(done, left, alike, failed)


def run(words: Sequence[str], after: float | None, chance: random.Random, log: Path) -> tuple[bool, int, int]:
    """Whether a command was killed ``after`` so many seconds, its exit status, and how many processes of it were left."""
    child = started(words, log)
    if after is not None:
        time.sleep(after)
        os.kill(child, signal.SIGTERM if chance.random() < 0.25 else signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    until = time.monotonic() + PATIENCE
    while alive(child) and time.monotonic() < until:
        time.sleep(0.05)
    killed = after is not None and code != 0
    return killed, code, len(alive(child))


def main(kills: int) -> None:
    """Try all commands and write what became of them."""
    torch.set_num_threads(1)
    chance = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        prepare(place)
        rows: list[Row] = []
        for command in commands(place):
            trial = tried(command, kills // 4, place, chance)
            rows.append({"name": command.name, **trial._asdict()})
            print(rows[-1], file=sys.stderr)
    write_result(RESULT, "kills", {"kills": kills, "patience": PATIENCE}, rows)


def prepare(place: Path) -> None:
    """Weights to judge and images to predict on."""
    command = Command("trained", lambda out: [*TRAINING, f"output={out}"], resumed, weights_of)
    in_peace(command, place)
    (place / "trained_in_peace").rename(place / "trained")
    (place / "images").mkdir()
    for number in range(24):
        pixels = np.random.default_rng(number).integers(0, 255, (96, 128, 3), np.uint8)
        Image.fromarray(pixels).save(place / "images" / f"{number}.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    main(parser.parse_args().kills)
