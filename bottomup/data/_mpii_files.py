"""MPII's people as its release (.mat) and its peers (.json) have them, in one form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from bottomup.coco.records import fault, numbers
from bottomup.errors import DataError
from bottomup.skeletons import MPII

_FIRST = 1  # pixels are counted from 1, as Matlab does
_HEIGHT = 200  # px of somebody of scale 1


class Person(NamedTuple):
    """One person as annotated; places are indices of pixels, from 0."""

    keypoints: list[list[float]]  # (K, 3) x, y, visibility
    position: tuple[float, float] | None  # roughly the middle
    scale: float | None  # of a height of 200 px
    head: list[float] | None  # xywh px

    @property
    def height(self) -> float | None:
        """The px that somebody of that scale is high."""
        return None if self.scale is None else _HEIGHT * self.scale


class Picture(NamedTuple):
    """One image with everybody of whom something is said, and who of them stands in a group with others."""

    name: str
    people: list[Person]
    groups: list[list[int]] | None  # places among the people; None: the file does not say


def read_json(path: Path) -> list[Picture]:
    """The pictures of a list of people, each with image, joints, joints_vis, center and scale, as networks' authors write it."""
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path}: should be a JSON file, but {error}; set the data set's `root` and `split` (data.root=), or `annotations`"
        ) from None
    if not isinstance(data, list) or not all(isinstance(entry, dict) and isinstance(entry.get("image"), str) for entry in data):
        expected = "a list of people, each with image, joints, joints_vis, center and scale"
        raise fault(str(path), "top level", type(data).__name__, expected, "give MPII's JSON, or its release's .mat")
    people: dict[str, list[Person]] = {}
    for number, entry in enumerate(data):
        people.setdefault(entry["image"], []).append(_of_peers(entry, f"{path}: person {number} of {entry['image']}"))
    return [Picture(name, several, None) for name, several in people.items()]


def _of_peers(entry: dict[str, Any], where: str) -> Person:
    joints, seen = entry.get("joints") or [], entry.get("joints_vis") or []
    if joints and (len(joints) != len(MPII) or len(seen) != len(joints) or None in map(numbers, joints)):
        expected = f"{len(MPII)} places [x, y], with as many `joints_vis`"
        raise fault(where, "joints", f"{len(joints)} with {len(seen)}", expected, "give MPII's own sixteen")
    places = zip(joints, seen, strict=True)
    keypoints = [[float(x) - _FIRST, float(y) - _FIRST, 2.0] if visible else [0.0, 0.0, 0.0] for (x, y), visible in places]
    centre = entry.get("center")
    position = None if not centre else (float(centre[0]) - _FIRST, float(centre[1]) - _FIRST)
    return Person(keypoints or _nowhere(), position, entry.get("scale"), None)


def read_release(path: Path, groups: Path | None, train: bool) -> list[Picture]:
    """The pictures of the release's structure RELEASE, those to train on or those to test on.

    ``groups`` is the evaluation toolkit's groups_v12.mat, of which groups with somebody who stands alone by ``single_person`` do
    not count; without that file everybody of an image who does not is in one group.
    """
    release = _structure(path, "RELEASE")
    images, singles = _many(release["annolist"]), _many(release.get("single_person", []))
    stated = None if groups is None else _many(_structure(groups, "groups"))
    if stated is not None and len(stated) != len(images):
        raise fault(
            str(groups), "groups", f"those of {len(stated)} images", f"of the {len(images)} of {path}", "give that version's"
        )
    chosen = np.atleast_1d(release["img_train"]).astype(bool)
    pictures = []
    for index, image in enumerate(images):
        if chosen[index] != train:
            continue
        rects = [rect for rect in _many(image.get("annorect", [])) if isinstance(rect, dict)]
        alone = {*_flat(singles[index])} if index < len(singles) else set()
        others = [number for number in range(1, len(rects) + 1) if number not in alone]
        own = [others] if stated is None else [group for group in _cells(stated[index]) if not alone & {*group}]
        groups_of = [[number - 1 for number in group] for group in own if group]
        pictures.append(Picture(str(image["image"]["name"]), [_of_release(rect) for rect in rects], groups_of))
    return pictures


def _of_release(rect: dict[str, Any]) -> Person:
    keypoints = _nowhere()
    points = rect.get("annopoints")
    for point in _many(points.get("point", [])) if isinstance(points, dict) else []:
        seen = point.get("is_visible")
        visible = _number(seen) in (None, 1.0)  # the head's have no word
        keypoints[int(point["id"])] = [float(point["x"]) - _FIRST, float(point["y"]) - _FIRST, 2 if visible else 1]
    place, corners = rect.get("objpos"), [_number(rect.get(name)) for name in ("x1", "y1", "x2", "y2")]
    known = [corner for corner in corners if corner is not None]
    head = [known[0] - _FIRST, known[1] - _FIRST, known[2] - known[0], known[3] - known[1]] if len(known) == 4 else None
    position = (float(place["x"]) - _FIRST, float(place["y"]) - _FIRST) if isinstance(place, dict) else None
    return Person(keypoints, position, _number(rect.get("scale")), head)


def _nowhere() -> list[list[float]]:
    return [[0, 0, 0] for _ in MPII.keypoints]


# ---- Matlab ----------------------------------------------------------------------------------------------------------------


def _structure(path: Path, name: str) -> Any:
    """A variable of a .mat file, structures as dictionaries; DataError where it is not there."""
    try:
        return loadmat(path, simplify_cells=True)[name]
    except (OSError, ValueError, IndexError, NotImplementedError, MatReadError) as error:
        raise DataError(
            f"{path}: should be a .mat file of MPII, but {error}; set the data set's `root` (data.root=), or `annotations`"
        ) from None
    except KeyError:
        raise DataError(f"{path}: should hold the variable {name}; give MPII's own file") from None


def _many(value: Any) -> list[Any]:
    """The entries of an array; Matlab writes one as itself, and none as an empty matrix."""
    return list(value) if isinstance(value, list) or (isinstance(value, np.ndarray) and value.ndim) else [value]


def _cells(value: Any) -> list[list[int]]:
    """The groups of an image, a cell each; of one group alone Matlab writes the numbers themselves."""
    cells = isinstance(value, list) or (isinstance(value, np.ndarray) and value.dtype == object)
    return [_flat(group) for group in (_many(value) if cells else [value])]


def _flat(value: Any) -> list[int]:
    return [int(one) for one in np.ravel(np.asarray(value, dtype=float))]


def _number(value: Any) -> float | None:
    """A number, also in a text or a matrix of one; None where there is none."""
    try:
        return float(np.ravel(value)[0])
    except (IndexError, TypeError, ValueError):
        return None
