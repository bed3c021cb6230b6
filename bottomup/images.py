"""What is given as an image: a path, a folder, a glob, an array or a Pillow image becomes pixels."""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image as PillowImage

from bottomup.errors import DataError, warn
from bottomup.image_files import ImageReader, is_video, refused_by_name
from bottomup.paths import path_of
from bottomup.videos import Clip, video_file

_SUFFIXES = {
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".avif", ".jp2",
}  # fmt: skip

_EXPECTED = "a path, an (H, W, 3) uint8 RGB array or a Pillow image"

Image = str | Path | NDArray[np.uint8] | PillowImage

_UPRIGHT = ImageReader()
_LOOKED_AT = 10_000  # entries of folders, where an image is looked for to name it in an error: a whole disk would take minutes


def is_one(images: object) -> bool:
    """Whether what is given is a single image, no list, folder, glob or video of them."""
    if isinstance(images, (str, Path)):
        path = path_of(images)
        return path.is_file() and not is_video(path)
    return isinstance(images, (np.ndarray, PillowImage))


def several(images: object) -> Iterable[Image]:
    """What is given as several images, those of a folder or a glob, or the frames of a video; DataError for what is neither.

    A tensor is taken for one image, of which ``pixels_of`` says what to make.
    """
    if isinstance(images, (str, Path)):
        return video_of(images) or find_images(images)
    if isinstance(images, Iterable) and not hasattr(images, "detach"):
        return images
    if isinstance(images, Iterable):
        return [images]  # type: ignore[list-item]
    raise DataError(f"images should be {_EXPECTED}, several of those, a folder or a glob, got {type(images).__name__}; give such")


def video_of(where: str | Path) -> Clip | None:
    """The video that ``where`` is; None for anything else, DataError for one that cannot be read."""
    path = path_of(where)
    return video_file(path) if is_video(path) else None


def find_images(where: str | Path) -> list[Path]:
    """The image that ``where`` is, or those of a folder or a glob, sorted; DataError where there is none.

    In a glob ``*`` stands for any part of a name, ``**`` for any depth of folders. Warns of videos and of formats that are not
    read where they lie beside images.
    """
    path = path_of(where)
    if path.is_file():
        return [path]
    # not Path.glob, which refuses absolute patterns
    found = sorted(path.iterdir() if path.is_dir() else map(Path, glob.glob(str(path), recursive=True)))  # noqa: PTH207
    if not found and not path.is_dir() and refused_by_name(path):  # a video, say, of which formats of images tell nothing
        raise DataError(f"{where}: no such file; give the path of one that is there")
    images = [entry for entry in found if _named_as_image(entry)]
    others = _said([entry for entry in found if refused_by_name(entry) and entry.is_file()])
    if not images:
        raise DataError(f"{where}: no such image, folder or glob with images{_instead(where, found, others)}")
    if others:
        warn(f"{where}: passed over {others}")
    return images


def _named_as_image(entry: Path) -> bool:
    return entry.suffix.lower() in _SUFFIXES and entry.is_file()


def _said(files: Iterable[Path]) -> str:
    """How many files there are of each kind that is not read, and what to do with them."""
    kinds = [(refused_by_name(file), file.name) for file in files]
    counts, examples = Counter(kind for kind, _ in kinds), dict(reversed(kinds))
    kinds_found = [f"{count} such as {examples[kind]}: {kind.said(examples[kind])}" for kind, count in counts.items() if kind]
    return "; ".join(kinds_found)


def _instead(where: str | Path, found: Sequence[Path], others: str) -> str:
    """What there is where no image was found: pictures that are not read, or folders that have images."""
    if others:
        return f", but {others}"
    inside = (entry for folder in found if folder.is_dir() for entry in folder.rglob("*"))
    if any(_named_as_image(entry) for entry in islice(inside, _LOOKED_AT)):
        return f", but there are images in its folders: give {str(where).rstrip('/')}/** for all of them"
    return f" ({', '.join(sorted(_SUFFIXES))})"


def pixels_of(image: Image, read: ImageReader = _UPRIGHT) -> NDArray[np.uint8]:
    """The pixels (H, W, 3) RGB of an image in whatever form, of a file as ``read``; DataError where it is none."""
    if isinstance(image, (str, Path)):
        return read(image)
    if isinstance(image, PillowImage):
        if image.mode.startswith(("I", "F")):  # Pillow would cut them off at 255 and call it RGB
            raise DataError(f"a Pillow image should have 8 bits a channel, got mode {image.mode}; scale it to 0-255 first")
        try:
            image = np.array(image.convert("RGB"))  # which reads its file
        except OSError as error:
            raise DataError(f"a Pillow image cannot be read ({error}); was its file copied or downloaded whole?") from None
    if not isinstance(image, np.ndarray):
        raise DataError(f"an image should be {_EXPECTED}, got {type(image).__name__}; {_of_no_array(image)}")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        remedy = " and ".join(_conversions(image))
        raise DataError(f"an image array should be (H, W, 3) uint8 RGB, got {image.shape} {image.dtype}; {remedy}")
    if not image.size:
        raise DataError(f"an image array should be (H, W, 3) with at least one pixel, got {image.shape}; leave it out")
    return image


def _of_no_array(image: object) -> str:
    """What to do with what is no image: of a tensor an array, with channels last."""
    if not hasattr(image, "detach"):
        return "convert it"
    first = getattr(image, "ndim", 0) == 3 and image.shape[0] == 3  # type: ignore[attr-defined]  # a tensor
    return f"give image{'.permute(1, 2, 0)' if first else ''}.numpy(), uint8 from 0 to 255"


def _conversions(image: NDArray[np.generic]) -> list[str]:
    """What to do with an array that is no (H, W, 3) uint8 RGB, as far as its shape and numbers tell."""
    found = []
    match image.shape:
        case (_, _, 4):
            found.append("leave its fourth channel out by image[..., :3]")
        case (3, _, _):
            found.append("put channels last by image.transpose(1, 2, 0)")
        case (_, _) | (_, _, 1):
            found.append("repeat grey by np.stack([image.squeeze()] * 3, -1)")
        case (_, _, _, 3):
            found.append("give a stack as a list, [*images]")
        case (_, _, 3):
            pass
        case _:
            found.append("convert it")
    if image.dtype != np.uint8:
        unit = np.issubdtype(image.dtype, np.floating) and image.size and np.nanmax(image) <= 1
        found.append(f"scale it to 0-255 by ({'image * 255' if unit else 'image'}).astype(np.uint8)")
    return found
