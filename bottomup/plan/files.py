"""Where the YAML files lie, and what of them can be chosen."""

from __future__ import annotations

import importlib.resources
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

SEARCHPATH = "hydra.searchpath"  # where else YAML files lie; the one key of Hydra's own that does something here


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


def shipped(group: str) -> list[str]:
    """What ships of a group of files, ``demo/personlab`` of experiments; files that begin with _ are parts of others."""
    folder = config_folder() / group
    files = (path.relative_to(folder).with_suffix("") for path in folder.rglob("*.yaml"))
    return sorted(path.as_posix() for path in files if not path.name.startswith("_"))


def choices(group: str, overrides: Sequence[str] = ()) -> list[str]:
    """What can be chosen of a group: what ships, and what lies in the folders of plug-ins and of ``hydra.searchpath``.

    The last is looked for among the ``overrides``. Asks Hydra, which takes a second; ``shipped`` does not.
    """
    searched = [override for override in overrides if override.startswith(f"{SEARCHPATH}=")]
    return _searched(group, searched) if searched else list(_of_packages(group))


@cache
def _of_packages(group: str) -> tuple[str, ...]:
    """What can be chosen of a group where no folder is named, which is the same as long as a process lasts."""
    return tuple(_searched(group, []))


def _searched(group: str, searched: list[str]) -> list[str]:
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.object_type import ObjectType

    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()

        def below(folder: str) -> Iterator[str]:
            for name in loader.get_group_options(folder, ObjectType.CONFIG, "train", searched):
                yield f"{folder}/{name}".removeprefix(f"{group}/")
            for name in loader.get_group_options(folder, ObjectType.GROUP, "train", searched):
                yield from below(f"{folder}/{name}")

        return sorted(name for name in below(group) if not name.rpartition("/")[2].startswith("_"))


def available() -> list[str]:
    """The methods that ship."""
    return shipped("method")
