"""``bottomup benchmark``: every combination trained or loaded, judged, timed and shown; what was measured already stays."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bottomup.benchmark.cells import Cell, cells_of
from bottomup.benchmark.results import Result, Row, blank_row, circumstances, circumstances_of, file_hash, read_result, write_result
from bottomup.errors import BottomupError, CheckpointError, ConfigError, DataError, InterruptedRunError, OutputError
from bottomup.plan.benchmarking import BenchmarkPlan, benchmark_plan
from bottomup.plan.overrides import key_of, value_of
from bottomup.plan.parts import Place
from bottomup.samples.kept import sharing
from bottomup.workflows.folders import alone
from bottomup.workflows.measure import conditions, measure, reason_of, time_again, with_weights
from bottomup.zoo.weights import present_file

RESULT = "result.json"
TABLE = "benchmark.json"

_OF_ALL = ("matrix", "output", "retime")  # all other options are of each combination


@sharing()
def run(overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Measure every cell that is not there yet; returns the rows, which ``benchmark.json`` holds too.

    With ``retime=true`` the times of those that are there are taken anew, as on a machine that has come to rest. BottomupError,
    once all is written, where no cell could be measured at all.
    """
    of_all = _of_all(overrides)
    cells = _cells(overrides)
    _check(cells, overrides)
    retime = _truth("retime", of_all.get("retime") or "false")
    folder = Place(output=of_all.get("output")).folder("benchmark")
    with alone(folder):
        rows = _rows(cells, folder, of_all.get("matrix"), retime)
    print(f"{folder}/{TABLE}")
    if all(row["status"] != "measured" for row in rows):
        raise BottomupError(f"nothing could be measured; {folder}/{TABLE} has the reason of each combination")
    return {"rows": rows}


def _rows(cells: Sequence[Cell], folder: Path, matrix: str | None, retime: bool) -> list[Row]:
    """The row of every cell, as it was measured before or is now; the table of all grows with each."""
    rows: list[Row] = []
    for number, cell in enumerate(cells, 1):
        place = folder / cell.slug
        known = _known(cell, place)
        row = known or _measured(cell, place, folder / "trainings")
        if known and retime:
            row = _timed_again(known, cell, place, folder / "trainings")
        rows.append(row)
        print(f"{number}/{len(cells)} {cell.name}: {_told(row)}{' (was there)' if known else ''}", flush=True)
        latest = max(rows, key=lambda row: str(row["date"]))
        write_result(folder / TABLE, "benchmark", {"matrix": matrix}, rows, measured=circumstances_of(latest))
    return rows


def planned(overrides: Sequence[str]) -> list[BenchmarkPlan]:
    """The plan of each combination; ConfigError for one that is none."""
    return [benchmark_plan(cell.overrides) for cell in _cells(overrides)]


def _of_all(overrides: Sequence[str]) -> dict[str, str | None]:
    return {key_of(text): value_of(text) for text in overrides if key_of(text) in _OF_ALL}


def _cells(overrides: Sequence[str]) -> list[Cell]:
    of_all = _of_all(overrides)
    return cells_of(of_all.get("matrix"), [text for text in overrides if key_of(text) not in of_all])


def _check(cells: Sequence[Cell], overrides: Sequence[str]) -> None:
    """Refuse, before anything runs, options that are none of a benchmark, and those with which no cell is configured at all."""
    for key in {key_of(text) for text in overrides} & {"resume", "overwrite"}:
        raise ConfigError(
            f"{key}= is not for bottomup benchmark, which goes on with what its output= folder holds; remove a combination's "
            "folder to have it measured anew"
        )
    faults = []
    for cell in cells:
        try:
            benchmark_plan(cell.overrides)
            return
        except ConfigError as error:
            faults.append(error)
    raise faults[0]


def _truth(key: str, text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ConfigError(f"{key} should be true or false, got {text!r}")
    return text.lower() == "true"


def _told(row: Row) -> str:
    if row["status"] != "measured":
        return f"{row['status']}: {row['reason']}"
    ap = row["figures"].get("AP")
    told = "AP undefined" if ap is None else f"AP {ap:.3f}"
    told += f", {row['latency']['total']['p50_ms']:.0f} ms" if row["latency"] else ""
    return f"{told}; {row['reason']}" if row["reason"] else told


def _blank(cell: Cell, place: Path) -> Row:
    return blank_row(cell.name, cell.choices, cell.overrides, place.name)


def _known(cell: Cell, place: Path) -> Row | None:
    """The row that was measured before, with where and when that was; None where it is to be measured."""
    if not (place / RESULT).is_file():
        return None
    try:
        result = read_result(place / RESULT)
    except ValueError as error:
        raise ConfigError(f"{place / RESULT}: {error}; remove it to have the combination measured anew") from error
    row: Row = result["rows"][0]
    if row["status"] != "measured" or not _same_weights(result):
        return None
    composed = result["config"].get("composed")  # of which rows themselves did not always say enough
    return _blank(cell, place) | ({"judged": conditions(composed)} if composed else {}) | row | circumstances_of(result)


def _timed_again(row: Row, cell: Cell, place: Path, trainings: Path) -> Row:
    """A row that was there with its times taken anew, and with where, when and with which code that was; written, too."""
    plan, checkpoint = with_weights(benchmark_plan(cell.overrides), cell.overrides)
    row = row | circumstances(plan.place.chosen_device()) | time_again(row, plan, checkpoint, trainings)
    return _written(row, plan.plain(), place)


def _same_weights(result: Result) -> bool:
    """Whether what was measured is still what ``weights`` names; where that has gone its figures stay."""
    (row,) = result["rows"]
    if row["training"]:
        return True
    if "weights_hash" not in row:  # schema 1 said nothing of the checkpoint
        return False
    return file_hash(present_file(result["config"]["composed"].get("weights"))) in (None, row["weights_hash"])


def _measured(cell: Cell, place: Path, trainings: Path) -> Row:
    """The row of a cell, with the reason where it cannot be measured; written to the cell's folder.

    InterruptedRunError, and no row, where a training is interrupted: the cell stays open.
    """
    row, config = _blank(cell, place), dict[str, Any]()
    try:
        plan = benchmark_plan(cell.overrides)
        config = plan.plain()
        row |= circumstances(plan.place.chosen_device())
        plan, checkpoint = with_weights(plan, cell.overrides)
        config = plan.plain()
        row |= measure(plan, checkpoint, place, trainings)
    except (InterruptedRunError, OutputError):  # nothing of this cell, or of the next ones, can be written
        raise
    except (ConfigError, DataError, CheckpointError) as error:
        row |= {"status": "refused", "reason": str(error)}
    except Exception as error:  # a loss that is not finite, no memory left, a fault of ours: the other cells go on
        if not isinstance(error, BottomupError):
            traceback.print_exc()
        row |= {"status": "failed", "reason": reason_of(error)}
    return _written(row, config, place)


def _written(row: Row, config: dict[str, Any], place: Path) -> Row:
    """A row as it is, which the cell's folder then holds with the configuration that it is of."""
    written = {"overrides": row["overrides"], "composed": config}
    write_result(place / RESULT, "benchmark", written, [row], measured=circumstances_of(row))
    return row
