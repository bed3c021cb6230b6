"""What a report reads was written by anybody: fields are checked, texts made printable, and no file of another folder is read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PureWindowsPath
from typing import Any

from bottomup.benchmark.results import Row
from bottomup.errors import ConfigError, printable
from bottomup.options import Count, check_value

_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_LONGEST = 200  # characters of a name
_JPEG = b"\xff\xd8\xff"

_Figures = Mapping[str, float | None]
_ROW: Mapping[str, object] = {
    **dict.fromkeys(("name", "folder", "status", "reason", "device", "commit", "date"), str),
    **dict.fromkeys(("figures", "spread", "oracle", "grouping", "images_per_second"), _Figures),
    **dict.fromkeys(("gigamacs", "peak_mebibytes", "training_images_per_second", "matrix_share"), float | None),
    "training_precision": str | None,
    "choices": Mapping[str, str | int | float | bool | None],
    "latency": Mapping[str, _Figures],
    "parameters": Mapping[str, float],
    "training": Mapping[str, object] | None,
    "judged": Mapping[str, object],
    "threads": Count,
}
_PEOPLE: Mapping[str, object] = {"name": str, "decoder": str, "people": Count, "median_ms": float | None, "valid": bool}
_JUDGED = {"images": Count | None, "data": str | None, "split": str | int | None, "scales": Sequence[float], "flip": bool}
_TRAINING = {"seeds": Count, "learning_rate": float | None}
_EXHIBITS = {"edges": Sequence[Sequence[int]], "thresholds": _Figures, "images": Sequence[Mapping[str, object]]}
_IMAGE = {"file": str, "maps": Mapping[str, str], "size": tuple[Count, Count], "people": Sequence[Mapping[str, object]]}
_PERSON = {"score": float | None, "keypoints": Sequence[tuple[float, float, float] | None], "outlines": Sequence[Sequence[float]]}


def all_printable(value: Any) -> Any:
    """Plain data whose texts any file, plot and page can hold: halves of characters and control characters as marks."""
    if isinstance(value, str):
        return printable(_UNPRINTABLE.sub("\ufffd", value))
    if isinstance(value, Mapping):
        return {all_printable(key): all_printable(entry) for key, entry in value.items()}
    return [all_printable(entry) for entry in value] if isinstance(value, (list, tuple)) else value


def check_row(row: Row) -> None:
    """ConfigError for a row of ``bottomup benchmark`` of which a field is not what it should be."""
    where = f"row {str(row['name'])[:_LONGEST]!r}"
    _check(where, row, _ROW)
    if len(row["name"]) > _LONGEST:
        raise ConfigError(f"{where}: its name should have at most {_LONGEST} letters, got {len(row['name'])}")
    plain_name(row["folder"], f"{where}: folder")
    if "commit" in row:  # then it says of itself where and when it was measured
        _check_there(where, row, ("device", "date"))
    for block, times in row["latency"].items():
        _check_there(f"{where}: latency.{block}", times, ("p50_ms", "p90_ms"))
    if row["training"]:
        _check(f"{where}: training", row["training"], _TRAINING)
        _check_there(f"{where}: training", row["training"], ("seeds",))
    if row.get("judged"):
        _check(f"{where}: judged", row["judged"], _JUDGED)
        _check_there(f"{where}: judged", row["judged"], (*_JUDGED, "input_size", "precision"))


def check_people(row: Row) -> None:
    """ConfigError for a row of the times by people of which a field is not there or not what it should be."""
    _check_there("a row of times by people", row, tuple(_PEOPLE))
    _check(f"row {row['name']!r}", row, _PEOPLE)


def check_exhibits(found: Any, where: str) -> None:
    """ConfigError for a list of exhibits of which a field is not there or not what it should be."""
    if not isinstance(found, dict):
        raise ConfigError(f"{where} should be an object, got a {type(found).__name__}")
    _check_there(where, found, ("edges", "images"))
    _check(where, found, _EXHIBITS)
    for number, entry in enumerate(found["images"]):
        image = f"{where}: image {number}"
        _check_there(image, entry, ("image_id", *_IMAGE))
        _check(image, entry, _IMAGE)
        for person in entry["people"]:
            _check_there(image, person, tuple(_PERSON))
            _check(image, person, _PERSON)


def plain_name(name: str, where: str) -> str:
    """A name within a folder; ConfigError for one that leads out of it."""
    if not name or name in (".", "..") or name != Path(name).name or name != PureWindowsPath(name).name or "\0" in name:
        raise ConfigError(f"{where} should be a name without folders, got {name!r}")
    return name


def check_picture(content: bytes, path: Path) -> None:
    """ConfigError for a file that is no JPEG, as exhibits are."""
    if not content.startswith(_JPEG):
        raise ConfigError(f"{path}: should be a JPEG, as bottomup benchmark writes them; remove the exhibits.json beside it")


def _check(where: str, given: Mapping[str, object], kinds: Mapping[str, object]) -> None:
    for field, kind in kinds.items():
        if field in given:
            check_value(f"{where}: {field}", given[field], kind)


def _check_there(where: str, given: Mapping[str, object], fields: Sequence[str]) -> None:
    lacking = [field for field in fields if field not in given]
    if lacking:
        raise ConfigError(f"{where} should have {', '.join(lacking)}; is the file of bottomup benchmark?")
