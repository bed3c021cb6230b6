"""Where the YAML files lie, and what of them can be chosen."""

from __future__ import annotations

import importlib.resources
from functools import cache
from pathlib import Path
from typing import Any

import yaml


def beside_package(packaged: str, in_checkout: str) -> Path:
    """A folder of files that ship: in the installed package, or beside it in a checkout."""
    package = Path(str(importlib.resources.files("bottomup")))
    return package / packaged if (package / packaged).is_dir() else package.parent / in_checkout


def config_folder() -> Path:
    """Where the YAML files lie."""
    return beside_package("configs", "configs")


@cache
def read_yaml(name: str) -> dict[str, Any]:
    """What one of the files says by itself, ``train`` or ``engine/default``; not to be changed."""
    return dict(yaml.safe_load((config_folder() / f"{name}.yaml").read_text()))


def choices(group: str) -> list[str]:
    """What can be chosen of a group of files, ``demo/personlab`` of experiments; files that begin with _ are parts of others."""
    folder = config_folder() / group
    files = (path.relative_to(folder).with_suffix("") for path in folder.rglob("*.yaml"))
    return sorted(path.as_posix() for path in files if not path.name.startswith("_"))


def available() -> list[str]:
    """The methods that there are configurations of."""
    return choices("method")
