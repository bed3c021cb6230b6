"""PyTorch's archives, looked at before anything in them is made: whether their bytes are those that were written."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

_FOLDER = 0x10  # of a record's attributes, as MS-DOS has them


def damage(path: Path) -> str | None:
    """What is wrong with an archive, as a sentence without an end; None where nothing is, or where a file is no archive.

    PyTorch writes a checksum of each record and does not look at it when it reads. Records that are compressed, which it never
    writes, could come to any size.
    """
    try:
        if not zipfile.is_zipfile(path):
            return None
        with zipfile.ZipFile(path) as archive:
            records = archive.infolist()
            if any(record.compress_type != zipfile.ZIP_STORED for record in records):
                return "its records are compressed, as PyTorch's never are"
            if any(record.external_attr & _FOLDER for record in records):
                return "one of its records says that it is a folder, whose bytes PyTorch does not read"
            if sum(record.file_size for record in records) > path.stat().st_size:
                return "it says that it holds more than its own bytes"
            changed = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, ValueError, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        return f"its bytes are not those that were written: {error}"
    return None if changed is None else f"its bytes are not those that were written: the checksum of {changed} is another"
