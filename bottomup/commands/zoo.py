"""``bottomup zoo``: published networks that run by name, ``bottomup zoo NAME`` all that is known of one.

Each name goes where a checkpoint does: ``bottomup predict weights=NAME images=photos``, ``bottomup train init=NAME``. At its first
use a network is downloaded and imported; ``bottomup zoo NAME fetch=true`` does that alone, as where a machine has no network later.
"""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from bottomup.errors import ConfigError, unknown
from bottomup.zoo.entries import Entry, entries, entry_named, licence_said
from bottomup.zoo.home import VARIABLE, checkpoint_path, download_folder, home, is_here

_FETCH = "fetch"
_WIDTH = 110  # of a text in details, in characters
HEADING = ("name", "method", "keypoints", "parameters", "published AP", "licence", "")


def run(arguments: Sequence[str] = ()) -> dict[str, Any]:
    """Print the table, or what is known of the networks named, and fetch those; returns the names that were told of."""
    asked, fetch = _asked(arguments)
    if not asked:
        print(table(entries()))
        print("\nAP is what the authors print, of most with flip=true, which is not switched on by itself")
        print(f"bottomup zoo NAME tells more; files are kept in {home()} ({VARIABLE})")
    for entry in asked:
        if fetch:
            from bottomup.zoo.weights import imported

            print(imported(entry))
        else:
            print("\n".join(details(entry)))
    return {"names": [entry.name for entry in asked or entries()]}


def _asked(arguments: Sequence[str]) -> tuple[list[Entry], bool]:
    """The networks that are named, and whether they are to be fetched; ConfigError for anything else."""
    options = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
    if _FETCH in arguments:
        raise ConfigError(f"say {_FETCH}=true, as in `bottomup zoo NAME {_FETCH}=true`")
    named = [entry_named(argument) for argument in arguments if "=" not in argument]
    for option, value in options.items():
        if option != _FETCH:
            raise ConfigError(unknown("option", option, [_FETCH]))
        if value.lower() not in ("true", "false"):
            raise ConfigError(f"{_FETCH} should be true or false, got {value!r}")
    fetch = options.get(_FETCH, "false").lower() == "true"
    if fetch and not named:
        raise ConfigError(f"say what is to be fetched: bottomup zoo NAME {_FETCH}=true")
    return named, fetch


def table(networks: Iterable[Entry]) -> str:
    """A line for each network, in columns."""
    rows = [HEADING, *((*cells(entry), state(entry)) for entry in networks)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def cells(entry: Entry) -> tuple[str, ...]:
    """Name, method, keypoints, parameters, the first published AP and the licence."""
    first = next(iter(entry.published), None)
    return (
        ", ".join(entry.names),
        entry.method,
        str(entry.keypoints),
        f"{entry.parameters:.1f} M",
        f"{first.AP:.3f} {first.images}" if first else "none",
        entry.licence,
    )


def state(entry: Entry) -> str:
    """Where the network is now."""
    if is_here(entry):
        return "here"
    return "to download" if entry.url else "by hand"


def details(entry: Entry) -> Iterator[str]:
    """What is known of a network, and how it is used."""
    yield f"{', '.join(entry.names)}: {entry.about}"
    for what, text in _told(entry):
        first, *more = textwrap.wrap(text, _WIDTH, break_long_words=False, break_on_hyphens=False)
        yield f"  {what:14} {first}"
        yield from (f"  {'':14} {line}" for line in more)


def _told(entry: Entry) -> Iterator[tuple[str, str]]:
    yield "licence", licence_said(entry)
    yield "method", f"{entry.method}, {entry.keypoints} keypoints ({entry.skeleton}), {entry.parameters:.1f} M parameters"
    yield "architecture", f"bottomup train {shlex.join(entry.architecture)}"
    for figure in entry.published:
        yield "published", f"AP {figure.AP:.3f} on {figure.images}: {figure.protocol}"
    if entry.figures:
        yield "figures", entry.figures
    flip = "; type flip=true as well for the first figure, it is not switched on by itself" if entry.flip else ""
    yield "runs with", f"decoder={entry.decoder} input_size={entry.input_size} side={entry.side}{flip}"
    yield "source", entry.source
    yield "file", f"{entry.url or f'{entry.file}, by hand from {entry.by_hand}'}"
    yield "checked", f"SHA-256 begins with {entry.sha256}" if entry.sha256 else "SHA-256, none is published, as when it first came"
    yield "where", f"{checkpoint_path(entry) if checkpoint_path(entry).is_file() else download_folder(entry)}: {state(entry)}"
    for paper in entry.citation:
        yield "cite", paper
    yield "use", entry.use or f"bottomup predict weights={entry.name} images=photos"
