"""What was found in many images as one file: COCO's results, JSON lines or Parquet; no more is held than a few lines."""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TypedDict

from bottomup.errors import ConfigError, counted
from bottomup.fitting import fits
from bottomup.options import resolved
from bottomup.paths import write_json, written_whole
from bottomup.workflows.parts import PARTS, Line, Name, Parts

_SUMMARY = "metrics.json"
_ROWS = 4096  # of a Parquet file that are held at once: one of its row groups


class Summary(TypedDict):
    """What a run came to: the hash of its images' names, numbers of images and of people, and which files are no images."""

    names_sha256: str
    images: int
    instances: int
    unreadable: list[str]


def check_format(form: str) -> None:
    """Raise ConfigError where nothing here can write a form."""
    if form == "parquet":
        _arrow()


def results_file(form: str, folder: Path) -> Path:
    """The file of a form in an output folder."""
    return folder / f"predictions.{_SUFFIXES[form]}"


def finish(form: str, parts: Parts) -> Summary:
    """Write what was found in all images as a file of a form, without those that nobody could read, and what it comes to."""
    summary: Summary = {"names_sha256": _hash(parts.names), "images": 0, "instances": 0, "unreadable": []}

    def readable() -> Iterator[Line]:
        for line in parts.lines():
            if "unreadable" in line:
                summary["unreadable"].append(line["file_name"])
            else:
                summary["images"] += 1
                summary["instances"] += len(line["instances"])
                yield line

    _WRITERS[form](results_file(form, parts.output), readable())
    write_json(parts.output / _SUMMARY, summary)
    parts.remove()
    return summary


def finished(form: str, parts: Parts) -> Summary | None:
    """What a run came to that wrote all that it found as a file of a form; None where none did.

    ConfigError where it was of other images.
    """
    folder = parts.output
    if (folder / PARTS).is_dir() or not results_file(form, folder).is_file() or (summary := _summary_of(folder)) is None:
        return None
    if (count := summary["images"] + len(summary["unreadable"])) != len(parts.names):
        raise ConfigError(
            f"{folder} holds what was found in {counted(count, 'image')}, and images= has {len(parts.names)} now; give those of "
            "the run that resume=true goes on with, or begin anew by overwrite=true"
        )
    if summary["names_sha256"] != _hash(parts.names):
        raise ConfigError(
            f"{folder} holds what was found in images of other names than those of images= now; give those of the run that "
            "resume=true goes on with, or begin anew by overwrite=true"
        )
    return summary


def _hash(names: Sequence[Name]) -> str:
    return hashlib.sha256(json.dumps(list(names)).encode()).hexdigest()


def begin_anew(form: str, parts: Parts) -> None:
    """Let nothing of an earlier run pass for what a new one found; its file of the form stays until the new one takes its place."""
    (parts.output / _SUMMARY).unlink(missing_ok=True)
    for other in _SUFFIXES.keys() - {form}:
        results_file(other, parts.output).unlink(missing_ok=True)
    parts.remove()


def _summary_of(folder: Path) -> Summary | None:
    """What a run in a folder came to; None where nothing there says so."""
    try:
        summary: Summary = json.loads((folder / _SUMMARY).read_text())
    except (OSError, ValueError, RecursionError):
        return None
    known = resolved(Summary)
    return summary if isinstance(summary, dict) and all(fits(summary.get(name), known[name]) for name in known) else None


def _write_coco(path: Path, lines: Iterable[Line]) -> None:
    """One JSON list of all people, each with its image's number and name, as ``write_json`` has it."""
    with written_whole(path) as file:
        before = b"[\n"
        for record in _records(lines):
            file.write(before + json.dumps([record], indent=1)[2:-2].encode())
            before = b",\n"
        file.write(b"[]" if before == b"[\n" else b"\n]")


def _write_lines(path: Path, lines: Iterable[Line]) -> None:
    """One line an image: its number, name and size, and its people."""
    with written_whole(path) as file:
        for line in lines:
            file.write(json.dumps(line).encode() + b"\n")


def _write_table(path: Path, lines: Iterable[Line]) -> None:
    """One row a person: COCO's fields as columns, null where there is no such."""
    arrow, parquet = _arrow()
    schema = _schema(arrow)
    records = _records(lines)
    with written_whole(path) as file, parquet.ParquetWriter(file, schema) as table:
        while rows := list(islice(records, _ROWS)):
            table.write_table(arrow.Table.from_pylist(rows, schema=schema))


def _schema(arrow: Any) -> Any:
    """The columns, the same for every network, so that files of several runs are one table."""
    floats = arrow.list_(arrow.float64())
    return arrow.schema(
        {
            "image_id": arrow.int64(),
            "file_name": arrow.string(),
            "category_id": arrow.int64(),
            "score": arrow.float64(),
            "bbox": floats,
            "keypoints": floats,
            "keypoint_presence": floats,
            "segmentation": arrow.struct({"size": arrow.list_(arrow.int64()), "counts": arrow.string()}),
        }
    )


def _records(lines: Iterable[Line]) -> Iterator[dict[str, object]]:
    """The people of all images, each with its image's name."""
    return (record | {"file_name": line["file_name"]} for line in lines for record in line["instances"])


def _arrow() -> tuple[Any, Any]:
    """The packages pyarrow and pyarrow.parquet; ConfigError where they are not installed."""
    try:
        return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ModuleNotFoundError as error:
        raise ConfigError(f"format=parquet needs {error.name}; pip install 'bottomup[parquet]', or give format=jsonl") from error


_SUFFIXES: Mapping[str, str] = {"coco": "json", "jsonl": "jsonl", "parquet": "parquet"}
_WRITERS: Mapping[str, Callable[[Path, Iterable[Line]], None]] = {
    "coco": _write_coco, "jsonl": _write_lines, "parquet": _write_table
}  # fmt: skip
