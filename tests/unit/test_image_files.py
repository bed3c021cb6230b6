"""The one reader of image files: upright or stored, whole or refused, of any depth, each format with its sentence."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageOps

from bottomup.errors import ConfigError, DataError
from bottomup.image_files import ImageReader, exif_orientation
from tests.coco_folders import TURNS, drawn, save_deep, save_jpeg

PICTURE = drawn(0, 17)


def noise(h: int = 30, w: int = 40) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (h, w, 3), np.uint8)


def animation(path: Path, frames: int) -> None:
    pictures = [Pillow.fromarray(np.random.default_rng(n).integers(0, 256, (20, 30, 3), np.uint8)) for n in range(frames)]
    pictures[0].save(path, save_all=True, append_images=pictures[1:])


# ---- orientation -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
@pytest.mark.parametrize("orientation", TURNS)
def test_upright_is_what_viewers_show_and_stored_what_lies_there(orientation: int, suffix: str, tmp_path: Path) -> None:
    exif, path = Pillow.Exif(), tmp_path / f"a.{suffix}"
    exif[0x0112] = orientation
    Pillow.fromarray(noise()).save(path, exif=exif)
    assert exif_orientation(path) == orientation
    stored = Pillow.fromarray(cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)[..., ::-1])
    assert (ImageReader("stored")(path) == np.asarray(stored)).all()
    stored.getexif()[0x0112] = orientation
    assert (ImageReader("upright")(path) == np.asarray(ImageOps.exif_transpose(stored))).all()


@pytest.mark.parametrize("orientation", TURNS)
def test_a_camera_held_in_any_way_shows_one_picture(orientation: int, tmp_path: Path) -> None:
    save_jpeg(tmp_path / "a.jpg", PICTURE, orientation)
    assert np.abs(ImageReader()(tmp_path / "a.jpg").astype(int) - PICTURE).mean() < 3  # of 255, what JPEG changes


@pytest.mark.parametrize("written", [0, 9, 40000])
def test_an_orientation_that_exif_does_not_know_is_none(written: int, tmp_path: Path) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = written
    Pillow.fromarray(noise()).save(tmp_path / "a.jpg", exif=exif)
    assert exif_orientation(tmp_path / "a.jpg") == 1 and ImageReader()(tmp_path / "a.jpg").shape == (30, 40, 3)


def test_a_large_photo_is_upright_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow refuses to open what has too many pixels, of which no more than the head is asked here."""
    save_jpeg(tmp_path / "a.jpg", PICTURE, 6)
    monkeypatch.setattr(Pillow, "MAX_IMAGE_PIXELS", 10)
    assert exif_orientation(tmp_path / "a.jpg") == 6


# ---- whole -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("share", [0.5, 0.62, 0.75, 0.9, 0.99, 1 - 1e-9])
def test_a_jpeg_that_is_cut_anywhere_is_refused(share: float, progressive: bool, tmp_path: Path) -> None:
    exif, path = Pillow.Exif(), tmp_path / "a.jpg"
    exif[0x010E] = "\xff\xd9 as a thumbnail has"
    Pillow.fromarray(noise(200, 300)).save(path, quality=90, progressive=progressive, exif=exif)
    assert ImageReader()(path).shape == (200, 300, 3)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(DataError, match=r"a\.jpg: not readable, a JPEG without its end.*whole"):
        ImageReader()(path)


