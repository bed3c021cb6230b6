"""Files are there whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from bottomup.paths import write_bytes, write_json, write_text, written_whole


def cut_short(path: Path) -> None:
    with written_whole(path) as file:
        file.write(b"half")
        file.flush()
        raise KeyboardInterrupt


@pytest.mark.parametrize("older", [None, b"older"])
def test_a_write_that_is_cut_short_leaves_what_was_there(older: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "result.bin"
    if older is not None:
        path.write_bytes(older)
    with pytest.raises(KeyboardInterrupt):
        cut_short(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ([] if older is None else ["result.bin"])
    assert older is None or path.read_bytes() == older


def test_a_file_has_its_name_only_once_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "result.bin"
    with written_whole(path) as file:
        file.write(b"all")
        assert not path.exists()
    assert path.read_bytes() == b"all" and list(path.parent.iterdir()) == [path]


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    assert write_text(tmp_path / "a", "é").read_text(encoding="utf-8") == "é"
    assert write_bytes(str(tmp_path / "b"), b"\x00").read_bytes() == b"\x00"
    assert write_json(tmp_path / "c", {"a": float("nan")}).read_text().split() == ["{", '"a":', "null", "}"]
