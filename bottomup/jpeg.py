"""What the parts of a JPEG say, which decoders do not."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

from bottomup.errors import DataError

_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # but for those that stand within its coded pixels
_END, _ALONE, _PIXELS, _APPLICATION = 0xD9, (0x01, 0xD8), 0xDA, 0xE1
_LAST = bytes((0xFF, _END))
_EXIF = b"Exif\0\0"  # how its part begins


def is_jpeg(data: bytes) -> bool:
    """Whether a file's bytes begin as those of a JPEG."""
    return data.startswith(b"\xff\xd8\xff")


def check_whole(data: bytes, path: Path) -> None:
    """DataError where the bytes of a JPEG end before its end: what is missing would be grey."""
    if not is_jpeg(data) or data.endswith(_LAST):  # nearly all end where they say so
        return
    if not any(marker == _END for marker, _ in _segments(data)):
        raise DataError(f"{path}: not readable, a JPEG without its end; should be whole: was it copied or downloaded whole?")


def has_exif(data: bytes) -> bool:
    """Whether a JPEG's head, which is all before its pixels, has a part of EXIF."""
    head = itertools.takewhile(lambda segment: segment[0] != _PIXELS, _segments(data))
    return any(marker == _APPLICATION and data.startswith(_EXIF, start) for marker, start in head)


def _segments(data: bytes) -> Iterator[tuple[int, int]]:
    """The markers of a JPEG, and where what each begins stands, behind its length."""
    position = 2
    while (found := _MARKER.search(data, position)) is not None:
        position, marker = found.end(), data[found.end() - 1]
        yield marker, position + 2
        if marker not in _ALONE:
            position += int.from_bytes(data[position : position + 2], "big")
