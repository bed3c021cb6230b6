"""Options of components, refused by name where they do not fit."""

from __future__ import annotations

from typing import Any, get_args

from bottomup.errors import ConfigError
from bottomup.registry import unknown


class Options:
    """Checks of one component's options; each raises ConfigError that names ``component`` ("decoder personlab")."""

    def __init__(self, component: str) -> None:
        self.component = component

    def check(self, option: str, given: object, fits: bool, expected: str) -> None:
        """Refuse ``given`` unless it ``fits`` what is ``expected``."""
        if not fits:
            raise ConfigError(f"{self.component}: {option} should be {expected}, got {given}")

    def whole(self, option: str, given: object, least: int = 1) -> None:
        """Refuse what is no whole number of at least ``least``."""
        fits = isinstance(given, int) and not isinstance(given, bool) and given >= least
        self.check(option, given, fits, f"a whole number, at least {least}")

    def window(self, option: str, given: object) -> None:
        """Refuse what is no side of a neighbourhood that has a middle."""
        fits = isinstance(given, int) and given % 2 == 1 and given >= 3
        self.check(option, given, fits, "an odd number of cells, at least 3")

    def choice(self, option: str, given: str, choices: Any) -> None:
        """Refuse what is none of the ``choices``, a ``Literal``."""
        if given not in get_args(choices):
            raise ConfigError(f"{self.component}: " + unknown(f"{option} option", given, list(get_args(choices))))
