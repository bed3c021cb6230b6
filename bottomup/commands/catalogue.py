"""``bottomup list``: every component, augmentation and the engine, with what it is and what its options are."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

from bottomup.contracts import BACKBONES, DECODERS, HEADS, NECKS
from bottomup.dataset import DATASETS
from bottomup.engine.settings import Settings
from bottomup.errors import ConfigError, unknown
from bottomup.manual import Option, options_of
from bottomup.plan.files import SEARCHPATH, choices, config_folder
from bottomup.plan.overrides import check_search_path, key_of
from bottomup.registry import Registry
from bottomup.samples.augment import Augment
from bottomup.zoo.entries import GROUP as NETWORKS

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
    "engine": {"engine": Settings},
}

_WIDTH = 110  # of a meaning, in characters

KINDS = (*_KINDS, *_SETTINGS, "methods", "configs")


def run(arguments: Sequence[str] = ()) -> dict[str, Any]:
    """Print the catalogue, whole or of the kinds named; a kind with a component's name behind it, ``head tags``, of that alone.

    ``hydra.searchpath=[FOLDER]`` adds the YAML files of a folder.
    """
    places = [argument for argument in arguments if key_of(argument) == SEARCHPATH]
    check_search_path(places)
    asked = _asked([argument for argument in arguments if argument not in places])
    for kind, name in asked or [(kind, None) for kind in KINDS]:
        print(kind)
        for line in _lines(kind, name, places):
            print(f"  {line}")
    return {}


def _asked(arguments: Sequence[str]) -> list[tuple[str, str | None]]:
    """The kinds that are asked for, each with the one component that is, if one is; ConfigError for what there is not."""
    asked = list[tuple[str, str | None]]()
    singular = {kind.removesuffix("s"): kind for kind in KINDS}
    for argument in arguments:
        kind = singular.get(argument, argument)
        before = asked[-1][0] if asked and asked[-1][1] is None else None
        if kind in KINDS:
            asked.append((kind, None))
        elif before in _KINDS:
            _KINDS[before][argument]  # refuses what is not there
            asked[-1] = (before, argument)
        else:
            raise ConfigError(unknown("kind of component", argument, list(KINDS)))
    return asked


def _lines(kind: str, name: str | None, places: Sequence[str]) -> list[str]:
    if kind == "methods":
        return choices("method", places)
    if kind == "configs":
        groups = sorted(path.name for path in config_folder().iterdir() if path.is_dir() and path.name != NETWORKS)
        return [f"{group}: {', '.join(choices(group, places))}" for group in groups]
    if kind in _SETTINGS:
        described = [line for part, made_by in _SETTINGS[kind].items() for line in _described(part, made_by)]
        return [*described, f"{kind}=NAME sets values of its own: {', '.join(choices(kind, places))}"]
    registry = _KINDS[kind]
    return [line for entry in ([name] if name else registry.names()) for line in _described(entry, registry[entry])]


def _described(name: str, component: Callable[..., Any]) -> list[str]:
    """What a component is, and each option as ``name: what fits (unit) = default``, below it what it means."""
    first = (inspect.getdoc(component) or "").splitlines()[0]
    return [f"{name}: {first}", *(line for option in options_of(component) for line in _option(option))]


def _option(option: Option) -> list[str]:
    meaning = textwrap.wrap((option.meaning or "").replace("``", ""), _WIDTH)
    return [f"    {option}", *(f"        {line}" for line in meaning)]
