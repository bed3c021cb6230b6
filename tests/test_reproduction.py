"""The page of the papers' tables is what it is rendered from, no table is missing, and what fills a row is a command that runs."""

from __future__ import annotations

import shlex
from functools import cache
from pathlib import Path

import pytest
import yaml

from benchmarks.reproduction import PAGE, PAPERS, ROOT, TABLES, read_heading, render
from benchmarks.tables import fill, training
from bottomup.cli import COMMANDS
from bottomup.commands import evaluate
from bottomup.compose import load_config

PATHS = [path for path in sorted(TABLES.glob("*.yaml")) if read_heading(path)]
PUBLISHED = {"Associative Embedding": range(1, 6), "PersonLab": range(1, 10), "MultiPoseNet": range(1, 6)}


def test_the_page_is_rendered_from_the_tables() -> None:
    assert render() == PAGE.read_text(), "run python benchmarks/reproduction.py"


@pytest.mark.parametrize("paper", PAPERS)
def test_every_published_table_is_there(paper: str) -> None:
    names = [heading[1] for path in PATHS if (heading := read_heading(path)) and heading[0] == paper]
    numbers = [int(word) for name in names if name.startswith("Table") for word in name.split() if word.isdigit()]
    assert sorted(numbers) == list(PUBLISHED[paper])
    assert {name for name in names if name.startswith("Fig.")} == ({"Fig. 2", "Fig. 6"} if paper == "MultiPoseNet" else set())


def test_every_picture_of_the_page_is_there() -> None:
    pictures = [row["picture"] for path in PATHS for row in yaml.safe_load(path.read_text())["rows"] if "picture" in row]
    assert pictures
    assert all((PAGE.parent / picture).is_file() for picture in pictures)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_row_is_evaluated_or_says_why_not(path: Path) -> None:
    table = yaml.safe_load(path.read_text())
    names = [row["name"] for row in table["rows"]]
    assert len(names) == len(set(names))
    for row in table["rows"]:
        says = row.keys() & {"cannot", "command"}
        evaluated = bool(table["common"] or row.get("overrides"))
        assert len(says) == 1 or (evaluated and not says)
        assert not says or not row.keys() & {"overrides", "train", "weights"}
        assert "train" not in row or "weights" in row


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_the_commands_that_fill_a_row_compose(path: Path) -> None:
    for row in yaml.safe_load(path.read_text())["rows"]:
        trainings = training(path, row) if "train" in row else []
        for command in [*trainings, *([row["command"]] if "command" in row else [])]:
            compose(command)
        assert not trainings or trainings[-1].endswith(f" output=outputs/{row['weights']}")


@cache
def compose(command: str) -> None:
    """Compose the configuration of a command as it is typed; of another program, find it."""
    program, name, *overrides = shlex.split(command)
    if program == "bottomup":
        load_config(COMMANDS[name][1] or name, overrides)
    else:
        assert program == "python" and (ROOT / name).is_file()


def test_rows_that_are_not_evaluated_say_so_in_the_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "run", lambda *_: pytest.fail("evaluated"))
    rows = [{"name": "never", "cannot": "no such data"}, {"name": "elsewhere", "command": "python benchmarks/prn.py"}]
    (tmp_path / "table.yaml").write_text(yaml.safe_dump({"common": [], "rows": rows}))
    never, elsewhere = fill(tmp_path / "table.yaml", ["data.root=COCO"], tmp_path / "table.json")
    assert never["note"] == "no such data" and "python benchmarks/prn.py" in elsewhere["note"]
