"""Paths as users write them, and files that are there whole or not at all."""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from bottomup.errors import OutputError, of_system

_PARTIAL = ".partial"  # how files end that are being written
_LONG = 200  # bytes of a name, to which process and ending are added
_HOME = re.compile(r"(?:(?<=[\[,])|^)~(?=[/,\]]|$)")


def path_of(given: str | os.PathLike[str]) -> Path:
    """A path with ``~`` and ``~somebody`` at its beginning as the home folder, which shells do not do behind ``data.root=``.

    A name that begins so without being anybody's stays as it is.
    """
    return Path(os.path.expanduser(given))  # noqa: PTH111  # Path.expanduser raises for nobody's name


def with_home(override: str) -> str:
    """An override ``key=value`` with ``~`` at the beginning of its value, or of one in a list, as the home folder.

    Shells do that behind ``images=`` at best, and Hydra cannot read the sign.
    """
    key, equals, value = override.partition("=")
    return key + equals + _HOME.sub(lambda _: str(Path.home()), value) if equals else override


class _Output(io.BufferedWriter):
    """A file that remembers the first write that the system refused, and takes the rest for nothing.

    PyTorch's writer ends its process, or says something else, where a write fails in the middle of an archive.
    """

    refused: OSError | None = None

    def write(self, data: Any) -> int:
        """Write, as long as that can be done."""
        try:
            return super().write(data) if self.refused is None else len(data)
        except OSError as error:
            self.refused = error
            return len(data)


@contextmanager
def written_whole(path: str | Path) -> Iterator[BinaryIO]:
    """A file to write that gets its name, and takes the place of an older one, once all of it is on the disk; if not, it goes.

    Folders that are missing are made. OutputError where the system refuses to write.
    """
    target = path_of(path)
    partial = target.with_name(f".{_short(target.name)}.{os.getpid()}{_PARTIAL}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _Output(io.FileIO(partial, "wb")) as file:
            yield file
            if file.refused is not None:
                raise file.refused
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    except OSError as error:
        raise OutputError(f"{target} cannot be written: {of_system(error)}") from error
    finally:
        with suppress(OSError):
            partial.unlink()


@contextmanager
def writing(target: str | Path) -> Iterator[None]:
    """Say which file it is that the system refuses to write inside: OutputError."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"{target} cannot be written: {of_system(error)}") from error


def check_writable(path: str | Path) -> None:
    """Raise OutputError where a file cannot be written, before what it is to hold is made; nothing stays of the attempt."""
    target = path_of(path)
    missing = [folder for folder in target.parents if not folder.exists()]  # the innermost first
    with writing(target):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=target.parent):
                pass
        finally:
            for folder in missing:
                with suppress(OSError):
                    folder.rmdir()


def _short(name: str) -> str:
    """A file's name, or a hash of one to which nothing can be added: systems take 255 bytes."""
    return name if len(os.fsencode(name)) <= _LONG else hashlib.sha256(os.fsencode(name)).hexdigest()[:16]


def clear_partials(folder: Path, name: str = "*") -> None:
    """Remove what processes that were killed left half-written in a folder and below, of files called ``name``, a pattern.

    For whoever knows that nobody writes there.
    """
    for partial in folder.rglob(f".{name}.*{_PARTIAL}"):
        with suppress(OSError):
            partial.unlink()


def write_bytes(path: str | Path, content: bytes) -> Path:
    """Write a file whole or not at all; returns its path."""
    with written_whole(path) as file:
        file.write(content)
    return path_of(path)


def write_text(path: str | Path, text: str) -> Path:
    """Write text, as UTF-8, whole or not at all; returns its path.

    What UTF-8 does not have, as the halves of characters in names that are none, is written as its escape.
    """
    return write_bytes(path, text.encode(errors="backslashreplace"))


def write_json(path: str | Path, data: Any) -> Path:
    """Write JSON whole or not at all; what is not finite becomes null."""
    return write_text(path, json.dumps(finite(data), indent=1, allow_nan=False))


def finite(value: Any) -> Any:
    """Plain data with None for numbers that are not finite."""
    if isinstance(value, Mapping):
        return {key: finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
