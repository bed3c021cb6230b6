"""Video files, folders of frames and cameras as frames, one after another: nothing but the next frame is held."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bottomup.errors import ConfigError, DataError, warn
from bottomup.image_files import ImageReader

Picture = NDArray[np.uint8]  # (H, W, 3) RGB

FRAME_RATE = 25.0  # Hz, of what does not state one: a folder, some cameras
_WHOLE = 0.95  # of the frames that a file states: of some formats that is an estimate
_PLAUSIBLE = 1000.0  # Hz; what states more states its clock


@dataclass(frozen=True)
class Clip:
    """Frames of one size in their order, (H, W, 3) uint8 RGB, read as they are asked for; each iteration begins anew."""

    name: str
    read: Callable[[], Iterator[Picture]]
    frame_rate: float = FRAME_RATE  # Hz, the mean of a file whose frames do not come evenly
    length: int | None = None  # frames, as the file states; None: not known
    live: bool = False  # a camera, which ends when somebody ends it

    def __iter__(self) -> Iterator[Picture]:
        return self.read()

    def first(self, limit: int | None) -> Clip:
        """Its first frames, as many as ``limit``; None: all."""
        if limit is None:
            return self
        return replace(self, read=lambda: itertools.islice(self.read(), limit), length=min(limit, self.length or limit))


def video_file(path: Path) -> Clip:
    """The frames of a video file, upright, through OpenCV, or PyAV where that cannot read it; DataError where neither can.

    PyAV comes with ``pip install 'bottomup[video]'``.
    """
    capture = cv2.VideoCapture(str(path))
    opened = capture.isOpened() and capture.read()[0]
    rate, length = capture.get(cv2.CAP_PROP_FPS), int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    capture.release()
    if not opened:
        return _through_av(path)
    stated = length if length > 0 else None
    return Clip(path.name, lambda: _checked(_captured(str(path)), path, stated), _rate(rate), stated)


def camera(number: int) -> Clip:
    """The frames of a camera, by its number from 0 on, until somebody stops asking; DataError where there is none."""
    capture = cv2.VideoCapture(number)
    opened, rate = capture.isOpened(), capture.get(cv2.CAP_PROP_FPS)
    capture.release()
    if not opened:
        raise DataError(f"camera={number}: no such camera, or another program has it; cameras are counted from 0")
    return Clip(f"camera {number}", lambda: _captured(number), _rate(rate), live=True)


def frame_folder(files: Sequence[Path], read: ImageReader | None = None) -> Clip:
    """Image files as the frames of a video, in the order of the numbers in their names: frame_10 after frame_9."""
    reader, ordered = read or ImageReader(), sorted(files, key=_by_numbers)
    return Clip(ordered[0].parent.name, lambda: _of_one_size(reader, ordered), FRAME_RATE, len(ordered))


def _by_numbers(path: Path) -> list[tuple[bool, int, str]]:
    parts = re.split(r"(\d+)", str(path))
    return [(not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts]


def _of_one_size(reader: ImageReader, files: Iterable[Path]) -> Iterator[Picture]:
    size: tuple[int, ...] | None = None
    for file in files:
        frame = reader(file)
        size = size or frame.shape
        if frame.shape != size:
            raise DataError(
                f"{file}: frames of one video should be of one size, {size[0]} x {size[1]} px as the first, "
                f"got {frame.shape[0]} x {frame.shape[1]} (height x width); predict them as photos, or give one video's frames"
            )
        yield frame


def _captured(source: str | int) -> Iterator[Picture]:
    capture = cv2.VideoCapture(source)
    try:
        while True:
            there, frame = capture.read()
            if not there:
                return
            yield np.ascontiguousarray(frame[..., ::-1])
    finally:
        capture.release()


def _checked(frames: Iterator[Picture], path: Path, stated: int | None) -> Iterator[Picture]:
    """The frames; a warning where there are fewer than the file states, as of one that was not copied whole."""
    count = 0
    for frame in frames:
        count += 1
        yield frame
    if stated is not None and count < _WHOLE * stated:
        warn(f"{path}: only {count} of the {stated} frames that it states could be read; was it copied or downloaded whole?")


def _through_av(path: Path) -> Clip:
    av = av_package(f"{path}: OpenCV cannot read this video; another reader")
    try:
        with av.open(str(path)) as container:
            stream = next(iter(container.streams.video))
            rate, length = float(stream.average_rate or 0), int(stream.frames)
            next(container.decode(stream))
    except (av.FFmpegError, StopIteration) as error:
        raise DataError(
            f"{path}: not readable as a video ({str(error) or 'no frames'}); should be a file such as MP4, MOV, MKV or AVI: was it "
            "copied or downloaded whole?"
        ) from None
    return Clip(path.name, lambda: _checked(_decoded(av, path), path, length or None), _rate(rate), length or None)


def _decoded(av: Any, path: Path) -> Iterator[Picture]:
    with av.open(str(path)) as container:
        try:
            for frame in container.decode(video=0):
                upright = np.rot90(frame.to_ndarray(format="rgb24"), frame.rotation // 90)
                yield np.ascontiguousarray(upright)
        except av.FFmpegError:
            return  # a file that ends early: what was read counts, and the warning says the rest


def _rate(stated: float) -> float:
    return stated if 0 < stated < _PLAUSIBLE else FRAME_RATE


def av_package(what: str) -> Any:
    """PyAV; ConfigError that says ``what`` needs it where it is not installed."""
    try:
        import av
    except ModuleNotFoundError as error:
        raise ConfigError(f"{what} needs {error.name}; pip install 'bottomup[video]'") from error
    return av
