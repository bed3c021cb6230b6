"""Where files of published networks are kept: ``BOTTOMUP_HOME``, by default a folder in the platform's cache.

``downloads/NAME`` holds what the authors published, ``checkpoints/NAME-STAMP.pt`` what was made of it. The stamp says by which
version, importer and entry, so that each of them reads its own.
"""

from __future__ import annotations

import hashlib
import os
from functools import cache
from pathlib import Path

import platformdirs

from bottomup.paths import path_of
from bottomup.plan.files import config_folder
from bottomup.version import __version__
from bottomup.zoo.entries import Entry

VARIABLE = "BOTTOMUP_HOME"
_SHORT = 8  # hexadecimal digits of a stamp


def home() -> Path:
    """The folder of all that is kept."""
    given = os.environ.get(VARIABLE)
    return path_of(given).absolute() if given else platformdirs.user_cache_path("bottomup", appauthor=False)


def download_folder(entry: Entry) -> Path:
    """Where the files of a network are, as its authors published them."""
    return home() / "downloads" / entry.name


def checkpoint_path(entry: Entry) -> Path:
    """Where the checkpoint is that this version makes of a network."""
    return home() / "checkpoints" / f"{entry.name}-{_stamp(entry)}.pt"


def is_here(entry: Entry) -> bool:
    """Whether a network can be used without fetching anything more than what stands beside its first file."""
    return checkpoint_path(entry).is_file() or (download_folder(entry) / entry.file).is_file()


def _stamp(entry: Entry) -> str:
    """What tells two imports of one network apart."""
    preset = config_folder() / "decoder" / f"{entry.decoder}.yaml"
    made_by = (__version__, repr(entry), preset.read_text() if preset.is_file() else "", _importers())
    return hashlib.sha256("\0".join(made_by).encode()).hexdigest()[:_SHORT]


@cache
def _importers() -> str:
    """The code of the importers, which need not be imported to be read."""
    files = sorted((Path(__file__).parents[1] / "importers").glob("*.py"))
    return "\0".join(file.read_text() for file in files)
