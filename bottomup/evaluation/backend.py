"""COCO's evaluation behind one import: hotcoco's, compiled, where it is installed, else pycocotools'; the figures are equal."""

from __future__ import annotations

import contextlib
import importlib
import io
from collections.abc import Iterable, Sequence
from typing import Any

from bottomup.dataset import Record
from bottomup.evaluation.records import CATEGORY


def _installed(name: str) -> Any:
    """A package; None where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


hotcoco: Any = _installed("hotcoco")  # of the extra bottomup[evaluation]

_SIZE = {"width": 1, "height": 1, "file_name": ""}  # of images, which hotcoco wants and no figure of keypoints and boxes depends on


def silence() -> contextlib.redirect_stdout[io.StringIO]:
    """Swallow what pycocotools prints."""
    return contextlib.redirect_stdout(io.StringIO())


def compared(image_ids: Iterable[int], people: Iterable[Record], found: Iterable[Record], kind: str) -> Any:
    """A COCOeval of records ("keypoints" or "bbox") whose parameters can be set; not yet evaluated."""
    if hotcoco is None:
        return compared_by_pycocotools([{"id": image_id} for image_id in image_ids], people, found, kind)
    images = [_SIZE | {"id": image_id} for image_id in image_ids]
    sides = ({"images": images, "annotations": list(side), "categories": _categories(kind)} for side in (people, found))
    return hotcoco.COCOeval(*map(hotcoco.COCO, sides), kind)


def compared_by_pycocotools(images: Sequence[Record], people: Iterable[Record], found: Iterable[Record], kind: str) -> Any:
    """The same by pycocotools, which also judges masks ("segm") and keeps the similarities of all pairs (``ious``)."""
    from pycocotools.cocoeval import COCOeval

    with silence():
        return COCOeval(_indexed(images, people), _indexed(images, found), kind)


def _categories(kind: str) -> list[Record]:
    return [{"id": CATEGORY, "name": kind}]


def _indexed(images: Iterable[Record], annotations: Iterable[Record]) -> Any:
    """Index copies of records: pycocotools writes into what it is given, and its loadRes fails on no results."""
    from pycocotools.coco import COCO

    coco = COCO()
    coco.dataset = {
        "images": [dict(image) for image in images],
        "annotations": [dict(annotation) for annotation in annotations],
        "categories": [{"id": CATEGORY}],
    }
    coco.createIndex()
    return coco
