"""What the runtime without PyTorch reads of files, and what it refuses."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from bottomup.errors import DataError

pytest.importorskip("onnxruntime", reason="bottomup.runtime needs pip install 'bottomup[export]'")

from bottomup.runtime.pictures import pixels_of

RAMP = np.arange(24 * 32 * 3, dtype=np.uint32).reshape(24, 32, 3).astype(np.uint8)


def coded(form: str) -> bytes:
    return cv2.imencode(form, RAMP[..., ::-1])[1].tobytes()


def test_a_name_that_is_not_utf_8_is_one_like_others(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/\xff\xfe.png"
    try:
        with open(name, "wb") as file:  # noqa: PTH123 - a Path has no such name
            file.write(coded(".png"))
    except OSError:
        pytest.skip("this file system has no such names")
    assert np.array_equal(pixels_of(os.fsdecode(name)), RAMP)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (coded(".jpg")[:-40], "a JPEG without its end"),
        (b"", "no image that OpenCV reads"),
        (b"GIF89a", "no image that OpenCV reads"),
        (None, "no such file"),
    ],
)
def test_a_file_that_is_no_whole_image_is_refused(content: bytes | None, said: str, tmp_path: Path) -> None:
    file = tmp_path / "photo.jpg"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(DataError, match=f"photo.jpg: .*{said}"):
        pixels_of(file)
