"""Results are read from folders and files, say where they are from, and what cannot be read is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bottomup.benchmark.results import write_result
from bottomup.errors import ConfigError
from bottomup.report.provenance import Provenance, lines_of
from bottomup.report.rows import read_results
from tests.unit.report.results import refused, row, written

PEOPLE = {"name": "tags, 1", "decoder": "tags", "people": 1, "median_ms": 2.0, "valid": True}


def of_machine(device: str, commit: str, date: str) -> dict[str, str]:
    return {"device": device, "commit": commit, "date": date}


def test_each_machine_and_commit_of_the_rows_is_told_once(tmp_path: Path) -> None:
    first, second = "a" * 40, f"{'b' * 40}-dirty"
    rows = [
        row("1", **of_machine("Card", first, "2026-01-02T10:00:00+00:00")),
        row("2", **of_machine("Card", second, "2026-01-04T10:00:00+00:00")),
        row("3", **of_machine("Card", first, "2026-01-03T10:00:00+00:00")),
        row("4", **of_machine("Other card", first, "2026-01-03T10:00:00+00:00")),
        refused("5", "no reason") | of_machine("Third card", "c" * 40, "2026-01-01T10:00:00+00:00"),
    ]
    assert read_results([written(tmp_path, rows)]).conditions == [
        "Card: commits aaaaaaaaaaaa, bbbbbbbbbbbb-dirty (2026-01-02 to 2026-01-04)",
        "Other card: commit aaaaaaaaaaaa (2026-01-03)",
    ]


def test_rows_that_say_nothing_of_themselves_are_from_where_their_file_is(tmp_path: Path) -> None:
    header = json.loads((written(tmp_path, [row("1"), row("2")]) / "benchmark.json").read_text())
    (line,) = read_results([tmp_path]).conditions
    assert line.startswith(f"{header['device']}, {header['threads']} thread") and header["versions"]["torch"] in line
    assert header["commit"][:12] in line and header["date"][:10] in line


def test_versions_are_told_of_the_devices_that_the_header_is_of(tmp_path: Path) -> None:
    header = json.loads((written(tmp_path, [row("1")]) / "benchmark.json").read_text())
    moment = {"commit": "a" * 40, "date": "2026-01-02T10:00:00+00:00"}
    rows = [row("1", **moment | {"device": header["device"], "threads": 1}), row("2", **moment | {"device": "Card", "threads": 4})]
    here, there = read_results([written(tmp_path, rows)]).conditions
    assert here == f"{header['device']}, 1 thread, torch {header['versions']['torch']}: commit aaaaaaaaaaaa (2026-01-02)"
    assert there == "Card, 4 threads: commit aaaaaaaaaaaa (2026-01-02)"


def test_nothing_measured_has_no_lines() -> None:
    assert lines_of([]) == []
    assert lines_of([Provenance("machine", "unknown", "2026-01-02")] * 2) == ["machine: commit unknown (2026-01-02)"]


def test_equal_names_of_two_results_are_told_apart(tmp_path: Path) -> None:
    folders = [written(tmp_path / name, [row("same"), row(f"own {name}")]) for name in "ab"]
    names = [one.name for one in read_results(folders).measured]
    assert names == ["same (a)", "own a", "same (b)", "own b"]
    assert [one.name for one in read_results(folders[:1]).measured] == ["same", "own a"]


def test_times_against_people_are_a_further_result(tmp_path: Path) -> None:
    file = write_result(tmp_path / "people.json", "people", {}, [PEOPLE])
    results = read_results([written(tmp_path, [row("1")]), file])
    assert results.people == [PEOPLE] and len(results.measured) == 1
    assert len(results.conditions) == 2 and results.conditions[1].startswith("time against people: ")
    with pytest.raises(ConfigError, match="give one"):
        read_results([file, file])


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no benchmark\.json there"):
        read_results([tmp_path])
    with pytest.raises(ConfigError, match=r"people\.json: no such file"):
        read_results([tmp_path / "people.json"])
    with pytest.raises(ConfigError, match="'decode', which no report shows"):
        read_results([write_result(tmp_path / "decode.json", "decode", {}, [{"name": "a"}])])
    (tmp_path / "benchmark.json").write_text("{}")
    with pytest.raises(ConfigError, match="should be a str"):
        read_results([tmp_path])


def test_what_figures_are_of_is_told_once(tmp_path: Path) -> None:
    judged = {
        "data": "coco",
        "split": "val2017",
        "images": 300,
        "input_size": 512,
        "scales": [1.0],
        "flip": False,
        "precision": "fp32",
    }
    twice = judged | {"images": None, "scales": [1.0, 1.5], "flip": True, "precision": "bf16"}
    rows = [row("1", judged=judged), row("2", judged=judged), row("3", judged=twice), row("4", judged={})]
    assert read_results([written(tmp_path, rows)]).conditions[:2] == [
        "AP of 300 images of coco, val2017; 512 px, fp32",
        "AP of coco, val2017; 512 px in 2 scales, flip, bf16",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [("[1]", "should be an object, got a list"), ("{", "not a benchmark's result"), ("{}", "'name' should be a str")],
)
def test_a_file_that_is_no_result_is_named(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "benchmark.json").write_text(content)
    with pytest.raises(ConfigError, match=message) as error:
        read_results([tmp_path])
    assert str(tmp_path) in str(error.value)


def test_rows_of_another_kind_are_refused(tmp_path: Path) -> None:
    write_result(tmp_path / "benchmark.json", "benchmark", {}, [{"name": "a", "figures": {}}])
    with pytest.raises(ConfigError, match=r"rows without choices, folder, .*status"):
        read_results([tmp_path])


def test_a_note_tells_all_that_figures_lack(tmp_path: Path) -> None:
    (one,) = read_results([written(tmp_path, [row("a", reason="not trained: prn; not timed whole: no memory")])]).measured
    assert one.note == "not trained: prn; not timed whole: no memory"


def test_poses_are_not_called_untrained_because_a_loss_fell_by_little(tmp_path: Path) -> None:
    """A mean square error of nearly empty maps hardly falls where poses become good; only heads that nobody trained are told of."""
    training = {"seeds": 1, "first_loss": 1.0, "last_loss": 0.9}
    (one,) = read_results([written(tmp_path, [row("a", training=training)])]).measured
    assert one.note == ""
