"""A table has the columns that are asked for, a dash where nothing is, and each reason for what is left out once."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan
from pathlib import Path
from typing import Any

import pytest

from bottomup.report.rows import Measured, read_results
from bottomup.report.tables import COLUMNS, left_out, legend, markdown, table
from tests.unit.report.results import refused, row, written

ALL = [column.name for column in COLUMNS]


def measured(folder: Path, rows: Sequence[dict[str, Any]]) -> list[Measured]:
    return read_results([written(folder, rows)]).measured


def test_chosen_columns_stand_in_their_order_even_if_nobody_fills_them(tmp_path: Path) -> None:
    found = measured(tmp_path, [row("a"), row("b", {"AP": 0.25})])
    assert markdown(found, ["AP", "combination", "box AP"]).splitlines()[0] == "| AP | combination | box AP |"
    assert table(found, ["combination", "AP", "box AP"])[1] == [["a", "0.500", "—"], ["b", "0.250", "—"]]
    assert "box AP" not in table(found)[0]


def test_a_column_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no column named 'ap'; there are: combination; AP;"):
        markdown(measured(tmp_path, [row("a")]), ["ap"])


def test_equal_reasons_are_a_line(tmp_path: Path) -> None:
    found = measured(tmp_path, [refused("a", "no\ntags"), row("b"), refused("c", "no offsets"), refused("d", "no tags")])
    assert left_out(found) == [("refused: no tags", ["a", "d"]), ("refused: no offsets", ["c"])]
    assert markdown(found).splitlines()[-2:] == ["- a; d: refused: no tags", "- c: refused: no offsets"]


def test_nothing_measured_is_reasons_alone(tmp_path: Path) -> None:
    assert markdown(measured(tmp_path, [refused("a", "no tags")])) == "- a: refused: no tags"
    assert markdown([]) == ""


@pytest.mark.parametrize("undefined", [None, nan])
def test_what_is_undefined_is_a_dash_in_every_column(tmp_path: Path, undefined: float | None) -> None:
    figures = dict.fromkeys(("AP", "APM", "APL", "mask_AP", "box_AP", "segmentation_IoU"), undefined)
    blocks = {name: {"p50_ms": undefined, "p90_ms": undefined} for name in ("backbone", "heads.tags", "decoder", "total")}
    numbers = dict.fromkeys(("gigamacs", "peak_mebibytes", "training_images_per_second"), undefined)
    one = row("a", figures, latency=blocks, oracle=figures, grouping=figures, spread=figures, parameters={}, **numbers)
    one |= {"images_per_second": {"1": undefined}, "training": {"seeds": 2}}
    assert table(measured(tmp_path, [one]), ALL)[1] == [["a", *["—"] * (len(ALL) - 1)]]


def test_an_undefined_spread_leaves_the_figure(tmp_path: Path) -> None:
    training = {"seeds": 2}
    known, unknown = row("a", spread={"AP": 0.02}, training=training), row("b", spread={"AP": None}, training=training)
    assert table(measured(tmp_path, [known, unknown]), ["AP"])[1] == [["0.500 ± 0.010"], ["0.500"]]


def test_the_rate_of_training_says_its_precision_where_that_is_known(tmp_path: Path) -> None:
    rate, column = {"training_images_per_second": 12.34}, "training images/s"
    said = [
        row("a", **rate, training_precision="bf16"),
        row("b", **rate, training_precision=None),
        row("c", training_precision="bf16"),
    ]
    assert table(measured(tmp_path, said), [column])[1] == [["12.3 in bf16"], ["12.3"], ["—"]]
    assert table(measured(tmp_path, [row("d", **rate)]), [column])[1] == [["12.3"]]  # of a file from before it was said


def test_a_legend_says_what_its_columns_mean() -> None:
    lines = legend(["combination", "AP", "necks ms", "note"]).splitlines()
    assert [line.partition(":")[0] for line in lines] == ["- AP", "- necks ms"]
    with pytest.raises(ValueError, match="no column named 'ap'"):
        legend(["ap"])


def test_the_times_of_blocks_add_up(tmp_path: Path) -> None:
    blocks = {"backbone": 4.0, "necks.preset": 1.0, "necks.people": 0.5, "heads.tags": 2.0, "heads.heatmap": 1.5, "decoder": 3.0}
    latency = {name: {"p50_ms": ms, "p90_ms": ms} for name, ms in (blocks | {"total": 12.0}).items()}
    columns = ["backbone ms", "necks ms", "heads ms", "decoder ms", "ms, median / 90 %"]
    assert table(measured(tmp_path, [row("a", latency=latency)]), columns)[1] == [["4.0", "1.5", "3.5", "3.0", "12 / 12"]]
