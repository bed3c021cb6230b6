"""What benchmarks by the number of people have in common: how they are called, and where they write and draw."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from bottomup.benchmark.results import Row, write_result
from bottomup.paths import write_text

ROOT = Path(__file__).parents[1]


def measure_and_draw(
    name: str,
    about: str | None,
    runs: int,
    conditions: dict[str, Any],
    measure: Callable[[int], list[Row]],
    plot: Callable[[list[Row]], str],
) -> None:
    """Read the command line, measure on one core, write ``benchmarks/results/NAME.json`` and draw ``docs/NAME.svg``.

    ``about`` is the help, ``runs`` how often is measured where nobody says, ``conditions`` what the result says of itself.
    """
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=runs)
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "results" / f"{name}.json")
    parser.add_argument("--plot", type=Path, default=ROOT / "docs" / f"{name}.svg")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = measure(arguments.runs)
    write_result(arguments.output, name, {**conditions, "runs": arguments.runs}, rows)
    write_text(arguments.plot, plot(rows))
