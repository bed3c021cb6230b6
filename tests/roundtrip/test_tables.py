"""A paper's table is filled row by row, once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from benchmarks.tables import fill
from bottomup.commands import evaluate
from bottomup.plan.composing import load_config

SMALL = [
    "data=synthetic", "data.size=64", "data.people=[1,1]", "data.height=[0.6,0.8]", "limit=2", "backbone=hourglass_tiny",
    "input_size=64", "workers=0", "pictures=0",
]  # fmt: skip

TABLES = Path(__file__).parents[2] / "benchmarks" / "tables"


def test_rows_are_measured_once_and_say_what_they_lack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "table.yaml"
    rows = [
        {"name": "ideal", "overrides": ["oracle=[heatmap,tags]"], "published": {"AP": 0.5}},
        {"name": "nothing", "overrides": ["oracle=[heatmap]"]},
        {"name": "trained apart", "weights": "apart", "train": ["heads.tags.dim=2"]},
    ]
    table.write_text(yaml.safe_dump({"common": ["method=associative_embedding"], "rows": rows}))
    ideal, nothing, apart = fill(table, SMALL, tmp_path / "table.json")
    assert ideal["measured"]["AP"] > 0.5 and ideal["published"] == {"AP": 0.5}
    assert not nothing["measured"] and "weights= is missing" in nothing["note"]
    assert "bottomup train heads.tags.dim=2" in apart["note"] and "weights.apart=" in apart["note"]
    monkeypatch.setattr(evaluate, "run", lambda *_: pytest.fail("measured twice"))
    with pytest.raises(pytest.fail.Exception, match="measured twice"):
        fill(table, SMALL, tmp_path / "table.json")  # the row that could not be measured is tried again; the first was not


def test_of_images_that_a_server_judges_the_results_are_written_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table, result = tmp_path / "table.yaml", tmp_path / "tables" / "table.json"
    row = {"name": "one scale", "overrides": ["oracle=[heatmap,tags]"], "server": "COCO's server"}
    table.write_text(yaml.safe_dump({"common": ["method=associative_embedding"], "rows": [row]}))
    (written,) = fill(table, SMALL, result)
    file = result.parent / "table" / "one_scale" / "predictions.json"
    assert not written["measured"] and written["note"].startswith(f"{file} is for COCO's server")
    assert {record["image_id"] for record in json.loads(file.read_text())} <= {1, 2}
    monkeypatch.setattr(evaluate, "run", lambda *_: pytest.fail("written twice"))
    assert fill(table, SMALL, result) == [written]


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[2] / "benchmarks" / "tables").glob("*.yaml")), ids=lambda path: path.stem
)
def test_every_row_composes(path: Path) -> None:
    table = yaml.safe_load(path.read_text())
    for row in table["rows"]:
        load_config("evaluate", [*table["common"], *row.get("overrides", [])])
        if "train" in row:
            load_config("train", row["train"])
