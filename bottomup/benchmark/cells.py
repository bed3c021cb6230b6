"""The combinations that are compared: the product of what a matrix file and a command line leave open."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bottomup.errors import ConfigError, unknown
from bottomup.paths import path_of
from bottomup.plan.files import beside_package
from bottomup.plan.overrides import key_of, sweep

_PARTS = ("common", "axes", "cells")


@dataclass(frozen=True)
class Cell:
    """One combination: its name, the choice on each axis, and the Hydra overrides that make it."""

    name: str
    choices: Mapping[str, str]
    overrides: tuple[str, ...]

    @property
    def slug(self) -> str:
        """A folder's name: no two cells share one."""
        readable = re.sub(r"[^A-Za-z0-9.]+", "_", self.name).strip("_")[:60]
        return f"{readable}-{hashlib.sha1(repr(self.overrides).encode()).hexdigest()[:8]}"


def cells_of(matrix: str | None, overrides: Sequence[str]) -> list[Cell]:
    """The cells that a matrix (a YAML file, or one of benchmarks/matrices) and options with several values (``a=1,2``) make.

    A matrix file lists overrides: ``common`` to all, ``axes`` of named choices, of which every combination is a cell, and single
    ``cells``. What the command line says comes last.
    """
    listed = _listed(matrix) if matrix else [Cell("", {}, ())]
    cells = []
    for cell, swept in itertools.product(listed, sweep(overrides)):
        open_ones = [text for text in swept if text not in overrides]
        name = ", ".join([cell.name, *open_ones] if cell.name else open_ones) or "as configured"
        choices = {**cell.choices, **{key_of(text): text.partition("=")[2] for text in open_ones}}
        cells.append(Cell(name, choices, _latest([*cell.overrides, *swept])))
    return cells


def matrix_folder() -> Path:
    """Where the matrices that ship lie."""
    return beside_package("matrices", "benchmarks/matrices")


def _latest(overrides: Sequence[str]) -> tuple[str, ...]:
    """Of overrides of the same key the last; Hydra refuses two choices of one part."""
    latest: dict[str, str] = {}
    for override in overrides:
        latest.pop(key_of(override), None)  # where it stands counts, too: `heads.prn={}` replaces the options of it set before
        latest[key_of(override)] = override
    return tuple(latest.values())


def _listed(matrix: str) -> list[Cell]:
    """The cells of a matrix."""
    path = path_of(matrix) if matrix.endswith((".yaml", ".yml")) else matrix_folder() / f"{matrix}.yaml"
    if not path.is_file():
        known = sorted(file.stem for file in matrix_folder().glob("*.yaml"))
        raise ConfigError(unknown("matrix", matrix, known) + "; or give a YAML file")
    try:
        content = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    content = _named(str(path), content)
    for part in content:
        if part not in _PARTS:
            raise ConfigError(f"{path}: " + unknown("part of a matrix", part, list(_PARTS)))
    common = _overrides(f"{path}: common", content.get("common"))
    single = _choices(f"{path}: cells", content.get("cells"))
    axes = {axis: _choices(f"{path}: axes: {axis}", of) for axis, of in _named(f"{path}: axes", content.get("axes")).items()}
    cells = [Cell(name, {"cell": name}, _latest([*common, *own])) for name, own in single.items()]
    if axes:
        cells += [_combination(common, axes, choice) for choice in itertools.product(*axes.values())]
    if not cells:
        raise ConfigError(f"{path}: neither axes nor cells; a matrix has at least one combination")
    return cells


def _choices(where: str, content: Any) -> dict[str, list[str]]:
    """Named combinations, or choices on an axis: the overrides of each."""
    return {name: _overrides(f"{where}: {name}", own) for name, own in _named(where, content).items()}


def _named(where: str, content: Any) -> dict[str, Any]:
    """A mapping by names, which YAML may have read as numbers; none of nothing."""
    if not isinstance(content or {}, dict):
        raise ConfigError(f"{where} should be `name: …` entries, got {content!r}")
    return {str(name): value for name, value in (content or {}).items()}


def _overrides(where: str, content: Any) -> list[str]:
    """A list of Hydra's overrides; none of nothing."""
    if not isinstance(content or [], list) or not all(_is_override(text) for text in content or []):
        raise ConfigError(f"{where} should be a list of overrides such as [method=personlab, input_size=128], got {content!r}")
    return list(content or [])


def _is_override(text: Any) -> bool:
    return isinstance(text, str) and ("=" in text or text.startswith("~"))


def _combination(common: list[str], axes: Mapping[str, Mapping[str, list[str]]], choice: tuple[str, ...]) -> Cell:
    choices = dict(zip(axes, choice, strict=True))
    own = [override for axis, chosen in choices.items() for override in axes[axis][chosen]]
    return Cell(", ".join(choice), choices, _latest([*common, *own]))


def training_key(config: Mapping[str, object], of: Sequence[str]) -> str:
    """A name for all trainings that are one: those whose parts ``of`` the configuration are equal."""
    parts = yaml.safe_dump({name: config.get(name) for name in of}, sort_keys=True)
    return hashlib.sha1(parts.encode()).hexdigest()[:10]
