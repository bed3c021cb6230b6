"""Image files as pixels: the one reader of training, evaluation and prediction, and what it says of files that it refuses."""

from __future__ import annotations

import io
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin

from bottomup.errors import ConfigError, DataError, of_system
from bottomup.jpeg import check_whole, has_exif, is_jpeg
from bottomup.paths import path_of

Orientation = Literal["stored", "upright"]

_ORIENTATION = 0x0112  # EXIF's tag
_UPRIGHT, _TURNED = 1, (5, 6, 7, 8)  # its values: as stored; rows and columns change places
_NEARLY_BLACK = 1 << 14  # of 16 bits: what a camera of 14 bits, the most there are, never reaches
_HEAD = 64  # bytes that tell a format
_MOST_PIXELS = "has more pixels than OpenCV reads, 2^30 unless OPENCV_IO_MAX_IMAGE_PIXELS says more; scale it down"


@dataclass(frozen=True)
class ImageReader:
    """Reads an image file as (H, W, 3) uint8 RGB.

    ``orientation`` "upright" turns an image as its EXIF says and viewers show it, "stored" leaves its pixels as they lie; a TIFF's
    tag is part of its pixels' order and always obeyed. ``bit_depth`` says how many of the 16 bits that a channel has in some files
    are used, 8 to 16: a camera's 12 are scaled to 0-255. None takes 16 where the values need more than 14, and refuses the rest,
    which would be nearly black; files of 8 bits stay as they are.
    """

    orientation: Orientation = "upright"
    bit_depth: int | None = None

    def __post_init__(self) -> None:
        if self.orientation not in get_args(Orientation):
            raise ConfigError(f"orientation is one of {', '.join(get_args(Orientation))}; got {self.orientation!r}")
        if self.bit_depth is not None and self.bit_depth not in range(8, 17):
            raise ConfigError(f"bit_depth is how many of 16 bits a channel are used, 8 to 16; got {self.bit_depth!r}")

    def __call__(self, path: str | Path) -> NDArray[np.uint8]:
        """Read one file; DataError names one that is missing, broken, cut, too large, too deep or of a format that is not read."""
        return self.oriented(path)[0]

    def oriented(self, path: str | Path) -> tuple[NDArray[np.uint8], int]:
        """The pixels of a file, and how EXIF has it turned (``exif_orientation``)."""
        path = path_of(path)
        data = _bytes(path)
        check_whole(data, path)
        pixels: NDArray[Any] = _eight_bits(_decoded(data, path), self.bit_depth, path)
        if not is_jpeg(data):
            pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
        turn = _UPRIGHT if _is_tiff(data) else _orientation(data)
        return np.ascontiguousarray(_turned(pixels, turn) if self.orientation == "upright" else pixels), turn


def _bytes(path: Path) -> bytes:
    """All of a file, which OpenCV never sees by its name: one that is not UTF-8 ends its process."""
    try:
        with path.open("rb", buffering=0) as file:
            head = file.read(_HEAD)
            refused = _kind_of(head, path)
            if refused is not None:
                raise DataError(f"{path}: {refused.said(path.name)}")
            return head + file.readall()
    except IsADirectoryError:
        raise DataError(f"{path}: a folder, no image") from None
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except OSError as error:  # no right to read it, a link to itself, a name that is too long
        raise DataError(f"{path}: not readable ({of_system(error)})") from None


def exif_orientation(path: Path) -> int:
    """How EXIF has an image file turned, 1 (as stored) to 8; 1 where nothing is said."""
    try:
        data = path.read_bytes()
    except OSError:
        return _UPRIGHT
    return _UPRIGHT if _is_tiff(data) else _orientation(data)


def swaps_sides(orientation: int) -> bool:
    """Whether an EXIF orientation turns by 90 degrees, so that width and height change places."""
    return orientation in _TURNED


# ---- formats ---------------------------------------------------------------------------------------------------------------


class Refused(NamedTuple):
    """A kind of file that holds pictures and is not read."""

    what: str
    remedy: str  # {name} in it is the file's
    suffixes: frozenset[str]
    head: re.Pattern[bytes] | None = None  # how such files begin

    def said(self, name: str) -> str:
        """The sentence about one such file, behind its path."""
        return f"{self.what}; {self.remedy.format(name=name)}"


def _kind(what: str, remedy: str, suffixes: str, head: bytes | None = None) -> Refused:
    listed = frozenset(f".{suffix}" for suffix in suffixes.split())
    return Refused(what, remedy, listed, head and re.compile(head, re.DOTALL))  # type: ignore[arg-type]


_FRAMES = "take the frames out of it first, as by `ffmpeg -i {name} frames/%06d.png`"
_VIDEO = _kind(
    "a video, no image",
    "give it alone, as `bottomup predict images={name}` takes it",
    "mp4 m4v mov avi mkv webm mpg mpeg mts m2ts wmv flv 3gp ogv",
    rb"....ftyp(?!avi|mif1|hei|hev|msf1|crx)|RIFF....AVI |\x1aE\xdf\xa3|FLV\x01|\0\0\x01[\xb3\xba]|OggS",
)
REFUSED = (
    _kind(
        "a HEIC image, which is not read", "save it as JPEG, as by `magick {name} photo.jpg`", "heic heif hif",
        rb"....ftyp(hei|hev|mif1(?!.{0,48}avif)|msf1)",
    ),
    _VIDEO,
    _kind("a camera's raw file, of which only a preview could be read", "develop it as JPEG or PNG",
          "dng cr2 cr3 nef arw raf orf rw2 pef srw"),
    _kind("a document, no image", "export it as PNG", "pdf svg ai eps ps psd", rb"%PDF|%!PS|8BPS|\s*<(svg|\?xml)"),
)  # fmt: skip
_ANIMATION = Refused("holds {count} images, an animation", _FRAMES, frozenset())
_PLAIN = re.compile(rb"\xff\xd8\xff|\x89PNG|GIF8|BM")  # what nobody's suffix makes something else


