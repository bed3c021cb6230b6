"""What the JSON of a TF.js graph model may say, field by field."""

from __future__ import annotations

import json
import math
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, NoReturn

import numpy as np

from bottomup.errors import CheckpointError

_STORED = {"float32": np.float32, "int32": np.int32, "uint8": np.uint8, "uint16": np.uint16, "bool": np.bool_}
_QUANTISED = {"uint8": np.uint8, "uint16": np.uint16, "float16": np.float16}
_LARGEST = float(np.finfo(np.float32).max)
_MOST_AXES = 6  # of a TF.js tensor
_MOST_BYTES = 1 << 26  # of the JSON; a large graph has 1 MB


@dataclass(frozen=True)
class Entry:
    """A tensor of the manifest: how its values are stored, and how they become plain ones where ``scale`` is not None."""

    name: str
    shape: tuple[int, ...]
    stored: type
    scale: float | None = None
    low: float = 0.0

    @property
    def count(self) -> int:
        """How many values it has."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """How many bytes it takes of the shards."""
        return self.count * np.dtype(self.stored).itemsize


@dataclass(frozen=True)
class Group:
    """Shards by name, and the tensors that lie in their bytes one after the other."""

    shards: tuple[str, ...]
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Node:
    """One operation of the graph, and the names of what it reads."""

    name: str
    operation: str
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class Schema:
    """What the JSON says."""

    nodes: tuple[Node, ...]
    groups: tuple[Group, ...]


class _Field:
    """A value of the JSON, and where it stands: what it is not is refused with that path."""

    def __init__(self, value: Any, path: str, file: Path) -> None:
        self.value, self.path, self.file = value, path, file

    def refuse(self, expected: str) -> NoReturn:
        shown = "nothing" if self.value is None else reprlib.repr(self.value)
        raise CheckpointError(f"{self.file}: {self.path} should be {expected}, got {shown}; is it the JSON of a TF.js graph model?")

    def __getitem__(self, key: str) -> _Field:
        if not isinstance(self.value, dict):
            self.refuse("an object")
        return _Field(self.value.get(key), f"{self.path}.{key}" if self.path else key, self.file)

    def items(self) -> list[_Field]:
        if not isinstance(self.value, list):
            self.refuse("a list")
        return [_Field(value, f"{self.path}[{index}]", self.file) for index, value in enumerate(self.value)]

    def text(self) -> str:
        if not isinstance(self.value, str) or not self.value:
            self.refuse("a name")
        return str(self.value)

    def number(self) -> float:
        plain = isinstance(self.value, int | float) and not isinstance(self.value, bool)
        if not plain or not abs(self.value) <= _LARGEST:
            self.refuse("a finite number")
        return float(self.value)

    def side(self) -> int:
        if not isinstance(self.value, int) or isinstance(self.value, bool) or self.value < 1:
            self.refuse("a whole number from 1 on")
        return int(self.value)

    def choice(self, known: Mapping[str, type]) -> type:
        if not isinstance(self.value, str) or self.value not in known:
            self.refuse(f"one of {', '.join(known)}")
        return known[self.value]


def read_schema(file: Path) -> Schema:
    """Read the JSON of a graph model and check every field of it; CheckpointError naming file, field, and what was expected."""
    model = _Field(_json(file), "", file)
    if not isinstance(model.value, dict) or "modelTopology" not in model.value or "weightsManifest" not in model.value:
        raise CheckpointError(f"{file}: not a TF.js graph model; expected JSON with modelTopology.node and weightsManifest")
    nodes = tuple(_node(node) for node in model["modelTopology"]["node"].items())
    groups = tuple(_group(group) for group in model["weightsManifest"].items())
    _check_once(file, "nodes", [node.name for node in nodes])
    _check_once(file, "tensors", [entry.name for group in groups for entry in group.entries])
    _check_once(file, "shards", [shard for group in groups for shard in group.shards])
    return Schema(nodes, groups)


def _json(file: Path) -> Any:
    if not file.is_file():
        raise CheckpointError(f"{file}: no such file; give the JSON of a TF.js graph model")
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise CheckpointError(f"{file}: too large for the JSON of a TF.js graph model; give model.json, not its weights")
        return json.loads(file.read_bytes())
    except OSError as error:
        raise CheckpointError(f"{file}: not readable ({error.strerror}); give the JSON of a TF.js graph model") from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{file}: not JSON ({error}); give the JSON of a TF.js graph model, not its weights") from error


def _node(node: _Field) -> Node:
    inputs = node["input"].items() if node["input"].value is not None else []
    return Node(node["name"].text(), node["op"].text(), tuple(entry.text() for entry in inputs))


def _group(group: _Field) -> Group:
    shards = tuple(_shard(name) for name in group["paths"].items())
    if not shards:
        group["paths"].refuse("the names of the weights files")
    return Group(shards, tuple(_entry(entry) for entry in group["weights"].items()))


def _shard(field: _Field) -> str:
    """The name of a file beside the JSON: without folders, whichever system's, so that nothing else is read."""
    name = field.text()
    plain = name == PurePosixPath(name).name == PureWindowsPath(name).name and name != ".." and "\0" not in name
    if not plain:
        field.refuse("the name of a file beside the JSON, without folders")
    return name


def _entry(entry: _Field) -> Entry:
    name, shape = entry["name"].text(), tuple(side.side() for side in entry["shape"].items())
    if len(shape) > _MOST_AXES:
        entry["shape"].refuse(f"at most {_MOST_AXES} axes")
    stored, quantisation = entry["dtype"].choice(_STORED), entry["quantization"]
    if quantisation.value is None:
        return Entry(name, shape, stored)
    stored = quantisation["dtype"].choice(_QUANTISED)
    if stored is np.float16:
        return Entry(name, shape, stored)
    return Entry(name, shape, stored, quantisation["scale"].number(), quantisation["min"].number())


def _check_once(file: Path, what: str, names: list[str]) -> None:
    """Raise CheckpointError for a name that stands twice."""
    seen = set[str]()
    for name in names:
        if name in seen:
            raise CheckpointError(f"{file}: two {what} are called {name!r}; expected each once")
        seen.add(name)
