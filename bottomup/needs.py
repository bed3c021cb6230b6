"""What must run for the outputs that are wanted: pure functions of a model's heads, by name and in order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bottomup.contracts import requirements
from bottomup.geometry import Grid
from bottomup.head_stack import HeadStack

Heads = Mapping[str, HeadStack]


def keys_of(heads: Heads, names: Iterable[str]) -> set[str]:
    """The keys that heads of these names provide."""
    return {key for name in names for key in heads[name].last.provides}


def running(heads: Heads, wanted: Iterable[str], given: Iterable[str] = ()) -> list[str]:
    """The heads that must run, in order, for the ``wanted`` keys where those of ``given`` are known.

    Backwards from the last: a head runs if it provides a key that is needed, and then needs what it reads of the heads before.
    """
    known = set(given)
    needed = set(wanted) - known
    names = list(heads)
    found: list[str] = []
    for place, name in reversed(list(enumerate(names))):
        head = heads[name].last
        if needed.isdisjoint(head.provides):
            continue
        found.insert(0, name)
        available = known | keys_of(heads, names[:place])
        chosen = (requirement.choose(available) for requirement in requirements(head.requires))
        needed |= {key for key in chosen if key is not None and key not in known}
    return found


def sources(heads: Heads, names: Iterable[str]) -> set[str]:
    """The necks, or the backbone itself, whose features heads of these names read."""
    return {source for name in names if (source := heads[name].reads) is not None}


def looking(heads: Heads, wanted: Iterable[str], oracle: Iterable[str] = ()) -> list[str]:
    """The heads with features from which all that is ``wanted`` comes, and those of ``oracle``, whose outputs are given."""
    oracle = set(oracle)
    needed = {*running(heads, wanted, keys_of(heads, oracle)), *oracle}
    return [name for name, stack in heads.items() if stack.reads and name in needed]


def grids(heads: Heads, names: Iterable[str]) -> list[Grid]:
    """The grids of all levels that these heads read and of all maps that they give, on all their stages."""
    found: list[Grid] = []
    for stack in (heads[name] for name in names):
        for head in map(stack.at, stack.stages):
            found += [*head.grids.values(), *(level.grid for level in (head.source.features or {}).values())]
    return found


def furthest(heads: Heads, names: Iterable[str]) -> dict[str, int]:
    """The last stage, counted from the end, that heads of these names read, of each part that they read."""
    found = dict[str, int]()
    for stack in (heads[name] for name in names):
        if stack.reads is not None:
            found[stack.reads] = max(found.get(stack.reads, stack.stages[-1]), stack.stages[-1])
    return found
