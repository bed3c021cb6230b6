"""``bottomup list``: every component with its options, defaults and first line of documentation."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from bottomup.compose import available, config_folder
from bottomup.data.dataset import DATASETS
from bottomup.errors import ConfigError
from bottomup.registry import Registry, unknown
from bottomup.stages import BACKBONES, DECODERS, HEADS, NECKS

_KINDS: dict[str, Registry[Any]] = {
    "backbones": BACKBONES,
    "necks": NECKS,
    "heads": HEADS,
    "decoders": DECODERS,
    "data": DATASETS,
}


def run(_: dict[str, Any], arguments: Sequence[str] = ()) -> dict[str, Any]:
    """Print the catalogue, whole or of the kinds named."""
    for kind in arguments:
        if kind not in (*_KINDS, "methods", "configs"):
            raise ConfigError(unknown("kind of component", kind, [*_KINDS, "methods", "configs"]))
    wanted = arguments or [*_KINDS, "methods", "configs"]
    for kind in wanted:
        print(kind)
        for line in _lines(kind):
            print(f"  {line}")
    return {}


def _lines(kind: str) -> list[str]:
    if kind == "methods":
        return available()
    if kind == "configs":
        groups = sorted(path for path in config_folder().iterdir() if path.is_dir())
        return [f"{group.name}: {', '.join(sorted(path.stem for path in group.glob('*.yaml')))}" for group in groups]
    registry = _KINDS[kind]
    lines = []
    for name in registry.names():
        component = registry[name]
        lines += [
            f"{name}: {(inspect.getdoc(component) or '').splitlines()[0]}",
            *(f"    {option}" for option in options_of(component)),
        ]
    return lines


def options_of(component: type) -> list[str]:
    """``name: type = default`` of every option."""
    parameters = inspect.signature(component).parameters.values()
    return [str(parameter) for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
