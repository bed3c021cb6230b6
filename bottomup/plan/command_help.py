"""What ``bottomup COMMAND --help`` prints: what a command does and its keys, with what fits, default and meaning.

Nothing here imports torch: kinds are the schema's, defaults and meanings those of the YAML files.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from bottomup.fitting import group, words
from bottomup.options import annotations_of
from bottomup.plan.files import config_folder, read_yaml, shipped
from bottomup.plan.keys import keys_read, parts_chosen
from bottomup.plan.schema import kinds_of

# A key means the same in every command; what it means stands where the first of these files has it.
_FILES = ("train", "evaluate", "predict", "track", "export", "page", "benchmark", "report")
_LINE = re.compile(r"(?P<indent> *)(?:- )?(?P<key>\w+):(?:[^#]*?)(?:\s#\s(?P<meaning>.*))?")
_ENGINE = "engine/default"
_FEW = 8  # choices that are named

_KEYS = 44  # columns of a key with its default
_FITS = 34  # columns of what fits


def command_help(command: str, module: Path, config: str | None) -> str:
    """The help of a command whose function stands in ``module`` and whose keys are those of the file ``config``."""
    about = ast.get_docstring(ast.parse(module.read_text())) or ""
    said = " ".join(about.split()).replace("``", "`")
    if config is None:
        return f"{said}\n"
    usage = f"bottomup {command} [KEY=VALUE ...]"
    return "\n".join([usage, "", said, "", *_chosen(config), "", "KEY=DEFAULT, what fits, and what it means:", *_own(config), ""])


def _chosen(config: str) -> Iterator[str]:
    """The parts that are chosen by the name of a file."""
    read = {part: name for part, name in parts_chosen(config).items() if part in keys_read(config)}
    if read:
        yield "Chosen by name, each with options of its own (PART=NAME PART.OPTION=VALUE; bottomup list configs names all):"
    for part, name in read.items():
        known = shipped(part)
        told = f"{meaning_of(config, part)}: {', '.join(known)}" if len(known) <= _FEW else meaning_of(config, part)
        yield f"  {f'{part}={_plain(name)}':{_KEYS}} {told}"


def _own(config: str) -> Iterator[str]:
    """The keys whose values are typed, those of an inner level behind their part."""
    for key, default in _defaults(config).items():
        yield _line(key, default, _fits(config, key), meaning_of(config, key))
    if "engine" in keys_read(config):
        for key, default in read_yaml(_ENGINE).items():
            yield _line(f"engine.{key}", default, _kind_of(default), _meanings(_ENGINE).get(key, ""))


def _line(key: str, default: Any, fits: str, meaning: str) -> str:
    return f"  {f'{key}={_plain(default)}':{_KEYS}} {fits:{_FITS}}  {meaning}".rstrip()


def _plain(value: Any) -> str:
    """A value as it is typed."""
    return yaml.safe_dump(value, default_flow_style=True, width=1000).splitlines()[0].strip("'")


def _defaults(config: str) -> dict[str, Any]:
    """The keys of a command's file with their values, inner ones with their path."""
    flat: dict[str, Any] = {}
    for key, value in read_yaml(config).items():
        if key != "defaults" and key in keys_read(config):
            inner = isinstance(value, Mapping) and value
            flat |= {f"{key}.{name}": entry for name, entry in value.items()} if inner else {key: value}
    return flat


def _fits(config: str, key: str) -> str:
    """What fits a key, as the schema says."""
    part, _, inner = key.partition(".")
    kind = kinds_of(config)[part]
    inside = group(kind)
    return " or ".join(words(annotations_of(inside)[inner] if inner and inside else kind, plural=False))


def _kind_of(default: Any) -> str:
    """What fits where the default is all that is known of that."""
    return {bool: "true or false", int: "a whole number", str: "a text", dict: "a mapping"}.get(type(default), "")


def meaning_of(config: str, key: str) -> str:
    """What the files say that a key means; nothing where none does."""
    return next((found[key] for found in map(_meanings, (config, *_FILES)) if key in found), "")


@cache
def _meanings(file: str) -> dict[str, str]:
    """The comments behind the keys of a file; an inner key with its path."""
    found: dict[str, str] = {}
    part = ""
    for line in (config_folder() / f"{file}.yaml").read_text().splitlines():
        read = _LINE.fullmatch(line)
        if read is None:
            continue
        key = read["key"]
        part = part if read["indent"] else key
        path = key if part in (key, "defaults") else f"{part}.{key}"
        if read["meaning"]:
            found[path] = read["meaning"]
    return found
