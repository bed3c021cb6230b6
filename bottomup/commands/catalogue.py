"""``bottomup list``: every component, augmentation and the engine, with options, defaults and first line of documentation."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from bottomup.data.augment import Augment
from bottomup.data.dataset import DATASETS
from bottomup.engine.optim import make_average, make_optimiser, make_schedule
from bottomup.engine.settings import Settings
from bottomup.errors import ConfigError
from bottomup.plan.files import available, choices, config_folder
from bottomup.registry import Registry, unknown
from bottomup.stages import BACKBONES, DECODERS, HEADS, NECKS

_KINDS: dict[str, Registry[Any]] = {
    "backbones": BACKBONES,
    "necks": NECKS,
    "heads": HEADS,
    "decoders": DECODERS,
    "data": DATASETS,
}

# What is no component by name, by the part of the configuration that sets it.
_SETTINGS: dict[str, dict[str, Callable[..., Any]]] = {
    "augment": {"augment": Augment},
    "engine": {
        "engine": Settings,
        "engine.optimiser": make_optimiser,
        "engine.schedule": make_schedule,
        "engine.average": make_average,
    },
}

KINDS = (*_KINDS, *_SETTINGS, "methods", "configs")


def run(arguments: Sequence[str] = ()) -> dict[str, Any]:
    """Print the catalogue, whole or of the kinds named."""
    for kind in arguments:
        if kind not in KINDS:
            raise ConfigError(unknown("kind of component", kind, list(KINDS)))
    for kind in arguments or KINDS:
        print(kind)
        for line in _lines(kind):
            print(f"  {line}")
    return {}


def _lines(kind: str) -> list[str]:
    if kind == "methods":
        return available()
    if kind == "configs":
        groups = sorted(path.name for path in config_folder().iterdir() if path.is_dir())
        return [f"{group}: {', '.join(choices(group))}" for group in groups]
    if kind in _SETTINGS:
        described = [line for name, made_by in _SETTINGS[kind].items() for line in _described(name, made_by)]
        return [*described, f"{kind}=NAME sets values of its own: {', '.join(choices(kind))}"]
    registry = _KINDS[kind]
    return [line for name in registry.names() for line in _described(name, registry[name])]


def _described(name: str, component: Callable[..., Any]) -> list[str]:
    return [f"{name}: {(inspect.getdoc(component) or '').splitlines()[0]}", *(f"    {option}" for option in options_of(component))]


def options_of(component: Callable[..., Any]) -> list[str]:
    """``name: type = default`` of every option, which is what is given by keyword alone."""
    fields = dataclasses.fields(component) if dataclasses.is_dataclass(component) else ()
    made = {entry.name: entry.default_factory() for entry in fields if callable(entry.default_factory)}
    parameters = inspect.signature(component).parameters.values()
    return [_shown(one, made.get(one.name, one.default)) for one in parameters if one.kind is one.KEYWORD_ONLY]


def _shown(parameter: inspect.Parameter, default: object) -> str:
    kind = parameter.annotation if isinstance(parameter.annotation, str) else inspect.formatannotation(parameter.annotation)
    stated = parameter.name + ": " + kind.strip('"')  # quoted twice where it was a string in a module of strings
    return stated if default is parameter.empty else f"{stated} = {default!r}"
