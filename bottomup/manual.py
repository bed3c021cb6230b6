"""What a constructor's signature and docstring say of its options, for the catalogue and the pages of the API."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import MISSING, Field, dataclass
from typing import Any

from bottomup.fitting import choices, group, unit, words
from bottomup.options import annotations_of

REQUIRED = inspect.Parameter.empty  # the default of an option that has none
_SENTENCE = re.compile(r"(?<=\.)\s+(?=[A-Z`])|(?<=:)\s+(?=``)|;\s+(?=``)")  # after a full stop; a clause that names an option


@dataclass(frozen=True)
class Option:
    """One option: its path, in words what fits it, its unit, default and choices, and the sentence that says what it means."""

    path: str
    kind: str
    unit: str | None
    default: Any
    choices: tuple[str, ...]
    meaning: str | None

    def __str__(self) -> str:
        """``sigma: a number above 0 (input px) = 8.0``."""
        stated = f"{self.path}: {self.kind}"
        return stated if self.default is REQUIRED else f"{stated} = {self.default!r}"


def options_of(component: Callable[..., Any], prefix: str = "") -> Iterator[Option]:
    """Every option of a class or function, which is what is given by keyword alone; those of a group in its place."""
    meanings, annotations = sentences(component), annotations_of(component)
    parameters = inspect.signature(component).parameters
    for name, expected in annotations.items():
        inside = group(expected)
        if inside is not None:
            yield from options_of(inside, f"{prefix}{name}.")
        else:
            yield Option(
                path=f"{prefix}{name}",
                kind=" or ".join(words(expected)),
                unit=unit(expected),
                default=_default(component, name, parameters[name].default),
                choices=tuple(choices(expected)),
                meaning=_meaning(name, meanings),
            )


def sentences(component: Callable[..., Any]) -> list[str]:
    """The sentences of a docstring, each on one line."""
    paragraphs = (inspect.getdoc(component) or "").split("\n\n")
    return [text for paragraph in paragraphs for text in _SENTENCE.split(" ".join(paragraph.split()))]


def _meaning(name: str, said: list[str]) -> str | None:
    """The sentence that begins with an option's name in double backticks, else the first that has it."""
    named = [text for text in said if f"``{name}``" in text]
    return next((text for text in named if text.startswith(f"``{name}``")), next(iter(named), None))


def _default(component: Callable[..., Any], name: str, stated: Any) -> Any:
    """An option's default; what a dataclass makes anew is shown as made."""
    field: Field[Any] | None = getattr(component, "__dataclass_fields__", {}).get(name)
    return field.default_factory() if field is not None and field.default_factory is not MISSING else stated
