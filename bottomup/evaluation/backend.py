"""COCO's evaluation behind one import: hotcoco's, compiled, where it is installed, else pycocotools'; the figures are equal."""

from __future__ import annotations

import contextlib
import importlib
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bottomup.dataset import Record
from bottomup.evaluation.columns import CATEGORY


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


def evaluated(image_ids: Iterable[int], sides: Iterable[Sequence[Record]], kind: str, **parameters: object) -> Any:
    """A COCOeval ("keypoints" or "bbox") of records of people and of instances, the two ``sides``; not yet accumulated.

    Its parameters are COCO's but for those given.
    """
    if hotcoco is None:
        people, found = sides
        return evaluated_by_pycocotools([{"id": image_id} for image_id in image_ids], people, found, kind, **parameters)
    images, categories = [_SIZE | {"id": image_id} for image_id in image_ids], [{"id": CATEGORY, "name": kind}]
    indexed = [hotcoco.COCO({"images": images, "annotations": side, "categories": categories}) for side in sides]
    evaluation = hotcoco.COCOeval(*indexed, kind)
    _set(evaluation.params, parameters)
    evaluation.evaluate()
    return evaluation


def evaluated_by_pycocotools(
    images: Sequence[Record], people: Iterable[Record], found: Iterable[Record], kind: str, **parameters: object
) -> Any:
    """The same by pycocotools, which also judges masks ("segm") and keeps the similarities of all pairs (``ious``)."""
    from pycocotools.cocoeval import COCOeval

    with silence():
        evaluation = COCOeval(_indexed(images, people), _indexed(images, found), kind)
        _set(evaluation.params, parameters)
        evaluation.evaluate()
    return evaluation


def accumulated(evaluation: Any) -> Any:
    """An evaluated COCOeval, with its tables of precision and recall."""
    with silence():
        evaluation.accumulate()
    return evaluation


def _set(params: Any, chosen: Mapping[str, object]) -> None:
    for name, value in chosen.items():
        setattr(params, name, value)


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