def test_a_jpeg_whose_rest_never_arrived_is_refused_and_one_with_more_behind_it_is_read(tmp_path: Path) -> None:
    """Programs that fetch files reserve their length; phones append videos and depth to photos."""
    path = tmp_path / "a.jpg"
    Pillow.fromarray(noise(200, 300)).save(path, quality=90)
    data = path.read_bytes()
    path.write_bytes(data + b"\0\0\0\x18ftypmp42")
    assert ImageReader()(path).shape == (200, 300, 3)
    for rest in (b"\0", b"\xff"):  # the latter as erased cards are, which was gone through anew from each of its bytes
        path.write_bytes(data[: len(data) // 2] + rest * 4_000_000)
        with pytest.raises(DataError, match="without its end"):
            ImageReader()(path)
    path.write_bytes(data[:-2] + b"\xff" * 1000 + data[-2:] + b"\0")  # by which a marker may be preceded
    assert ImageReader()(path).shape == (200, 300, 3)


@pytest.mark.parametrize("suffix", ["png", "webp", "bmp", "tif", "gif"])
def test_other_formats_that_are_cut_are_refused(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    Pillow.fromarray(noise()).save(path)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match="not readable"):
        ImageReader()(path)


def test_an_image_of_more_pixels_than_can_be_read_is_refused(tmp_path: Path) -> None:
    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", 40000, 40000, 8, 2, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"\0")), chunk(b"IEND", b""))
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    with pytest.raises(DataError, match=r"a\.png: has more pixels than OpenCV reads"):
        ImageReader()(tmp_path / "a.png")


# ---- depth -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_the_bits_that_a_camera_uses_are_scaled_or_asked_for(bits: int, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    save_deep(path, PICTURE, bits)
    assert (ImageReader(bit_depth=bits)(path) == PICTURE).all()
    if bits == 16:
        assert (ImageReader()(path) == PICTURE).all()
    else:
        with pytest.raises(DataError, match=rf"a\.{suffix}: has 16 bits.* {bits} bits.*nearly black.*bit_depth=.*0-255"):
            ImageReader()(path)


def test_too_few_bits_are_refused_and_files_of_eight_stay(tmp_path: Path) -> None:
    save_deep(tmp_path / "deep.png", PICTURE, 14)
    with pytest.raises(DataError, match="more than bit_depth=12 holds; give 14"):
        ImageReader(bit_depth=12)(tmp_path / "deep.png")
    Pillow.fromarray(PICTURE).save(tmp_path / "plain.png")
    assert (ImageReader(bit_depth=12)(tmp_path / "plain.png") == PICTURE).all()
    cv2.imwrite(str(tmp_path / "black.png"), np.zeros((4, 5), np.uint16))
    assert not ImageReader()(tmp_path / "black.png").any()


def test_grey_of_sixteen_bits_is_grey_of_eight(tmp_path: Path) -> None:
    grey = noise()[..., 0]
    cv2.imwrite(str(tmp_path / "a.png"), grey.astype(np.uint16) * 257)
    assert (ImageReader()(tmp_path / "a.png") == grey[..., None]).all()


@pytest.mark.parametrize("options", [{"orientation": "left"}, {"bit_depth": 7}, {"bit_depth": 17}, {"bit_depth": 0}])
def test_wrong_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=f"{next(iter(options))} is"):
        ImageReader(**options)  # type: ignore[arg-type]


# ---- formats ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("suffix", "kind"), [("jfif", "JPEG"), ("gif", "GIF"), ("jp2", "JPEG2000"), ("avif", "AVIF"), ("heic", "PNG")]
)
def test_what_is_one_image_is_read(suffix: str, kind: str, tmp_path: Path) -> None:
    Pillow.fromarray(noise()).save(tmp_path / f"a.{suffix}", kind)  # a PNG stays one, whatever it is called
    assert ImageReader()(tmp_path / f"a.{suffix}").shape == (30, 40, 3)


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_an_animation_is_refused_and_one_frame_is_read(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    animation(path, 1)
    assert ImageReader()(path).shape == (20, 30, 3)
    animation(path, 3)
    with pytest.raises(DataError, match=rf"a\.{suffix}: holds 3 images, an animation; .*ffmpeg -i a\.{suffix}"):
        ImageReader()(path)


@pytest.mark.parametrize(
    ("name", "head", "said"),
    [
        ("a.mp4", b"\0\0\0\x18ftypmp42", "a video, no image; .*images=a.mp4"),
        ("a.mov", b"\0\0\0\x14ftypqt  ", "a video"),
        ("a.avi", b"RIFF\0\0\0\0AVI LIST", "a video"),
        ("a.mkv", b"\x1aE\xdf\xa3", "a video"),
        ("a.mts", b"????", "a video"),
        ("named.jpg", b"\0\0\0\x18ftypmp42", "a video"),
        ("a.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "a HEIC image.*JPEG"),
        ("phone.jpg", b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "a HEIC image"),
        ("a.nef", b"II*\0", "a camera's raw file.*develop"),
        ("a.cr3", b"\0\0\0\x18ftypcrx ", "a camera's raw file"),
        ("a.pdf", b"%PDF-1.7", "a document.*PNG"),
        ("a.svg", b"<svg>", "a document"),
    ],
)
def test_what_holds_pictures_but_is_not_read_has_a_sentence_of_its_own(name: str, head: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(head.ljust(200, b"\0"))
    with pytest.raises(DataError, match=f"{name}: {said}"):
        ImageReader()(tmp_path / name)


def test_real_photos_are_read_as_ever(shared: Path) -> None:
    """To the bit as OpenCV reads them: what is asked beside leaves the pixels alone."""
    paths = sorted((shared / "data" / "coco_person" / "val").glob("*.jpg"))[::10]
    if not paths:
        pytest.skip(f"no images below {shared}")
    for path in paths:
        assert (ImageReader()(path) == cv2.imread(str(path))[..., ::-1]).all()
