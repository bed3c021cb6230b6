"""There is a plot of whatever there are figures for, and what is undefined has no part in it."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan
from pathlib import Path
from typing import Any

import pytest

from bottomup.benchmark.results import write_result
from bottomup.report.plots import plots
from bottomup.report.rows import read_results
from tests.unit.report.results import refused, row, written


def drawn(folder: Path, rows: Sequence[dict[str, Any]]) -> dict[str, str]:
    return dict(plots(read_results([written(folder, rows)])))


def test_each_kind_of_ap_by_size_is_of_those_who_have_it(tmp_path: Path) -> None:
    keypoints = {"AP": 0.5, "APM": 0.4, "APL": 0.6}
    masks = keypoints | {"mask_APS": None, "mask_APM": 0.2, "mask_APL": 0.3}
    boxes = {"AP": 0.5, "box_APS": 0.1, "box_APM": 0.2, "box_APL": 0.3}
    found = drawn(tmp_path, [row("posed", keypoints), row("masked", masks), row("boxed", boxes), refused("none", "no tags")])
    names = {title: {name for name in ("posed", "masked", "boxed", "none") if f">{name}<" in svg} for title, svg in found.items()}
    assert names["AP by size"] == {"posed", "masked"}
    assert names["Mask AP by size"] == {"masked"} and names["Box AP by size"] == {"boxed"}
    assert "mask APM" in found["Mask AP by size"] and "mask APS" not in found["Mask AP by size"]
    assert "box APS" in found["Box AP by size"]


@pytest.mark.parametrize("undefined", [None, nan])
def test_what_is_undefined_is_not_drawn(tmp_path: Path, undefined: float | None) -> None:
    figures = dict.fromkeys(("AP", "APM", "APL", "mask_APM", "box_APL"), undefined)
    assert drawn(tmp_path, [row("a", figures), row("b", figures, ms=undefined)]) == {}
    mixed = drawn(tmp_path, [row("a", figures), row("b", {"AP": 0.5, "APM": 0.4}), row("c", ms=undefined)])
    assert mixed.keys() == {"Accuracy and latency", "AP by size"}
    assert "1  b" in mixed["Accuracy and latency"] and "2  " not in mixed["Accuracy and latency"]


def test_latency_is_drawn_against_sizes_that_are_numbers(tmp_path: Path) -> None:
    sized = [row(f"tags, {size}", choices={"method": "tags", "input_size": size}) for size in ("128", "256", "large")]
    assert "input size, px" in drawn(tmp_path, sized)["Latency and image size"]


def test_sizes_of_two_benchmarks_are_two_lines(tmp_path: Path) -> None:
    """Also where no combination of one has the name of one of the other's: their networks may differ."""
    folders = []
    for name, sizes in (("a", (64, 128)), ("b", (192, 256))):
        rows = [row(f"input_size={size}", choices={"input_size": str(size)}) for size in sizes]
        folders.append(written(tmp_path / name, rows))
    svg = dict(plots(read_results(folders)))["Latency and image size"]
    assert svg.count("as configured (") == 2 and f"as configured ({tmp_path / 'b'})" in svg


def test_valid_times_against_people_have_a_line_a_decoder(tmp_path: Path) -> None:
    rows = [
        {"name": f"{name}, {count}", "decoder": name, "people": count, "median_ms": ms, "valid": name != "void"}
        for name, ms in (("tags", 2.0), ("offsets", 3.0), ("void", 4.0), ("undefined", None))
        for count in (1, 10)
    ]
    results = read_results([write_result(tmp_path / "people.json", "people", {}, rows)])
    ((title, svg),) = plots(results)
    assert title == "Time against people" and "people in the image" in svg
    assert [name for name in ("tags", "offsets", "void", "undefined") if f">{name}<" in svg] == ["tags", "offsets"]
