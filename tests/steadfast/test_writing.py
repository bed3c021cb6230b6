"""What is written is there as a whole or not at all, by one run at a time, whatever the system says to it."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from bottomup.checkpoint import Checkpoint, save_checkpoint, versions
from bottomup.commands.photos import photos_of
from bottomup.errors import ConfigError, OutputError
from bottomup.paths import clear_partials, write_bytes, write_json, write_text, written_whole
from bottomup.skeletons import COCO
from bottomup.types import Task
from bottomup.workflows.folders import alone

LIMIT = 1 << 14  # bytes of a file


@contextlib.contextmanager
def limited(size: int = LIMIT) -> Iterator[None]:
    """Let no file become larger."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def of_weights(count: int) -> Checkpoint:
    return Checkpoint({"method": "x"}, Task(COCO), {"weight": torch.ones(count)}, None, None, versions())


@pytest.mark.parametrize("count", [LIMIT, 1 << 20])
def test_a_checkpoint_that_does_not_fit_is_one_sentence_and_leaves_the_old_one(count: int, tmp_path: Path) -> None:
    file = save_checkpoint(tmp_path / "last.pt", of_weights(4))
    before = file.read_bytes()
    with limited(), pytest.raises(OutputError, match=r"last\.pt cannot be written: .*ulimit -f") as error:
        save_checkpoint(file, of_weights(count))
    assert "\n" not in str(error.value)
    assert file.read_bytes() == before and list(tmp_path.iterdir()) == [file]


def test_other_files_that_do_not_fit_leave_nothing(tmp_path: Path) -> None:
    with limited():
        for write in (
            lambda: write_bytes(tmp_path / "a.png", bytes(2 * LIMIT)),
            lambda: write_json(tmp_path / "a.json", ["a" * LIMIT]),
            lambda: write_text(tmp_path / "a.md", "a" * 2 * LIMIT),
        ):
            with pytest.raises(OutputError, match="ulimit -f"):
                write()
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"file exists|not a directory"):
        write_text(tmp_path / "file" / "a.txt", "a")


def test_what_fails_for_another_reason_keeps_it(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), written_whole(tmp_path / "a"):
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a" * 251 + ".png", "é" * 120 + ".json", os.fsdecode(b"\xff\xfe.txt"), "\n.md"])
def test_files_of_any_name_are_written(name: str, tmp_path: Path) -> None:
    assert write_text(tmp_path / name, "half a character: \ud800").read_text() == "half a character: \\ud800"
    assert len(list(tmp_path.iterdir())) == 1


def test_pictures_of_long_names_have_room_for_what_is_added(tmp_path: Path) -> None:
    names = ["a" * 250 + f"{n}.png" for n in range(2)] + ["é" * 125 + ".png", "b.png"]
    pictures = [photo.picture for photo in photos_of([tmp_path / name for name in names])]
    assert len(set(pictures)) == 4 and pictures[-1] == "b"
    for picture in pictures:
        write_bytes(tmp_path / f"{picture}_short_offsets_merged.png", b"")


def test_a_second_run_is_refused_and_a_later_one_is_not(tmp_path: Path) -> None:
    with alone(tmp_path), pytest.raises(ConfigError, match="another run is writing"), alone(tmp_path):
        pass
    with alone(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def test_a_killed_run_leaves_no_lock_and_its_partial_files_are_cleared(tmp_path: Path) -> None:
    read, write = os.pipe()
    child = os.fork()
    if not child:
        with alone(tmp_path), written_whole(tmp_path / "pictures" / "a.png") as file:
            file.write(b"half")
            file.flush()
            os.write(write, b"x")
            time.sleep(60)
        os._exit(0)
    assert os.read(read, 1) == b"x"
    with pytest.raises(ConfigError), alone(tmp_path):
        pass
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert list((tmp_path / "pictures").iterdir())
    with alone(tmp_path):
        assert not list((tmp_path / "pictures").iterdir())


def test_partial_files_of_other_names_stay(tmp_path: Path) -> None:
    for name in (".a.pt.1.partial", ".b.pt.1.partial", "a.partial"):
        (tmp_path / name).touch()
    clear_partials(tmp_path, "a.pt")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".b.pt.1.partial", "a.partial"]


def test_a_folder_that_may_not_be_written_is_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(OutputError, match="give another output="), alone(tmp_path):
        pass
