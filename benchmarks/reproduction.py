"""Render docs/reproduction.md: the papers' tables of configs/table beside what was measured, or what fills them.

``python benchmarks/reproduction.py`` reads what ``benchmarks/tables.py`` wrote where it was copied to benchmarks/results/tables.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped, unused-ignore]

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.tables import training  # noqa: E402
from bottomup.benchmark.results import read_result  # noqa: E402
from bottomup.compose import key_of  # noqa: E402
from bottomup.report.markdown import markdown_table  # noqa: E402

PAGE = ROOT / "docs" / "reproduction.md"
TABLES = ROOT / "configs" / "table"
RESULTS = ROOT / "benchmarks" / "results"
PAPERS = ("Associative Embedding", "PersonLab", "MultiPoseNet")
HEADLINES = ("AP", "mask_AP", "box_AP")  # of ours they stand there even where only a gain is published

_HEADING = re.compile(r"(.+?), ((?:Tables? \d+(?: and \d+)?|Fig\. \d+)): (.+)")  # paper, which table, what it shows
_INTRODUCTION = """# The papers' tables

Every table of the three papers, as far as it is of their own systems: the printed figures and ours beside them. AP and the like are
fractions and are called as in `metrics.json`. The commands under a table fill it: they train what it needs on COCO, whose folder is
written `COCO` (`annotations/person_keypoints_<split>.json`, `<split>/*.jpg`), then evaluate every row into `outputs/tables`, where
rows that are there already stay. Once that file is copied to `benchmarks/results/tables`, `python benchmarks/reproduction.py` shows
its figures here. A row that the library cannot measure says why."""

Entry = dict[str, Any]
Figures = dict[str, float]


def render() -> str:
    """The page."""
    described = [(path, *heading) for path in sorted(TABLES.glob("*.yaml")) if (heading := read_heading(path))]
    parts = [_INTRODUCTION]
    for paper in PAPERS:
        parts.append(f"## {paper}")
        for path, of, name, about in described:
            if of == paper:
                parts += [f"### {name}", f"{about[0].upper()}{about[1:]}.", *_table(path, yaml.safe_load(path.read_text()))]
    return "\n\n".join(parts) + "\n"


def read_heading(path: Path) -> tuple[str, str, str] | None:
    """The paper, which of its tables it is, and what that shows, as the file's first comment says; None of no paper's table."""
    comment = re.match(r"(?:#.*\n)+", path.read_text())
    found = _HEADING.fullmatch(" ".join(line.lstrip("# ") for line in comment[0].splitlines())) if comment else None
    return (found[1], found[2], found[3]) if found else None


def _table(path: Path, table: Entry) -> list[str]:
    """The rows, and the commands that fill those that lack figures."""
    rows: list[Entry] = [_with_weights(entry, table["common"]) for entry in table["rows"]]
    names = list(dict.fromkeys(name for row in rows for name in row.get("published", {})))
    cells, lacking = [], []
    for row in rows:
        measured = _measured(path, row)
        if not measured and "train" in row:
            lacking.append(row)
        figures = [_figure(row.get("published", {}).get(name)) for name in names]
        cells.append([row["name"], *figures, _ours(row, measured, names)])
    pictures = [f"![{row['name']}]({row['picture']})" for row in rows if "picture" in row]
    return [markdown_table(["row", *names, "ours"], cells), *pictures, *([_commands(path, lacking)] if lacking else [])]


def _with_weights(entry: Entry, common: list[str]) -> Entry:
    """A row; of one that is evaluated but names no training, the network of the experiment that the table names."""
    if entry.keys() & {"train", "cannot", "command"}:
        return entry
    train = [override for override in common if key_of(override) == "experiment"]
    return {**entry, "train": train, "weights": train[0].partition("=")[2], "unnamed": True}


def _measured(path: Path, row: Entry) -> Figures:
    """The figures of a row that are committed: of its own table, or of the ``result`` that it names."""
    result = RESULTS / f"{row['result']}.json" if "result" in row else RESULTS / "tables" / f"{path.stem}.json"
    found = [known for known in read_result(result)["rows"] if known["name"] == row["name"]] if result.is_file() else []
    return dict(found[0].get("measured", found[0])) if found else {}


def _ours(row: Entry, measured: Figures, names: list[str]) -> str:
    if measured:
        return ", ".join(f"{name} {_figure(measured[name])}" for name in dict.fromkeys((*names, *HEADLINES)) if name in measured)
    if "cannot" in row:
        return str(row["cannot"])
    return f"`{row['command']}`" if "command" in row else f"needs `{_option(row)}`"


def _commands(path: Path, rows: list[Entry]) -> str:
    """The trainings that rows need, each once, and the evaluation of the table."""
    trainings = dict.fromkeys(command for row in rows for command in training(path, row))
    weights = dict.fromkeys(f"{_option(row)}=outputs/{row['weights']}/best.pt" for row in rows)
    evaluation = ["python benchmarks/tables.py", f"configs/table/{path.name}", *weights, "data.root=COCO"]
    return "\n".join(["```bash", *trainings, " ".join(evaluation), "```"])


def _option(row: Entry) -> str:
    """What gives ``benchmarks/tables.py`` the weights of a row."""
    return "weights" if "unnamed" in row else f"weights.{row['weights']}"


def _figure(value: float | None) -> str:
    """A fraction with three digits, a time as it is; nothing where none is published."""
    if value is None:
        return ""
    return f"{value:.3f}" if abs(value) < 1 else f"{value:g}"


if __name__ == "__main__":
    PAGE.write_text(render())
