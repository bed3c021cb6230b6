"""A paper's table, row by row, beside its published numbers.

``python benchmarks/tables.py configs/table/personlab_5.yaml weights=best.pt data.root=coco [OVERRIDE …]`` evaluates every
row and writes ``outputs/tables/personlab_5.json``. A row that is there already is not run again; one that needs a training of
its own is run where its checkpoint is given, as ``weights.raw=raw.pt``, and else says how to train it.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped, unused-ignore]

from bottomup.benchmark.results import Row, read_result, write_result
from bottomup.commands import evaluate
from bottomup.compose import load_config
from bottomup.errors import BottomupError

_SPLITS = ("data.root=COCO", "data.train_split=train2017", "data.val_split=val2017")


def main(arguments: Sequence[str]) -> None:
    """Fill one table."""
    if not arguments:
        raise SystemExit(__doc__)
    table, overrides = Path(arguments[0]), list(arguments[1:])
    result = Path("outputs") / "tables" / f"{table.stem}.json"
    for row in fill(table, overrides, result):
        print({key: value for key, value in row.items() if key != "overrides"}, flush=True)
    print(result)


def fill(table: Path, overrides: Sequence[str], result: Path) -> list[Row]:
    """The rows of a table, evaluated with ``overrides`` where ``result`` has them not; written after each."""
    described = yaml.safe_load(table.read_text())
    weights = dict(override.removeprefix("weights").partition("=")[::2] for override in overrides if _is_weights(override))
    given = [override for override in overrides if not _is_weights(override)]
    known = {(row["name"], tuple(row["overrides"])): row for row in read_result(result)["rows"]} if result.is_file() else {}
    names = [entry["name"] for entry in described["rows"]]
    rows: list[Row] = []
    for entry in described["rows"]:
        own = [*described["common"], *entry.get("overrides", []), *given]
        checkpoint = weights.get(f".{entry['weights']}" if "weights" in entry else "")
        own += [f"weights={checkpoint}"] if checkpoint else []
        done = known.get((entry["name"], tuple(own)))
        rows.append(done if done and done["measured"] else _row(entry, own, bool(checkpoint), result))
        later = [row for (name, _), row in known.items() if name in names[len(rows) :]]
        write_result(result, table.stem, {"table": table.name}, [*rows, *later])
    return rows


def _is_weights(override: str) -> bool:
    return override.partition("=")[0].partition(".")[0] == "weights"


def _row(entry: dict[str, Any], overrides: list[str], trained: bool, result: Path) -> Row:
    """One row: measured, or the reason why not."""
    row: Row = {"name": entry["name"], "overrides": overrides, "published": entry.get("published", {}), "measured": {}, "note": ""}
    if "train" in entry and not trained:
        command = shlex.join(["bottomup", "train", *entry["train"], *_SPLITS])
        return row | {"note": f"needs weights.{entry['weights']}= of: {command}"}
    try:
        metrics = evaluate.run(
            load_config("evaluate", [*overrides, f"output={result.parent / result.stem / _slug(row)}"]), overrides
        )
    except BottomupError as error:
        return row | {"note": str(error)}
    return row | {"measured": {key: value for key, value in metrics.items() if isinstance(value, float)}}


def _slug(row: Row) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in row["name"])


if __name__ == "__main__":
    main(sys.argv[1:])
