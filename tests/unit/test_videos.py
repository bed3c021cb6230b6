"""Videos are read frame by frame, written so that browsers play them, and predicted without holding more than a batch."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from bottomup import videos
from bottomup.drawing.videos import video_writer
from bottomup.errors import BottomupWarning, ConfigError, DataError
from bottomup.image_files import is_video
from bottomup.images import is_one, several
from bottomup.videos import Clip, camera, frame_folder, video_file

av = pytest.importorskip("av", reason="needs the extra video")

COUNT = 12


def frame(number: int, size: tuple[int, int] = (48, 64)) -> NDArray[np.uint8]:
    """A picture that tells its number: a bright column that moves."""
    picture = np.full((*size, 3), 60, np.uint8)
    picture[:, 4 * number : 4 * number + 4] = (220, 40, 40)
    return picture


def number_of(picture: NDArray[np.uint8]) -> int:
    return int(picture[..., 0].astype(int).sum(0).reshape(-1, 4).sum(1).argmax())


def write(path: Path, count: int = COUNT, size: tuple[int, int] = (48, 64), rate: float = 12.5) -> Path:
    with video_writer(path, rate) as append:
        for number in range(count):
            append(frame(number, size))
    return path


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("videos") / "clip.mp4")


@pytest.fixture
def only_av(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if OpenCV could read no video."""

    class Blind:
        def __init__(self, _: object) -> None: ...
        def isOpened(self) -> bool:
            return False

        def get(self, _: int) -> float:
            return 0.0

        def release(self) -> None: ...

    monkeypatch.setattr(cv2, "VideoCapture", Blind)


def assert_read(clip: Clip) -> None:
    frames = list(clip)
    assert [number_of(picture) for picture in frames] == list(range(COUNT))
    assert frames[0].shape == (48, 64, 3) and frames[0].dtype == np.uint8 and frames[0].flags.c_contiguous
    assert np.abs(frames[3].astype(int) - frame(3)).mean() < 6  # RGB, but for what the codec loses
    assert clip.frame_rate == 12.5 and clip.length == COUNT


def test_what_is_written_is_read(file: Path) -> None:
    assert_read(video_file(file))


@pytest.mark.usefixtures("only_av")
def test_what_opencv_cannot_read_pyav_does(file: Path) -> None:
    assert_read(video_file(file))


@pytest.mark.usefixtures("only_av")
def test_without_pyav_that_is_said(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ConfigError, match=r"OpenCV cannot read this video; .*pip install 'bottomup\[video\]'"):
        video_file(file)


def test_a_clip_can_be_read_again_and_ends_where_it_is_told(file: Path) -> None:
    clip = video_file(file).first(5)
    assert [len(list(clip)) for _ in range(2)] == [5, 5] and clip.length == 5
    assert video_file(file).first(None).length == COUNT and video_file(file).first(99).length == COUNT


def test_it_is_h264_with_its_index_first_that_every_browser_plays(file: Path) -> None:
    with av.open(str(file)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
    data = file.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_odd_sides_get_one_more(tmp_path: Path) -> None:
    shape = next(iter(video_file(write(tmp_path / "odd.mp4", 3, (47, 61))))).shape
    assert shape == (48, 62, 3)


def test_what_was_appended_before_a_fault_plays(tmp_path: Path) -> None:
    def append_and_fail() -> None:
        with video_writer(tmp_path / "cut.mp4", 25) as append:
            for number in range(4):
                append(frame(number))
            raise RuntimeError("the network")

    with pytest.raises(RuntimeError, match="the network"):
        append_and_fail()
    assert len(list(video_file(tmp_path / "cut.mp4"))) == 4


def test_without_the_extra_nothing_is_written_and_the_remedy_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ConfigError, match=r"needs av; pip install 'bottomup\[video\]'"), video_writer(tmp_path / "a.mp4", 25):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"\0\0\0\x18ftypmp42", b"", b"RIFF\0\0\0\0AVI nothing"])
def test_a_broken_file_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(content)
    with pytest.raises(DataError, match=r"broken\.mp4: not readable as a video"):
        video_file(tmp_path / "broken.mp4")


def test_a_video_of_no_frames_is_said_to_have_none(tmp_path: Path) -> None:
    cv2.VideoWriter(str(tmp_path / "none.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 10, (80, 60)).release()
    with pytest.raises(DataError, match=r"none\.mp4: not readable as a video \(no frames\)"):
        video_file(tmp_path / "none.mp4")


def test_a_file_that_ends_early_gives_what_it_has_and_says_so(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    with video_writer(tmp_path / "long.mp4", 25) as append:
        for _ in range(15):
            append(rng.integers(0, 256, (48, 64, 3), np.uint8))
    data = (tmp_path / "long.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: int(len(data) * 0.7)])
    with pytest.warns(BottomupWarning, match=r"only \d+ of the 15 frames"):
        assert 0 < len(list(video_file(tmp_path / "cut.mp4"))) < 15


def test_frames_in_files_come_by_their_numbers(tmp_path: Path) -> None:
    for number in (0, 1, 2, 9, 10, 11):
        cv2.imwrite(str(tmp_path / f"frame_{number}.png"), frame(number)[..., ::-1])
    clip = frame_folder(list(tmp_path.iterdir()))
    assert [number_of(picture) for picture in clip] == [0, 1, 2, 9, 10, 11] and clip.length == 6
    cv2.imwrite(str(tmp_path / "frame_3.png"), frame(3, (40, 64))[..., ::-1])
    with pytest.raises(DataError, match=r"frame_3\.png: frames of one video should be of one size, 48 x 64"):
        list(frame_folder(list(tmp_path.iterdir())))


def test_a_camera_is_read_until_nobody_asks(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = cv2.VideoCapture
    monkeypatch.setattr(cv2, "VideoCapture", lambda number: opened(str(file) if number == 0 else "nothing"))
    clip = camera(0)
    assert clip.live and [number_of(picture) for picture in itertools.islice(clip, 3)] == [0, 1, 2]
    with pytest.raises(DataError, match="camera=3: no such camera"):
        camera(3)


def test_a_video_is_several_images_whatever_it_is_called(file: Path, tmp_path: Path) -> None:
    (tmp_path / "named.jpg").write_bytes(file.read_bytes())
    for path in (file, str(file), tmp_path / "named.jpg"):
        assert not is_one(path) and len(list(several(path))) == COUNT
    cv2.imwrite(str(tmp_path / "a.png"), frame(0))
    assert is_one(tmp_path / "a.png") and not is_video(tmp_path / "a.png") and not is_video(tmp_path / "nothing.mp4")


def test_real_clips_are_read_alike_by_both(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in sorted((shared / "data" / "video").glob("*.mp4")):
        through_opencv = list(video_file(path))
        through_av = list(videos._through_av(path))
        for one, other in zip(through_opencv, through_av, strict=True):
            assert np.abs(one.astype(int) - other).mean() < 1


def test_a_stream_holds_no_more_than_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an endless video the first predictions come at once."""
    from bottomup.predictor import Predictor

    asked: list[int] = []

    def endless() -> Iterator[NDArray[np.uint8]]:
        for number in itertools.count():
            asked.append(number)
            yield frame(number % 16)

    class Counting(Predictor):
        def __init__(self) -> None:
            self.batch_size = 4

        def predict(self, images: Any) -> Any:
            return [number_of(image) for image in images]

    found = list(itertools.islice(Counting().stream(endless()), 6))
    assert found == [0, 1, 2, 3, 4, 5] and len(asked) == 8
