"""A report is made of files that anybody may have written: nothing in them is run, and nothing beside them is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bottomup.benchmark.exhibits import EXHIBITS
from bottomup.cli import main
from bottomup.errors import ConfigError
from bottomup.report.page import page
from bottomup.report.plots import plots
from bottomup.report.rows import read_results
from tests.unit.report.results import refused, row, show, written

ROWS: dict[str, dict[str, Any]] = {
    "no number": {"figures": {"AP": "high"}},
    "a list": {"figures": [0.5]},
    "no mapping": {"latency": 3},
    "half a time": {"latency": {"total": {"p50_ms": 3.0}}},
    "parameters": {"parameters": {"b": "many"}},
    "a folder above": {"folder": "../other"},
    "a folder elsewhere": {"folder": "/etc"},
    "training": {"training": {"learning_rate": 0.1}},
    "a status": {"status": 3},
    "conditions": {"judged": {"data": "coco"}},
    "rates": {"images_per_second": {"1": "fast"}},
}


@pytest.mark.parametrize("fault", ROWS)
def test_a_malformed_row_is_one_sentence(fault: str, tmp_path: Path) -> None:
    written(tmp_path, [row("a"), row("b")])
    result = json.loads((tmp_path / "benchmark.json").read_text())
    result["rows"][1] |= ROWS[fault]
    for one in result["rows"]:
        one.setdefault("judged", {})
    (tmp_path / "benchmark.json").write_text(json.dumps(result))
    with pytest.raises(ConfigError, match="row 'b'") as error:
        read_results([tmp_path])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("fault", [3, None, "name", ["name"]])
def test_a_row_that_is_no_object_is_one_sentence(fault: object, tmp_path: Path) -> None:
    written(tmp_path, [row("a"), row("b")])
    result = json.loads((tmp_path / "benchmark.json").read_text())
    result["rows"][1] = fault
    (tmp_path / "benchmark.json").write_text(json.dumps(result))
    with pytest.raises(ConfigError, match="row 1 should be an object, got a") as error:
        read_results([tmp_path])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("lacking", ["device", "date"])
def test_a_row_that_says_half_of_where_it_is_from_is_one_sentence(lacking: str, tmp_path: Path) -> None:
    own = row("a", commit="a" * 40, date="2026-01-02T10:00:00+00:00")
    del own[lacking]
    with pytest.raises(ConfigError, match=f"row 'a' should have {lacking}"):
        read_results([written(tmp_path, [own])])


def test_choices_that_are_no_texts_are_told_as_such(tmp_path: Path) -> None:
    rows = [row(str(size), choices={"input_size": size, "flip": True, "crops": None}) for size in (128, 256)]
    assert "True, None" in dict(plots(read_results([written(tmp_path, rows)])))["Latency and image size"]


EXHIBITED: dict[str, Any] = {
    "a file above": ("file", "../../etc/passwd"),
    "a file elsewhere": ("file", "/etc/passwd"),
    "a map above": ("maps", {"heatmap": "../1.jpg"}),
    "no picture": ("file", EXHIBITS),
    "no size": ("size", [8]),
    "no people": ("people", 3),
    "no keypoints": ("people", [{"score": 1.0, "outlines": []}]),
    "words": ("people", [{"score": 1.0, "outlines": [], "keypoints": ["</script>"]}]),
}


@pytest.mark.parametrize("fault", EXHIBITED)
def test_exhibits_that_are_none_are_one_sentence(fault: str, tmp_path: Path) -> None:
    written(tmp_path, [row("a")])
    show(tmp_path / "a", 100)
    field, value = EXHIBITED[fault]
    found = json.loads((tmp_path / "a" / EXHIBITS).read_text())
    found["images"][0][field] = value
    (tmp_path / "a" / EXHIBITS).write_text(json.dumps(found))
    with pytest.raises(ConfigError) as error:
        page(read_results([tmp_path]), "title")
    assert "\n" not in str(error.value)


def test_a_report_that_is_refused_leaves_nothing_behind(tmp_path: Path) -> None:
    written(tmp_path, [row("a", judged={})])
    show(tmp_path / "a", 100)
    (tmp_path / "a" / "1.jpg").write_text("no picture")
    assert main(["report", f"results={tmp_path}", f"output={tmp_path}/out"]) == 1
    assert not (tmp_path / "out").exists()


NAME = "<script>alert(1)</script> $\\frac{ [a](javascript:b) \ud800 \x07"


def test_names_are_text_wherever_they_are_shown(tmp_path: Path) -> None:
    written(tmp_path, [row(NAME, folder="a", judged={}), refused("b", NAME) | {"judged": {}}])
    show(tmp_path / "a", 100)
    assert main(["report", f"results={tmp_path}", f"output={tmp_path}/out", "title='<b>$x$'"]) == 0
    for file in (tmp_path / "out").iterdir():
        text = file.read_text()
        assert "<script>alert" not in text and "\x07" not in text
    markdown = (tmp_path / "out" / "report.md").read_text()
    assert "$\\frac{" in markdown and "](javascript" not in markdown and "<" not in markdown


def test_plots_of_such_names_are_drawn(tmp_path: Path) -> None:
    written(tmp_path, [row(f"{NAME} {number}", folder=str(number)) for number in range(2)])
    drawn = dict(plots(read_results([tmp_path])))
    assert drawn and all("$\\frac{" in svg for name, svg in drawn.items() if name == "Accuracy and latency")
