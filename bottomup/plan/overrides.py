"""What a command line says: KEY=VALUE in Hydra's grammar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING

from bottomup.errors import ConfigError
from bottomup.paths import with_home

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override


def key_of(override: str) -> str:
    """The option that an override sets: ``decoder.window`` of ``++decoder.window=5``."""
    return override.lstrip("+~").partition("=")[0]


def parts_of(override: str) -> list[str]:
    """The names that lead to what an override sets; a group's, ``backbone/neck@there``, too."""
    return key_of(override).split("@")[0].replace("/", ".").split(".")


def typed_within(overrides: Sequence[str], place: Sequence[str]) -> set[str]:
    """The names that were typed right below a place: ``lr`` of ``engine.optimiser.lr=1`` and of ``engine.optimiser={lr: 1}``."""
    names, depth = set[str](), len(place)
    for override in overrides:
        path = parts_of(override)
        if path[:depth] != list(place) or override.startswith("~"):
            continue
        value = _parsed([override])[0].value() if len(path) == depth else None
        names |= {path[depth]} if len(path) > depth else {str(name) for name in value} if isinstance(value, Mapping) else set()
    return names


def typed(overrides: Sequence[str]) -> dict[str, str]:
    """What is set, by key, as text; neither additions nor removals of Hydra's."""
    return {key_of(text): text.partition("=")[2] for text in overrides if "=" in text and not text.startswith(("+", "~"))}


def value_of(override: str) -> str | None:
    """What an override sets its option to, as text: ``a b`` of ``output='a b'``; ConfigError where it has several values."""
    (entry,) = _parsed([override])
    if entry.is_sweep_override():
        raise ConfigError(f"{override!r} should have one value; commas within it are quoted twice")
    value = entry.value()
    return value if value is None or isinstance(value, str) else override.partition("=")[2]


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
    from hydra.errors import HydraException

    try:
        return OverridesParser.create().parse_overrides([with_home(override) for override in overrides])
    except HydraException as error:
        from bottomup.plan.hydra_errors import message

        raise ConfigError(message(error)) from error
