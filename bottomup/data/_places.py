"""Where the files of a public data set lie below its folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bottomup.errors import ConfigError
from bottomup.paths import path_of


def place(name: str, root: str | None, given: str | None, split: str, usual: Sequence[str], option: str) -> Path:
    """A file or folder of data set ``name``: the ``given`` one, else the first of ``usual`` that is there below ``root``.

    ``{split}`` in either is filled in; where none of them is there it is the first, which whoever reads it misses by name.
    ConfigError, which names the ``option``, where neither is stated.
    """
    if given is not None:
        return path_of(given.replace("{split}", split))
    if root is None:
        raise ConfigError(f"data set {name!r} needs `root` (data.root=), the folder with {usual[0]}, or `{option}`")
    found = [path_of(root) / one.replace("{split}", split) for one in usual]
    return next((path for path in found if path.exists()), found[0])


def images_below(root: str | None, given: str | None) -> str | None:
    """The folder of images: the ``given`` one, else images below ``root``; None where neither is stated."""
    return given if given is not None or root is None else str(path_of(root) / "images")
