"""Paths as users write them, and files that are there whole or not at all."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

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


@contextmanager
def written_whole(path: str | Path) -> Iterator[BinaryIO]:
    """A file to write that gets its name, and takes the place of an older one, once all of it is on the disk; if not, it goes.

    Folders that are missing are made.
    """
    target = path_of(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def write_bytes(path: str | Path, content: bytes) -> Path:
    """Write a file whole or not at all; returns its path."""
    with written_whole(path) as file:
        file.write(content)
    return path_of(path)


def write_text(path: str | Path, text: str) -> Path:
    """Write text, as UTF-8, whole or not at all; returns its path."""
    return write_bytes(path, text.encode())


def write_json(path: str | Path, data: Any) -> Path:
    """Write JSON whole or not at all; what is not finite becomes null."""
    return write_text(path, json.dumps(_finite(data), indent=1, allow_nan=False))


def _finite(value: Any) -> Any:
    """Plain data with None for numbers that are not finite."""
    if isinstance(value, Mapping):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
