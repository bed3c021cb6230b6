"""The tables of what was killed and what was changed at random, for docs/steadfast.md."""

from __future__ import annotations

from pathlib import Path

from bottomup.benchmark.results import read_result
from bottomup.report.markdown import markdown_table

RESULTS = Path(__file__).parent / "results"


def fuzz_table() -> str:
    """One row a kind of input of benchmarks/results/fuzz.json."""
    result = read_result(RESULTS / "fuzz.json")
    rows = [(row["name"], row["read"], row["refused"]) for row in result["rows"]]
    rows.append(("all", *(sum(row[column] for row in rows) for column in (1, 2))))
    cells = [[name, str(read + refused), str(read), str(refused)] for name, read, refused in rows]
    failed = f"Tests that failed, as by any other error or an answer of several lines: {result['config']['failed']}."
    return f"{markdown_table(['changed', 'cases', 'read', 'refused in one sentence'], cells)}\n\n{failed}"


def kills_table() -> str:
    """One row a command of benchmarks/results/kills.json."""
    result = read_result(RESULTS / "kills.json")
    cells = [
        [row["name"], str(row["kills"]), str(row["left"]), str(row["failed"]), "yes" if row["alike"] else "no"]
        for row in result["rows"]
    ]
    left = f"processes alive {result['config']['patience']:.0f} s later"
    return markdown_table(["command", "kills", left, "runs that failed after", "ends as in peace"], cells)
