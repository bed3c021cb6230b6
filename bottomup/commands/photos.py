"""The images that ``bottomup predict`` is given: what each is called, and which image of COCO it is."""

from __future__ import annotations

import hashlib
import itertools
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from bottomup.coco.records import read_file, read_images
from bottomup.errors import ConfigError, DataError, warn
from bottomup.paths import path_of

_LONG = 180  # bytes of a picture's name
_COCO_NAME = re.compile(r"(?:COCO_\w+_)?(\d{1,12})")  # a stem: 000000123456, or COCO_val2014_000000123456 as in COCO's first year


@dataclass(frozen=True)
class Photo:
    """One of the images to predict on."""

    image_id: int  # COCO's where its name or a COCO file says it, else a number that no other has
    path: Path
    file_name: str  # below the folder that all of them lie in, or as the COCO file has it
    picture: str  # what its pictures' names begin with, as those of no other image


@dataclass(frozen=True)
class Listing:
    """The images of a COCO file, with annotations or without."""

    path: Path
    ids: dict[str, int]  # by file name
    category_ids: tuple[int, ...]  # of what is predicted, by label

    def named(self, path: Path) -> str | None:
        """What the file calls the image at ``path``: by as many of its folders as agree; None where it lists no such."""
        parts = path.parts
        ends = ("/".join(parts[start:]) for start in range(len(parts)))
        listed = next((end for end in ends if end in self.ids), None)
        return listed or self._flat.get(path.name)

    @cached_property
    def _flat(self) -> dict[str, str]:
        """File names by their last part, where only one ends so: images may lie flat that are listed in folders."""
        counts = Counter(PurePosixPath(name).name for name in self.ids)
        return {last: name for name in self.ids if counts[last := PurePosixPath(name).name] == 1}


def read_listing(annotations: str | None, image_info: str | None, categories: Sequence[str]) -> Listing | None:
    """The COCO file that ``annotations`` or ``image_info`` names; None where neither does, ConfigError where both do.

    Results are of the categories of those names; one that the file does not have has its place among them, from 1: COCO's people.
    """
    given = [str(file) for file in (annotations, image_info) if file]
    if not given:
        return None
    if len(given) > 1:
        raise ConfigError("annotations= and image_info= both say which image is which; give one COCO file")
    path = path_of(given[0])
    data = read_file(path)
    images = read_images(data, path)
    numbers = {entry.get("name"): entry["id"] for entry in reversed(data["categories"])}  # of one name the first counts
    own = tuple(numbers.get(name, place) for place, name in enumerate(categories, start=1))
    return Listing(path, {image["file_name"]: image["id"] for image in images.values()}, own)


def photos_of(paths: Sequence[Path], listing: Listing | None = None) -> list[Photo]:
    """The images at ``paths``, of a listing those that it has.

    Their pictures are called as they are, after their number where two would be called alike.
    """
    if listing is not None:
        return _listed(paths, listing)
    root = os.path.commonpath([path.parent for path in paths])
    names = [path.relative_to(root).as_posix() for path in paths]
    images = zip(_ids(paths), paths, names, _pictures(paths), strict=True)
    return [Photo(*image) for image in images]


def _ids(paths: Sequence[Path]) -> list[int]:
    """The ids that stand in the names, where in no two the same, and for the other images the first numbers that are free."""
    found = [_COCO_NAME.fullmatch(path.stem) for path in paths]
    named = [int(match[1]) if match else None for match in found]
    counts = Counter(named)
    shared = [path for path, number in zip(paths, named, strict=True) if number is not None and counts[number] > 1]
    if shared:
        warn(f"{len(shared)} images have an id in their name that another one has, too, first {shared[0]}: they are numbered anew")
    free = (number for number in itertools.count() if number not in counts)
    return [next(free) if number is None or counts[number] > 1 else number for number in named]


def _pictures(paths: Sequence[Path]) -> list[str]:
    stems = {path.stem.casefold() for path in paths}  # some file systems take a.png and A.png for one
    numbered = len(stems) < len(paths)
    return [_short(f"{number}_{path.stem}" if numbered else path.stem) for number, path in enumerate(paths)]


def _short(stem: str) -> str:
    """A name to which kinds of maps can be added: systems take 255 bytes. What is cut off is told by a hash."""
    if len(os.fsencode(stem)) <= _LONG:
        return stem
    told = hashlib.sha256(os.fsencode(stem)).hexdigest()[:8]
    return f"{os.fsencode(stem)[:_LONG].decode(errors='ignore')}_{told}"


def _listed(paths: Sequence[Path], listing: Listing) -> list[Photo]:
    """Those of the images that a COCO file lists; what is on one side alone is told. DataError where nothing is on both."""
    found: dict[str, Path] = {}
    for path in paths:
        name = listing.named(path)
        if name in found:
            raise DataError(f"{found[name]} and {path} are both {name} of {listing.path}; give images= the folder of one of them")
        if name is not None:
            found[name] = path
    absent, first = [name for name in listing.ids if name not in found], next(iter(listing.ids), "none at all")
    if not found:
        raise DataError(
            f"{listing.path} lists none of the {len(paths)} images, of which the first is {paths[0]}; its own first is {first}: "
            "give images= the folder that it is of"
        )
    if len(found) < len(paths):
        warn(f"{len(paths) - len(found)} of {len(paths)} images are not listed in {listing.path} and are left out")
    if absent:
        warn(f"{len(absent)} of {len(listing.ids)} images that {listing.path} lists are not there, first {absent[0]}")
    pictures = _pictures(list(found.values()))
    return [Photo(listing.ids[name], path, name, picture) for (name, path), picture in zip(found.items(), pictures, strict=True)]