def refused_by_name(path: Path) -> Refused | None:
    """The kind of pictures that are not read which a file's suffix says it is."""
    return next((kind for kind in REFUSED if path.suffix.lower() in kind.suffixes), None)


def is_video(path: Path) -> bool:
    """Whether a file is a video: by how it begins, else by its name."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return _kind_of(file.read(_HEAD), path) is _VIDEO


def _kind_of(head: bytes, path: Path) -> Refused | None:
    """Which kind that is not read a file is of: by how it begins, whatever it is called, else by its name."""
    if _PLAIN.match(head):
        return _animated(head, path)
    by_head = next((kind for kind in REFUSED if kind.head and kind.head.match(head)), None)
    return by_head or refused_by_name(path) or _animated(head, path)


def _animated(head: bytes, path: Path) -> Refused | None:
    if not re.match(rb"GIF8|\x89PNG|RIFF....WEBP|....ftypavi|....ftypmif1", head, re.DOTALL):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of large images: only their heads are read
            with path.open("rb") as file, Image.open(file) as image:
                count = getattr(image, "n_frames", 1)
    except Exception:  # Pillow's half a dozen types for what is broken: reading it says what is wrong
        return None
    return _ANIMATION._replace(what=_ANIMATION.what.format(count=count)) if count > 1 else None


def _is_tiff(data: bytes) -> bool:
    return data[:4] in (b"II*\0", b"MM\0*")


# ---- pixels ----------------------------------------------------------------------------------------------------------------


def _decoded(data: bytes, path: Path) -> NDArray[Any]:
    """The stored pixels (H, W, 3), of a JPEG RGB, of other formats BGR, of 8 or more bits.

    OpenCV would read a TIFF of 16 bits in another order than it was asked for; a JPEG has 8.
    """
    flags = (cv2.IMREAD_COLOR_RGB if is_jpeg(data) else cv2.IMREAD_COLOR) | cv2.IMREAD_IGNORE_ORIENTATION
    if not re.match(rb"....ftyp", data, re.DOTALL):  # of AVIF OpenCV knows how many bits are used
        flags |= cv2.IMREAD_ANYDEPTH
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        if "PIXELS" in str(error) or "validateInputImageSize" in str(error):
            raise DataError(f"{path}: {_MOST_PIXELS}") from None
        pixels = None
    if pixels is None:
        raise DataError(
            f"{path}: not readable; should be an image such as JPEG or PNG, of 8 or 16 bits a channel; was it copied "
            "or downloaded whole?"
        )
    return np.asarray(pixels)


def _eight_bits(pixels: NDArray[Any], bit_depth: int | None, path: Path) -> NDArray[np.uint8]:
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype != np.uint16:
        raise DataError(f"{path}: should have 8 or 16 bits a channel, whole numbers, got {pixels.dtype}; scale it to 0-255 first")
    highest = int(pixels.max())
    if bit_depth is None and 0 < highest < _NEARLY_BLACK:
        raise DataError(
            f"{path}: has 16 bits a channel, but no value above {highest}, {highest.bit_length()} bits: read as 16 it is nearly "
            "black. Give bit_depth=12 (of a data set data.bit_depth=12), or how many its camera uses, 16 if it is so dark; or "
            "scale it to 0-255 first"
        )
    bits = bit_depth or 16
    if highest >> bits:
        raise DataError(
            f"{path}: has values up to {highest}, more than bit_depth={bits} holds; give {highest.bit_length()} or more"
        )
    return (pixels >> (bits - 8)).astype(np.uint8)


def _orientation(data: bytes) -> int:
    """EXIF's word of a file's bytes; XMP's is ignored, as by viewers."""
    if is_jpeg(data) and not has_exif(data):
        return _UPRIGHT
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of large images: only their head is read
            stream = io.BytesIO(data)
            jpeg = data.startswith(b"\xff\xd8")
            header = JpegImagePlugin.JpegImageFile(stream) if jpeg else Image.open(stream)
            exif = Image.Exif()
            exif.load(header.info.get("exif", b""))
            found = exif.get(_ORIENTATION, _UPRIGHT)
    except Exception:  # Pillow raises half a dozen types for what is broken, of which the pixels are read all the same
        return _UPRIGHT
    return found if found in range(1, 9) else _UPRIGHT


def _turned(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Stored pixels (H, W, 3) as EXIF's orientation has them shown."""
    if swaps_sides(orientation):
        pixels = pixels.transpose(1, 0, 2)
    rows = -1 if orientation in (3, 4, 7, 8) else 1
    columns = -1 if orientation in (2, 3, 6, 7) else 1
    return pixels[::rows, ::columns]
