"""The page of the papers' tables is what it is rendered from, no figure is missing, and what fills a row is a command that runs."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterator
from functools import cache
from math import isclose
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks import defaults, reproduction
from benchmarks.reproduction import PAGE, PAPERS, ROOT, TABLES, read_heading, render
from benchmarks.tables import command_of, fill, training
from bottomup.benchmark.results import write_result
from bottomup.cli import COMMANDS
from bottomup.commands import evaluate
from bottomup.plan.composing import load_config

PATHS = [path for path in sorted(TABLES.glob("*.yaml")) if read_heading(path)]
PUBLISHED = {"Associative Embedding": range(1, 6), "PersonLab": range(1, 10), "MultiPoseNet": range(1, 6)}
OTHERS = {
    "Associative Embedding": {"§4.1, grouping", "Oracles"},
    "PersonLab": {"Appendix A.1, speed", "Oracles"},
    "MultiPoseNet": {"Fig. 2", "Fig. 6", "Oracles"},
}

PARTS = (*(f"PCKh_AP_{part}" for part in ("head", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")), "PCKh_AP")
PRECISION = ("AP", "AP50", "AP75", "APM", "APL")
KEYPOINTS = (*PRECISION, "AR", "AR50", "AR75", "ARM", "ARL")
BOXES = ("box_AP", "box_AP50", "box_AP75", "box_APS", "box_APM", "box_APL")
MASKS = (
    "mask_AP", "mask_AP50", "mask_AP75", "mask_APS", "mask_APM", "mask_APL",
    "mask_AR1", "mask_AR10", "mask_AR", "mask_ARS", "mask_ARM", "mask_ARL",
)  # fmt: skip
PRINTED = {  # the columns of a table in the paper's order, and how many rows of its own systems the paper prints with all of them
    "associative_embedding_1": {PARTS: 1},
    "associative_embedding_2": {KEYPOINTS: 1},
    "associative_embedding_3": {KEYPOINTS: 1},
    "associative_embedding_4": {PRECISION: 4},
    "associative_embedding_grouping": {("AP",): 2},
    "associative_embedding_5": {("voc_AP50", "voc_AP70"): 1},
    "associative_embedding_oracles": {},
    "multiposenet_1": {("images_per_second", *KEYPOINTS): 1},
    "multiposenet_2": {PRECISION: 5},
    "multiposenet_3": {PRECISION: 10},  # of five and six: the last on the left is the first on the right
    "multiposenet_4": {PRECISION: 4},
    "multiposenet_5": {BOXES: 2, ("voc_IoU",): 1},
    "multiposenet_fig2": {},
    "multiposenet_oracles": {},
    "multiposenet_fig6": {("network_ms",): 1, ("images_per_second",): 3, ("all_ms",): 1},
    "personlab_oracles": {},
    "personlab_1": {KEYPOINTS: 4},
    "personlab_2": {MASKS: 3},  # of four: one is not legible
    "personlab_3": {MASKS: 3},  # of five: two are not legible
    "personlab_4": {KEYPOINTS: 24},
    "personlab_5": {KEYPOINTS: 4},
    "personlab_6_7": {("AP", "APL", "mask_AP", "mask_APL"): 1},  # not legible; the text prints gains
    "personlab_8_9": {("mask_APS",): 2, ("AP", "mask_AP"): 1},  # the same
    "personlab_speed": {("total_ms",): 3},
}


NOT_OURS = {"Cao et al.", "Cao et al., PRN", "pixels of people, several scales"}  # part affinity fields; VOC's test images


def test_the_page_is_rendered_from_the_tables() -> None:
    assert render() == PAGE.read_text(), "run python benchmarks/reproduction.py"


@pytest.mark.parametrize("paper", PAPERS)
def test_every_published_table_is_there(paper: str) -> None:
    names = [heading[1] for path in PATHS if (heading := read_heading(path)) and heading[0] == paper]
    numbers = [int(word) for name in names if name.startswith("Table") for word in name.split() if word.isdigit()]
    assert sorted(numbers) == list(PUBLISHED[paper])
    assert {name for name in names if not name.startswith("Table")} == OTHERS[paper]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_every_printed_row_is_there_with_all_columns(path: Path) -> None:
    assert Counter(tuple(row) for row in published(path)) == PRINTED[path.stem]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_published_figures_stand_in_the_paper(path: Path, shared: Path) -> None:
    paper, _, _ = read_heading(path) or ("", "", "")
    text = shared / "papers" / f"{paper.lower().replace(' ', '_')}.txt"
    if not text.is_file():
        pytest.skip(f"no text of the paper at {text}")
    printed = [float(number) for number in re.findall(r"\d+\.?\d*|\.\d+", text.read_text())]
    for row in published(path):
        figures = list(row.values())
        runs = [figures] if len(row) >= len(PRECISION) else [[figure] for figure in figures]  # those of a table follow one another
        assert all(stands(run, printed) for run in runs), row


def published(path: Path) -> Iterator[dict[str, Any]]:
    """The published figures of the rows that have any."""
    return (row["published"] for row in yaml.safe_load(path.read_text())["rows"] if "published" in row)


def stands(figures: list[float], printed: list[float]) -> bool:
    """Whether figures stand one after another among printed numbers, as they are or in percent; of a loss its size."""
    starts = range(len(printed) - len(figures) + 1)
    return any(all(map(same, figures, printed[start : start + len(figures)])) for start in starts)


def same(figure: float, printed: float) -> bool:
    return isclose(abs(figure), printed) or isclose(100 * abs(figure), printed)


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
        says = row.keys() & {"cannot", "command", "difference"}
        evaluated = bool(table["common"] or row.get("overrides"))
        assert len(says) == 1 or (evaluated and not says)
        assert not says or not row.keys() & {"overrides", "server"}
        assert not says - {"command"} or not row.keys() & {"train", "weights"}
        assert "train" not in row or "weights" in row
        assert set(row.get("difference", ())) <= set(names)


def test_no_row_is_without_a_command_or_a_result() -> None:
    lacking = {row["name"] for path in PATHS for row in yaml.safe_load(path.read_text())["rows"] if "cannot" in row}
    assert {name for name in lacking if "refined" not in name} <= NOT_OURS


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_the_commands_that_fill_a_row_compose(path: Path) -> None:
    for row in yaml.safe_load(path.read_text())["rows"]:
        trainings = training(path, row) if "train" in row else []
        for command in [*trainings, *([command_of(row)] if "command" in row else [])]:
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


def test_a_row_of_another_program_names_its_weights_and_their_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = "bottomup benchmark weights=outputs/{weights}/best.pt"
    rows = [
        {"name": "one", "weights": "net", "train": ["method=personlab"], "command": command},
        {"name": "two", "result": "two", "command": "none"},
        {"name": "three", "result": "three", "command": "none"},
        {"name": "gain", "published": {"AP": 0.1}, "difference": ["three", "two"]},
    ]
    heading = "# PersonLab, Table 1: a table\n"
    (tmp_path / "table.yaml").write_text(heading + yaml.safe_dump({"common": [], "rows": rows}))
    for name, value in (("two", 0.25), ("three", 0.5)):
        write_result(tmp_path / f"{name}.json", name, {}, [{"name": name, "AP": value}])
    monkeypatch.setattr(reproduction, "TABLES", tmp_path)
    monkeypatch.setattr(reproduction, "RESULTS", tmp_path)
    monkeypatch.setattr(reproduction, "_tag_loss", list)
    page = reproduction.render()
    assert "| one |  | `bottomup benchmark weights=outputs/net/best.pt` |" in page and "| gain | 0.100 | AP 0.250 |" in page
    assert "bottomup train method=personlab" in page and "output=outputs/net\n```" in page and "tables/table.yaml" not in page


def test_the_page_of_defaults_is_rendered_from_results() -> None:
    assert defaults.render() == defaults.PAGE.read_text(), "run python benchmarks/defaults.py"


@pytest.mark.parametrize(
    "change", [change for changes in defaults.METHODS.values() for change in changes], ids=lambda change: change.what
)
def test_what_is_a_default_now_does_better_than_what_it_replaced(change: defaults.Change) -> None:
    before, after = float(change.before.read()), float(change.after.read())
    assert after < before if change.less_is_better else after > before
