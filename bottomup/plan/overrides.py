"""What a command line says: KEY=VALUE in Hydra's grammar."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from bottomup.errors import ConfigError
from bottomup.paths import path_of, with_home
from bottomup.plan.files import SEARCHPATH

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override

_PLAIN = re.compile(r"[A-Za-z_./~][\w./-]*")  # texts that need no quotes
_KEYWORDS = ("null", "true", "false", "nan", "inf")
_SHORT = {"refine": "refine.weights"}  # groups by one of their values


def key_of(override: str) -> str:
    """The option that an override sets: ``decoder.window`` of ``++decoder.window=5``."""
    return override.lstrip("+~").partition("=")[0]


def parts_of(override: str) -> list[str]:
    """The names that lead to what an override sets; a group's, ``backbone/neck@there``, too."""
    return key_of(override).split("@")[0].replace("/", ".").split(".")


def spelt_out(override: str) -> str:
    """An override in full: ``refine=FILE`` is short for ``refine.weights=FILE``, the one value of it without a default."""
    key, equals, value = override.partition("=")
    short = key in _SHORT and equals and not value.lstrip().startswith("{")
    return f"{_SHORT[key]}={value}" if short else override


def typed_paths(overrides: Sequence[str]) -> list[tuple[str, ...]]:
    """The names that lead to each value that was typed: of ``heads={tags: {dim: 2}}`` heads, heads.tags and heads.tags.dim.

    Without what Hydra removes, packs elsewhere or reads itself. ConfigError for what it cannot read.
    """
    own = [override for override in overrides if not override.startswith("~") and not set("/@") & set(key_of(override))]
    said = [override for override in own if key_of(override) != SEARCHPATH]
    return [
        path
        for entry, override in zip(_parsed(said), said, strict=True)
        for path in _inner(tuple(parts_of(override)), entry.value())
    ]


def _inner(path: tuple[str, ...], value: object) -> list[tuple[str, ...]]:
    below = value.items() if isinstance(value, Mapping) else ()
    return [path, *(found for name, entry in below for found in _inner((*path, str(name)), entry))]


def typed(overrides: Sequence[str]) -> dict[str, str]:
    """What is set, by key, as text; neither additions nor removals of Hydra's."""
    return {key_of(text): text.partition("=")[2] for text in overrides if "=" in text and not text.startswith(("+", "~"))}


def overrides_of(config: Mapping[str, object]) -> list[str]:
    """Plain data as overrides that say the same: ``{engine: {steps: 3}}`` as [engine.steps=3]."""
    return [f"{key}={_literal(value)}" for key, value in _leaves(config)]


def _leaves(config: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _literal(value: object) -> str:
    """A value in Hydra's grammar."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}: {_literal(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_literal, value)) + "]"
    if isinstance(value, int | float) or (_PLAIN.fullmatch(str(value)) and str(value).lower() not in _KEYWORDS):
        return str(value)
    quoted = str(value).replace("'", "\\'")
    return f"'{quoted}'"


def value_of(override: str) -> str | None:
    """What an override sets its option to, as text: ``a b`` of ``output='a b'``; ConfigError where it has several values."""
    (entry,) = _parsed([override])
    if entry.is_sweep_override():
        raise ConfigError(f"{override!r} should have one value; commas within it are quoted twice")
    value = entry.value()
    return value if value is None or isinstance(value, str) else override.partition("=")[2]


def check_search_path(overrides: Sequence[str]) -> None:
    """Refuse a folder of further YAML files that is not there; packages, pkg://my_lab.configs, are left to Hydra."""
    for entry in _parsed([override for override in overrides if key_of(override) == SEARCHPATH]):
        places = entry.value()
        for place in places if isinstance(places, list) else [places]:
            folder = str(place).removeprefix("file://")
            if "://" not in folder and not path_of(folder).is_dir():
                raise ConfigError(
                    f"{SEARCHPATH}: there is no folder {folder!r} in {Path.cwd()}; give one with groups, as experiment/"
                )


def sweep(overrides: Sequence[str]) -> list[list[str]]:
    """Every combination of overrides that have several values, ``a=1,2 b=x`` as [[a=1, b=x], [a=2, b=x]]; lists stay lists."""
    choices = []
    for entry, override in zip(_parsed(overrides), overrides, strict=True):
        key = override.partition("=")[0]
        choices.append([f"{key}={value}" for value in entry.sweep_string_iterator()] if entry.is_sweep_override() else [override])
    return [list(combination) for combination in product(*choices)]


def _parsed(overrides: Sequence[str]) -> list[Override]:
    """Overrides as Hydra reads them; ConfigError where it cannot."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException, OverrideParseException

    try:
        return OverridesParser.create().parse_overrides([with_home(override) for override in overrides])
    except OverrideParseException as error:
        from bottomup.plan.hydra_errors import quoted

        raise ConfigError(quoted(error.override)) from error
    except HydraException as error:
        from bottomup.plan.hydra_errors import message

        raise ConfigError(message(error)) from error
