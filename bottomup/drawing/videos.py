"""Pictures as a video that every browser plays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from bottomup.drawing.sheets import Picture
from bottomup.paths import path_of
from bottomup.videos import av_package

_QUALITY = "20"  # x264's constant rate factor: thin lines stay sharp
_FINEST_RATE = 1000  # denominator of a frame rate


class Writer(Protocol):
    """Takes one picture after another, all of one size."""

    def __call__(self, picture: Picture) -> None:
        """Append a picture (H, W, 3) uint8 RGB."""


@contextmanager
def video_writer(path: str | Path, frame_rate: float) -> Iterator[Writer]:
    """An H.264 file, its index first, of pictures that are appended; what was appended plays even if the rest never comes.

    An odd side gets one more row or column, as the format needs. ConfigError without PyAV (``pip install 'bottomup[video]'``).
    """
    av = av_package("a video of the people")
    target = path_of(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(target), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        rate = Fraction(frame_rate).limit_denominator(_FINEST_RATE)
        stream = container.add_stream("libx264", rate=rate, options={"crf": _QUALITY, "preset": "veryfast"})
        stream.pix_fmt = "yuv420p"
        started = False

        def write(picture: Picture) -> None:
            nonlocal started
            even = np.pad(picture, ((0, picture.shape[0] % 2), (0, picture.shape[1] % 2), (0, 0)), mode="edge")
            if not started:
                stream.height, stream.width, started = *even.shape[:2], True
            _mux(container, stream, av.VideoFrame.from_ndarray(np.ascontiguousarray(even), format="rgb24"))

        try:
            yield write
        finally:
            if started:
                _mux(container, stream, None)


def _mux(container: Any, stream: Any, frame: Any) -> None:
    """Encode a frame, None at the end, and write what is ready."""
    for packet in stream.encode(frame):
        container.mux(packet)
