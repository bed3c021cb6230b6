"""What is written down, and read again: by whom, where, when, and nothing that is not JSON."""

from __future__ import annotations

import json
import math
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from bottomup.benchmark.results import (
    CIRCUMSTANCES,
    SCHEMA,
    blank_row,
    circumstances,
    circumstances_of,
    file_hash,
    read_result,
    write_result,
)
from bottomup.paths import write_json
from bottomup.workflows.measure import _joined

COMMITTED = sorted((Path(__file__).resolve().parents[3] / "benchmarks" / "results").rglob("*.json"))


def strict(path: Path) -> Any:
    """JSON as other readers take it."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    return json.loads(path.read_text(), parse_constant=refuse)


def test_what_is_not_finite_is_null(tmp_path: Path) -> None:
    data = {"AP": math.nan, "list": [1.5, -math.inf, (math.inf,)], "text": "NaN", "none": None, "whole": 2}
    assert strict(write_json(tmp_path / "a.json", data)) == {**data, "AP": None, "list": [1.5, None, [None]]}
    path = write_result(tmp_path / "b.json", "benchmark", {}, [{"name": "one", "figures": {"APL": math.nan}}])
    assert strict(path)["rows"][0]["figures"] == read_result(path)["rows"][0]["figures"] == {"APL": None}


def test_a_result_says_with_what_it_was_measured(tmp_path: Path) -> None:
    result = read_result(write_result(tmp_path / "a.json", "benchmark", {}, [{"name": "one"}]))
    assert result["schema"] == SCHEMA == 2
    for package in ("torch", "torchvision", "timm", "albumentations", "pycocotools"):
        assert result["versions"][package] == version(package)


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_what_is_committed_stays_readable(path: Path) -> None:
    assert read_result(path)["schema"] in (1, SCHEMA)


def test_a_result_of_a_schema_to_come_is_refused(tmp_path: Path) -> None:
    path = write_result(tmp_path / "a.json", "benchmark", {}, [{"name": "one"}])
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema": SCHEMA + 1}))
    with pytest.raises(ValueError, match="newer bottomup"):
        read_result(path)


def test_what_was_measured_elsewhere_stays_so(tmp_path: Path) -> None:
    elsewhere = {"device": "a large one", "threads": 96, "commit": "c0ffee", "date": "2001-01-01T00:00:00+00:00"}
    row = blank_row("one", {}, [], "one")
    assert circumstances_of(row).keys() == set(CIRCUMSTANCES) == circumstances("cpu").keys() == elsewhere.keys()
    result = read_result(write_result(tmp_path / "a.json", "benchmark", {}, [row | elsewhere], measured=elsewhere))
    assert circumstances_of(result) == circumstances_of(result["rows"][0]) == elsewhere


def test_equal_files_have_equal_hashes_and_no_file_has_none(tmp_path: Path) -> None:
    for name, content in (("a", "same"), ("b", "same"), ("c", "other")):
        (tmp_path / name).write_text(content)
    a, b, c = (file_hash(tmp_path / name) for name in "abc")
    assert a == b != c and file_hash(tmp_path / "d") is None and file_hash(None) is None


def test_a_figure_that_one_seed_lacks_is_undefined() -> None:
    seeds: list[dict[str, float | None]] = [
        {"AP": 0.5, "APL": None, "AR": 0.25},
        {"AP": 1.0, "APL": 0.5, "mask_AP": 0.5, "AR": 0.25},
    ]
    assert _joined(seeds, fmean) == {"AP": 0.75, "APL": None, "AR": 0.25, "mask_AP": None}
