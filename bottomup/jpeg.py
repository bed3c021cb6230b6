"""Whether a JPEG is all there, which decoders do not say."""

from __future__ import annotations

import re
from pathlib import Path

from bottomup.errors import DataError

_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # but for those that stand within its coded pixels
_END, _ALONE = 0xD9, (0x01, 0xD8)
_LAST = bytes((0xFF, _END))


def check_whole(data: bytes, path: Path) -> None:
    """DataError where the bytes of a JPEG end before its end: what is missing would be grey."""
    if not data.startswith(b"\xff\xd8\xff") or data.endswith(_LAST):  # nearly all end where they say so
        return
    position = 2
    while (found := _MARKER.search(data, position)) is not None:
        position, marker = found.end(), data[found.end() - 1]
        if marker == _END:
            return
        if marker not in _ALONE:
            position += int.from_bytes(data[position : position + 2], "big")  # the length of what the marker begins
    raise DataError(f"{path}: not readable, a JPEG without its end; should be whole: was it copied or downloaded whole?")
