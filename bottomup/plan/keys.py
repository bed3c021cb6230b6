"""Which keys there are at every level of a configuration, and what somebody meant who typed another."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from bottomup.errors import ConfigError, nearest, unknown
from bottomup.fitting import group
from bottomup.options import annotations_of, former_paths, resolved
from bottomup.plan.files import read_yaml
from bottomup.plan.overrides import key_of, typed_paths
from bottomup.plan.schema import Configuration, Loading

# Of a head, read by the assembly.
WIRING = ("neck", "level", "weight", "stage_reduction", "share_stages", "last_stage", "prediction")

# What other programs call it.
_OTHER_WORDS: dict[str, tuple[str, ...]] = {
    "epochs": ("engine.steps",), "learning_rate": ("engine.optimiser.lr",), "optimizer": ("engine.optimiser",),
    "gpu": ("device",), "gpus": ("device",), "cuda": ("device",), "num_workers": ("workers",),
    "checkpoint": ("weights", "init"), "ckpt": ("weights", "init"), "weights": ("init",), "model": ("method",),
    "dataset": ("data",), "imgsz": ("input_size",), "image_size": ("input_size",), "img_size": ("input_size",),
    "source": ("images",), "input": ("images",), "image": ("images",), "out": ("output",), "output_dir": ("output",),
    "threshold": ("score_threshold",), "conf": ("score_threshold",),
}  # fmt: skip

_MOST_MEANT = 3  # keys in a question
_NEAR_ELSEWHERE = 0.8  # difflib's likeness, where a name may stand anywhere: 'floor' of a schedule is 0.75 like 'foo'
_MOST_LISTED = 40  # names of a level in an error
_Path = tuple[str, ...]
Names = Collection[str] | None  # None: anything

# Parts that a command's file has because methods and experiments speak of them, but that the command does not read.
_OF_TRAINING = ("augment", "engine", "validation")
_OF_WEIGHTS = (*_OF_TRAINING, "data")
_UNREAD = {"evaluate": _OF_TRAINING, "predict": _OF_WEIGHTS, "track": _OF_WEIGHTS, "export": _OF_WEIGHTS, "page": _OF_WEIGHTS}


@cache
def parts_chosen(command: str) -> dict[str, str | None]:
    """The parts of a command's configuration that are chosen by a file's name, with the choice where nothing is typed."""
    defaults = read_yaml(command).get("defaults", [])
    return {part: name for entry in defaults if isinstance(entry, dict) for part, name in entry.items()}


@cache
def keys_read(command: str) -> tuple[str, ...]:
    """The first names of all keys that a command reads."""
    own = [key for key in read_yaml(command) if key != "defaults"]
    return tuple(key for key in [*parts_chosen(command), *own] if key not in _UNREAD.get(command, ()))


# ---- components ----------------------------------------------------------------------------------------------------------


def names_at(path: Sequence[str], config: Mapping[str, Any]) -> Names:
    """The names that may stand below a path of a configuration; ConfigError where a component there is unknown.

    Imports components, torch among what they need.
    """
    of_command = _group_of_command(path[0]) if len(path) == 1 else None
    if of_command is not None:
        return of_command
    if tuple(path) == ("engine", "optimiser"):
        from bottomup.engine.optim import optimiser_options

        return optimiser_options(str(_at(config, path).get("name", "adam")))
    constructor = _constructor(tuple(path), config)
    own = None if constructor is None else _options(constructor)
    return None if own is None else {*own, *_read_elsewhere(tuple(path))}


def _group_of_command(key: str) -> Names:
    """The keys of a group that commands read themselves, as ``validation``; None for a key that is none."""
    kind = group(resolved(Configuration).get(key))
    return None if kind is None else annotations_of(kind).keys()


def _read_elsewhere(path: _Path) -> Collection[str]:
    """What stands among a component's options and is not its constructor's."""
    match path:
        case ("backbone",):
            return ("name", "neck")
        case ("data",):
            return ("name", "split", *resolved(Loading))
        case ("heads", _):
            return ("name", *WIRING)
        case ("decoder",) | ("backbone", "neck") | ("necks", _):
            return ("name",)
        case _:
            return ()


def _constructor(path: _Path, config: Mapping[str, Any]) -> Callable[..., object] | None:
    """Whose options stand below a path: a component's, the settings', or a group of such; None where whatever comes does."""
    from bottomup.engine.settings import Settings
    from bottomup.samples.augment import Augment
    from bottomup.tracking import Tracker

    settings: dict[_Path, Callable[..., object]] = {
        ("augment",): Augment,
        ("engine",): Settings,
        ("tracker",): Tracker,
    }
    if path in settings:
        return settings[path]
    match path:
        case ("backbone",) | ("backbone", "neck") | ("decoder",) | ("data",) | ("necks", _) | ("heads", _):
            return _component(path, config)
        case (*above, name) if above:
            outer = _constructor(tuple(above), config)
            return None if outer is None else group(annotations_of(outer).get(name))
        case _:
            return None


def _component(path: _Path, config: Mapping[str, Any]) -> Callable[..., object] | None:
    from bottomup.contracts import BACKBONES, DECODERS, HEADS, NECKS
    from bottomup.dataset import DATASETS

    registries: dict[str, Any] = {
        "backbone": BACKBONES, "decoder": DECODERS, "data": DATASETS, "heads": HEADS, "necks": NECKS, "backbone.neck": NECKS
    }  # fmt: skip
    name = _at(config, path).get("name") or (path[-1] if path[0] in ("heads", "necks") else None)
    return None if name is None else registries.get(".".join(path), registries[path[0]])[str(name)]


def _options(component: Callable[..., object]) -> Names:
    """What a constructor takes by keyword alone; None where that is whatever comes."""
    parameters = inspect.signature(component).parameters.values()
    return None if any(p.kind is p.VAR_KEYWORD for p in parameters) else annotations_of(component).keys()


def _at(config: Mapping[str, Any], path: Sequence[str]) -> Mapping[str, Any]:
    """What a configuration holds at a path; nothing where it holds no mapping there."""
    found: Any = config
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _places(config: Mapping[str, Any]) -> list[_Path]:
    """Where a configuration may hold named components, and settings."""
    several = [(part, name) for part in ("heads", "necks") for name in _at(config, [part])]
    engine = [("engine", part) for part in ("optimiser", "schedule", "average")]
    return [("backbone",), ("backbone", "neck"), ("decoder",), ("data",), *several, *engine]


# ---- what was typed ------------------------------------------------------------------------------------------------------


def check_first_names(command: str, overrides: Sequence[str], defaults: Callable[[], Mapping[str, Any]]) -> None:
    """Refuse keys that a command does not have at all, before any file is composed.

    ``defaults`` composes the configuration where nothing is typed, whose keys may be meant.
    """
    known = keys_read(command)
    dashed = [key_of(override) for override in overrides if override.startswith("-")]
    if dashed:
        raise ConfigError(_unknown((dashed[0],), _all_keys(command, defaults()), None, command))
    for path in typed_paths(overrides):
        inside = _group_of_command(path[0])
        if path[0] not in known or (inside is not None and len(path) > 1 and path[1] not in inside):
            raise ConfigError(_unknown(path, _all_keys(command, defaults()), None, command))


def check_typed(config: Mapping[str, Any], overrides: Sequence[str], command: str = "train") -> None:
    """Refuse what was typed of a component or of settings that is no key of those; ConfigError names the one that was meant."""
    for path in typed_paths(overrides):
        for depth in range(1, len(path)):
            known = names_at(path[:depth], config)
            if known is not None and path[depth] not in known:
                now = _present_path(path, depth, config)
                if now is not None:
                    raise ConfigError(f"no key named {'.'.join(path)!r}; did you mean {now}?")
                level = (_called(path[:depth], config), known)
                raise ConfigError(_unknown(path, _all_keys(command, config), level, command))


def options_of_heads(overrides: Sequence[str]) -> list[tuple[str, str]]:
    """The names of heads, and of their options, that were typed one by one: (tags, dim) of ``heads.tags.dim=2``.

    Not those of a mapping, ``heads.tags={dim: 2}``, which adds a head.
    """
    paths = [path for path in typed_paths(overrides) if path[0] == "heads" and len(path) > 1]
    added = {path[1] for path in paths if len(path) == 2}
    return [(path[1], path[2]) for path in paths if len(path) > 2 and path[1] not in added]


def check_heads_there(overrides: Sequence[str], there: Collection[str], remedy: str = "") -> None:
    """Refuse options of a head that is not among those ``there`` are; ConfigError, which ends in the ``remedy``."""
    for name, option in options_of_heads(overrides):
        if name not in there:
            said = unknown("head of this model", name, sorted(there))
            raise ConfigError(f"heads.{name}.{option}: {said}{remedy.format(name=name)}")


def _called(path: _Path, config: Mapping[str, Any]) -> str:
    """A level of the configuration as a person says it: ``data=synthetic`` where that is the data set's name."""
    name = _at(config, path).get("name")
    return f"{path[0]}={name}" if name and path in (("backbone",), ("data",), ("decoder",)) else ".".join(path)


