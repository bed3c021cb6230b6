"""The sequential parts that an exported file may name, and how their options become plain data and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from typing import Any, get_type_hints

from bottomup.fitting import group
from bottomup.grouping.boxed import BoxGrouping
from bottomup.grouping.found import Grouping
from bottomup.grouping.tag_masks import MaskGrouping
from bottomup.grouping.tags import TagGrouping
from bottomup.grouping.walked import PosenetGrouping, SeedGrouping
from bottomup.skeletons import Skeleton

KINDS: dict[str, type[Grouping]] = {
    kind.__name__: kind for kind in (TagGrouping, SeedGrouping, PosenetGrouping, BoxGrouping, MaskGrouping)
}
_SKELETON = "skeleton"


def plain_options(grouping: Grouping) -> dict[str, Any]:
    """The options of a sequential part as plain data, without the skeleton."""
    options = {entry.name: getattr(grouping, entry.name) for entry in fields(grouping)}  # type: ignore[arg-type]  # a dataclass
    return {
        name: asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
        for name, value in options.items()
        if name != _SKELETON
    }


def grouping_of(kind: str, options: Mapping[str, object], skeleton: Skeleton | None) -> Grouping:
    """The inverse of ``plain_options``; KeyError for a kind and TypeError for options that there are not."""
    made = KINDS[kind]
    hints = get_type_hints(made, include_extras=True)
    given: dict[str, Any] = dict(options)
    for name, value in options.items():
        own = group(hints.get(name))
        if own is not None and isinstance(value, Mapping):
            given[name] = own(**value)
    return made(**given, **({_SKELETON: skeleton} if _SKELETON in hints else {}))
