"""Paths as users write them, and files that are there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path


def path_of(given: str | os.PathLike[str]) -> Path:
    """A path with ``~`` and ``~somebody`` at its beginning as the home folder, which shells do not do behind ``data.root=``.

    A name that begins so without being anybody's stays as it is.
    """
    return Path(os.path.expanduser(given))  # noqa: PTH111  # Path.expanduser raises for nobody's name


def write_text(path: str | Path, text: str) -> Path:
    """Write text to a temporary name and rename it."""
    target = path_of(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    partial.write_text(text)
    partial.replace(target)
    return target