def _present_path(path: _Path, depth: int, config: Mapping[str, Any]) -> str | None:
    """The path that an option has now which was typed by its former name; None where it never had that."""
    constructor = _constructor(path[:depth], config)
    present = None if constructor is None else former_paths(annotations_of(constructor)).get(path[depth])
    return None if present is None else ".".join((*path[:depth], present))


def without_leftovers(config: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Without the options, nowhere typed, that files or a checkpoint gave to another component than the one that was typed."""
    paths = typed_paths(overrides)
    for place in _places(config):
        options = _at(config, place)
        if options and ({place, (*place, "name")} & set(paths)):
            known = names_at(place, config)
            kept = {path[len(place)] for path in paths if path[: len(place)] == place and len(path) > len(place)}
            if known is not None:
                _at(config, place[:-1])[place[-1]] = {  # type: ignore[index]  # plain data are dictionaries
                    name: value for name, value in options.items() if name in known or name in kept
                }
    return config


def _all_keys(command: str, config: Mapping[str, Any]) -> list[str]:
    """Every key that a command reads, at every level, as far as its components are known."""
    return [".".join(path) for key in keys_read(command) for path in [(key,), *_keys_below((key,), config)]]


def _keys_below(path: _Path, config: Mapping[str, Any]) -> Iterator[_Path]:
    try:
        names = names_at(path, config) or (_at(config, path) if path in (("heads",), ("necks",)) else ())
    except ConfigError:  # of a component that is refused elsewhere
        return
    for name in names:
        yield (*path, name)
        yield from _keys_below((*path, name), config)


def _unknown(path: _Path, keys: Sequence[str], level: tuple[str, Collection[str]] | None, command: str) -> str:
    """That there is no such key, and which one was meant, else which there are."""
    key = ".".join(path)
    near = _meant(key, keys)
    if near:
        dashes = " Keys are written without dashes" if key.startswith("-") else ""
        return f"no key named {key!r}; did you mean {' or '.join(near)}?{dashes}"
    if level is not None and len(level[1]) <= _MOST_LISTED:
        return f"no key named {key!r}; {level[0]} has {', '.join(sorted(level[1]))}"
    return f"no key named {key!r}; `bottomup {command} --help` lists the keys that there are"


def _meant(key: str, keys: Sequence[str]) -> list[str]:
    """The keys of the same last name, likest first, else what is spelt most alike, beside the key before elsewhere."""
    above, _, last = key.lstrip("-").rpartition(".")
    lasts = {known: known.rpartition(".")[2] for known in keys}
    other = [known for known in _OTHER_WORDS.get(last, ()) if known in keys]
    same = [known for known in keys if lasts[known] == last]
    if other or same:
        return other[:1] or sorted(same, key=lambda known: -_alike(key, known))[:_MOST_MEANT]
    beside = {lasts[known]: known for known in keys if known.rpartition(".")[0] == above}
    near = nearest(last, [*beside, *(name for name in lasts.values() if _alike(last, name) >= _NEAR_ELSEWHERE)])
    if near and near[0] in beside:
        return [beside[near[0]]]
    return [known for known in keys if lasts[known] in near][:_MOST_MEANT]


def _alike(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other).ratio()
