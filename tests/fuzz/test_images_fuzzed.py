"""Image files with changed bytes are pixels, or one sentence; and the others of their list are found all the same."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bottomup.image_files import ImageReader, exif_orientation
from tests.fuzz.outcomes import outcome
from tests.fuzz.strategies import flipped

FORMATS = ("jpeg", "png", "webp", "bmp", "tiff", "gif")
HEADS = (
    b"",
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"GIF89a",
    b"RIFF\0\0\0\0WEBP",
    b"II*\0",
    b"\0\0\0\x1cftypavif",
    b"BM",
    b"%PDF",
)


@cache
def picture(kind: str) -> bytes:
    """A small picture in a format; a JPEG has EXIF's word."""
    pixels = np.random.default_rng(0).integers(0, 256, (13, 17, 3), np.uint8)
    stream, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(stream, kind, **{"exif": exif} if kind == "jpeg" else {})
    return stream.getvalue()


def read(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    assert exif_orientation(file) in range(1, 9)
    pixels = outcome("images", lambda: ImageReader()(file))
    assert pixels is None or (pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3)


@given(data=st.data(), kind=st.sampled_from(FORMATS))
def test_changed_bytes_of_pictures(data: st.DataObject, kind: str, tmp_path_factory: object) -> None:
    folder = tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
    read(folder / f"fuzzed.{kind}", data.draw(flipped(picture(kind))))


@given(head=st.sampled_from(HEADS), rest=st.binary(max_size=200))
def test_bytes_that_begin_like_pictures(head: bytes, rest: bytes, tmp_path_factory: object) -> None:
    folder = tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
    read(folder / "fuzzed.png", head + rest)
