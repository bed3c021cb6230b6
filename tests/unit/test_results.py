"""What was found in many images is kept on the disk, not in memory, and a line is there whole or not at all."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from bottomup.base_predictor import BasePredictor
from bottomup.commands.photos import Photo
from bottomup.commands.predict import Drawing, Looking
from bottomup.engine.distributed import Ranks
from bottomup.errors import ConfigError
from bottomup.workflows.parts import Line, Name, Parts
from bottomup.workflows.results import begin_anew, finish, finished, results_file

FORMS = ("coco", "jsonl", "parquet")


def line(place: int, people: int = 2) -> Line:
    person: dict[str, object] = {"image_id": place, "category_id": 1, "score": 0.5, "keypoints": [float(place)] * 51}
    instances = [dict(person) for _ in range(people)]
    return {"image_id": place, "file_name": f"{place}.jpg", "height": 4, "width": 6, "instances": instances}


def parts_of(folder: Path, count: int) -> Parts:
    return Parts(folder, [Name(place, f"{place}.jpg") for place in range(count)])


def write(parts: Parts, places: range, rank: int = 0) -> None:
    with parts.appending(rank) as add:
        add([(place, line(place)) for place in places])


def test_lines_of_all_ranks_come_in_the_order_of_the_images_each_once(tmp_path: Path) -> None:
    parts = parts_of(tmp_path, 7)
    for rank, chunks in enumerate(((range(2), range(4, 6)), (range(2, 4), range(2), range(6, 7)))):
        for chunk in chunks:
            write(parts, chunk, rank)
    assert not parts.missing(2) and parts.done == 7
    assert [own["image_id"] for own in parts.lines()] == list(range(7))


@pytest.mark.parametrize("cut", [1, 40, 200])
def test_a_line_that_is_cut_off_is_none_and_what_is_added_afterwards_is_whole(tmp_path: Path, cut: int) -> None:
    parts = parts_of(tmp_path, 4)
    write(parts, range(4))
    (file,) = parts.folder.iterdir()
    file.write_bytes(file.read_bytes()[:-cut])
    assert parts.done == 3 and parts.missing(2) == [range(2, 4)]
    write(parts, range(2, 4))
    assert not parts.missing(2) and list(parts.lines()) == [line(place) for place in range(4)]


@pytest.mark.parametrize(
    "strange",
    [
        "5", "[]", "null", "{}", '{"place": -1, "line": {}}', '{"place": 3, "line": 5}', "[" * 100_000,
        '{"place": 3, "line": {"image_id": 3, "file_name": "3.jpg", "instances": 5}}',
        '{"place": 3, "line": {"image_id": 3, "file_name": "3.jpg", "instances": [5]}}',
    ],
    ids=range(9),
)  # fmt: skip
def test_a_line_that_nobody_here_wrote_is_none(tmp_path: Path, strange: str) -> None:
    parts = parts_of(tmp_path, 4)
    write(parts, range(3))
    (file,) = parts.folder.iterdir()
    file.write_text(file.read_text() + strange + "\n")
    assert parts.done == 3 and parts.missing(2) == [range(2, 4)]
    write(parts, range(3, 4))
    assert list(parts.lines()) == [line(place) for place in range(4)]


@pytest.mark.parametrize("said", ["[", "[]", "{}", '{"images": "4", "instances": 8, "unreadable": []}', "\xff"])
def test_a_run_whose_summary_is_none_is_not_finished(tmp_path: Path, said: str) -> None:
    parts = parts_of(tmp_path, 4)
    write(parts, range(4))
    whole = finish("jsonl", parts)
    assert finished("jsonl", parts) == whole
    (tmp_path / "metrics.json").write_bytes(said.encode("latin-1"))
    assert finished("jsonl", parts) is None


def test_a_finished_run_of_fewer_images_is_not_that_of_more(tmp_path: Path) -> None:
    parts = parts_of(tmp_path, 4)
    write(parts, range(4))
    finish("jsonl", parts)
    with pytest.raises(ConfigError, match="in 4 images, and images= has 5 now"):
        finished("jsonl", parts_of(tmp_path, 5))


def test_what_an_earlier_run_wrote_is_not_what_a_later_one_found(tmp_path: Path) -> None:
    parts = parts_of(tmp_path, 4)
    for form in ("jsonl", "coco"):
        begin_anew(form, parts)
        assert finished(form, parts) is None
        write(parts, range(4))
        finish(form, parts)
    assert finished("jsonl", parts) is None and finished("coco", parts) is not None


def test_lines_of_other_images_are_refused(tmp_path: Path) -> None:
    write(parts_of(tmp_path, 4), range(4))
    for other in (parts_of(tmp_path, 3), Parts(tmp_path, [Name(place, f"{place}.png") for place in range(4)])):
        with pytest.raises(ConfigError, match="images= has other images now"):
            other.missing(2)


@pytest.mark.parametrize("form", FORMS)
def test_nobody_found_is_a_file_all_the_same(tmp_path: Path, form: str) -> None:
    parquet = pytest.importorskip("pyarrow.parquet") if form == "parquet" else None
    parts = parts_of(tmp_path, 1)
    with parts.appending(0) as add:
        add([(0, line(0, people=0))])
    summary = finish(form, parts)
    assert (summary["images"], summary["instances"], summary["unreadable"]) == (1, 0, [])
    file = results_file(form, tmp_path)
    if parquet is not None:
        assert parquet.read_table(file).num_rows == 0
    elif form == "coco":
        assert json.loads(file.read_text()) == []
    else:
        assert json.loads(file.read_text()) == line(0, people=0)


def most_held(do: Any) -> int:
    tracemalloc.start()
    do()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


@pytest.mark.parametrize("form", FORMS)
def test_memory_does_not_grow_with_what_is_found(tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither while images are gone through, nor when the results become one file."""
    if form == "parquet":
        pytest.importorskip("pyarrow")
        monkeypatch.setattr("bottomup.workflows.results._ROWS", 20)
    monkeypatch.setattr(Looking, "_lines", lambda self, photos: [line(photo.image_id, people=20) for photo in photos])
    most = []
    for count in (4, 4, 24):  # the first imports what it needs
        photos = [Photo(place, Path(), f"{place}.jpg", "") for place in range(count)]
        parts = parts_of(tmp_path / f"{form}{count}", count)
        parts.output.mkdir(exist_ok=True)
        nobody = cast(BasePredictor, SimpleNamespace())
        looking = Looking(nobody, photos, (1,), Drawing(Path(), nobody, 0.0, False, False), parts, Ranks())
        walked = most_held(lambda: looking.at(parts.missing(2)))  # noqa: B023
        size = sum(file.stat().st_size for file in parts.folder.iterdir())
        most.append([walked, most_held(lambda: finish(form, parts))])  # noqa: B023
    assert (np.array(most[2]) < np.array(most[1]) + size / 2).all()  # as Python's objects all would be many times the text
