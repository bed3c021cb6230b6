"""Hydra's errors in one line, with what was probably meant."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bottomup.errors import nearest
from bottomup.plan.files import choices

_HELP = ("Set the environment", "full_key", "object_type", "Config search")  # what its help texts begin with
_MOST_LISTED = 10  # choices beside the one that was meant


def quoted(override: str) -> str:
    """What to type instead of an override that Hydra's grammar cannot read: most often a value with brackets, commas or blanks."""
    said = " ".join(override.removeprefix("++").splitlines())  # which options of components get before Hydra sees them
    key, equals, value = said.partition("=")
    if not equals:
        return f"{said!r} is no override; expected KEY=VALUE"
    if not re.fullmatch(r"[+~]*[\w./@:$-]+", key):
        return f"{key!r} is no key; a key is names with dots between them, and what holds for all is typed without a pattern"
    example = f"{key}='{value}'"
    return f'{said!r} cannot be read; a value with brackets, commas or the like is quoted twice: "{example}"'


def message(error: BaseException, overrides: Sequence[str] = ()) -> str:
    """Hydra's own words, on few lines, without its help texts; ours for the errors that people meet most.

    ``overrides`` are those that the error comes of, which may name further folders of files.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    kept = [line for line in lines if not line.startswith(_HELP)]
    own = _no_choice(" ".join(kept), overrides) or _several_values(" ".join(kept)) or _other_shape(" ".join(kept))
    if own:
        return own
    cause = str(error.__cause__).splitlines()[:1] if error.__cause__ is not None else []
    detail = f" ({cause[0]})" if cause and cause[0] and cause[0] not in kept else ""
    return "; ".join(kept[:3]) + detail


def _no_choice(text: str, overrides: Sequence[str]) -> str:
    """That a part has no such choice, and which was meant, else which there are."""
    found = re.search(r"Could not find '(\w+)/([^']*)'", text)
    if not found:
        return ""
    group, name = found.groups()
    known = choices(group, overrides)
    near = [choice for choice in known if choice.startswith(f"{name}/")] or nearest(name, known)
    meant = f"; did you mean {' or '.join(f'{group}={choice}' for choice in near)}?" if near and name else ""
    listed = "`bottomup list configs` names them all" if meant and len(known) > _MOST_LISTED else f"known: {', '.join(known)}"
    return f"no {group} named {name!r}{meant} ({listed})"


def _several_values(text: str) -> str:
    """That only a benchmark tries several values, and how a list is written."""
    found = re.search(r"Ambiguous value for argument '([^=]*)=([^']*)'", text)
    if not found:
        return ""
    key, values = found.groups()
    return (
        f"{key}={values} has several values, which only bottomup benchmark tries one by one; "
        f'a list is written "{key}=[{values}]", a text with commas "{key}=\'{values}\'"'
    )


def _other_shape(text: str) -> str:
    """That a list stands where a mapping should, or the other way round."""
    found = re.search(r"Error merging override \+*([^=]+)=([\[{].*)", text)
    if not found:
        return ""
    key, value = found.groups()
    if value.startswith("["):
        return f'{key} should be a mapping, as "{key}={{NAME: VALUE}}", got the list {value}'
    return f'{key} should be a list, as "{key}=[VALUE]", got the mapping {value}'
