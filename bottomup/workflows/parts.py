"""What a run over images has found so far, on the disk line by line: one that dies goes on with what is missing."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, NotRequired, TypedDict

import numpy as np
from numpy.typing import NDArray

from bottomup.errors import ConfigError
from bottomup.paths import finite, writing

PARTS = "parts"  # the folder in that of the output


class Line(TypedDict):
    """What was found in one image: COCO's results, in px of its size; or why it could not be read."""

    image_id: int
    file_name: str
    height: NotRequired[int]
    width: NotRequired[int]
    instances: list[dict[str, object]]
    unreadable: NotRequired[str]


class _Entry(TypedDict):
    """A line of a part."""

    place: int
    line: Line


class Name(NamedTuple):
    """How results call an image."""

    image_id: int
    file_name: str


@dataclass(frozen=True)
class Parts:
    """The lines of a run's ranks, each rank's in a file of its own, below the ``output`` folder; ``names`` are all images'.

    A line is one image's, with its place among them. Where a process was killed while it wrote, the rest of a line is no line.
    """

    output: Path
    names: Sequence[Name]

    @property
    def folder(self) -> Path:
        """Where they lie."""
        return self.output / PARTS

    @contextlib.contextmanager
    def appending(self, rank: int) -> Iterator[Callable[[Sequence[tuple[int, Line]]], None]]:
        """What adds lines, with their images' places, to those of a rank; they are on the disk when it returns."""
        path = self.folder / f"rank-{rank}.jsonl"

        def add(lines: Sequence[tuple[int, Line]]) -> None:
            with writing(path):
                file.write("".join(_written(place, line) for place, line in lines).encode())
                file.flush()
                os.fsync(file.fileno())

        with writing(path):
            path.parent.mkdir(exist_ok=True)
            file = path.open("ab")
        with file:
            yield add

    def missing(self, together: int) -> list[range]:
        """The images, ``together`` at a time, of which one or more has no line; what ended in the middle of a line is cut off.

        ConfigError where lines are of other images. Nobody may write meanwhile.
        """
        for path in self._files():
            _mend(path)
        done = self._index().file >= 0
        starts = range(0, len(self.names), together)
        chunks = [range(start, min(start + together, len(self.names))) for start in starts]
        return [chunk for chunk in chunks if not done[chunk.start : chunk.stop].all()]

    @property
    def done(self) -> int:
        """How many images have a line; others may write meanwhile."""
        return int((self._index().file >= 0).sum())

    def lines(self) -> Iterator[Line]:
        """All lines, in the order of the images, one at a time; of two of one image the later."""
        index = self._index()
        with contextlib.ExitStack() as stack:
            files = [stack.enter_context(path.open("rb")) for path in self._files()]
            for number, offset in zip(index.file.tolist(), index.offset.tolist(), strict=True):
                if number >= 0:
                    files[number].seek(offset)
                    yield json.loads(files[number].readline())["line"]

    def remove(self) -> None:
        """Let nothing be left of them."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("*.jsonl"))

    def _index(self) -> _Index:
        count = len(self.names)
        index = _Index(np.full(count, -1, np.int32), np.zeros(count, np.int64))
        for number, path in enumerate(self._files()):
            with path.open("rb") as file:
                for place, name, offset in _whole_lines(file):
                    if place >= count or self.names[place] != name:
                        raise ConfigError(
                            f"{path} holds what was found in {name.file_name}, and images= has other images now; give those of the "
                            "run that resume=true goes on with, or begin anew by overwrite=true"
                        )
                    index.file[place], index.offset[place] = number, offset
        return index


class _Index(NamedTuple):
    """Where each image's line begins."""

    file: NDArray[np.int32]  # -1: it has none
    offset: NDArray[np.int64]


def _written(place: int, line: Line) -> str:
    return json.dumps({"place": place, "line": finite(line)}, allow_nan=False) + "\n"


def _mend(path: Path) -> None:
    """Cut a file off where its last whole line ends."""
    with path.open("r+b") as file:
        for _ in _whole_lines(file):
            pass
        file.truncate()


def _whole_lines(file: BinaryIO) -> Iterator[tuple[int, Name, int]]:
    """The place, the name and the offset of each line, up to the first that is not whole, where the file then stands."""
    offset = 0
    for text in iter(file.readline, b""):
        entry = _entry(text)
        if entry is None:
            break
        yield entry["place"], Name(entry["line"]["image_id"], entry["line"]["file_name"]), offset
        offset = file.tell()
    file.seek(offset)


def _entry(text: bytes) -> _Entry | None:
    """A line as it was written; None for what a system that went down left of one, and for what is none."""
    try:
        entry: Any = json.loads(text) if text.endswith(b"\n") else None
    except (ValueError, RecursionError):
        return None
    found: _Entry | None = entry if _is_entry(entry) else None
    return found


def _is_entry(entry: Any) -> bool:
    """Whether a value of JSON is an image's place and line; what the numbers within it say is not looked at."""
    if not (isinstance(entry, dict) and type(entry.get("place")) is int and entry["place"] >= 0):
        return False
    line = entry.get("line")
    if not (isinstance(line, dict) and type(line.get("image_id")) is int and isinstance(line.get("file_name"), str)):
        return False
    people = line.get("instances")
    return isinstance(people, list) and all(isinstance(person, dict) for person in people)
