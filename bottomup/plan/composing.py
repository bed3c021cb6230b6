"""YAML files and a command line become plain data, by Hydra."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from bottomup.errors import ConfigError, of_system
from bottomup.options import check_values
from bottomup.paths import with_home
from bottomup.plan.files import SEARCHPATH, available, choices, config_folder
from bottomup.plan.hydra_errors import message, quoted
from bottomup.plan.keys import check_first_names, check_heads_there, check_typed, options_of_heads, parts_chosen, without_leftovers
from bottomup.plan.overrides import check_search_path, key_of, parts_of, spelt_out, typed
from bottomup.plan.schema import kinds_of

_OF_PROGRAMS = ("job_logging", "hydra_logging", "help", "hydra_help", "output", "launcher", "sweeper", "env")
_WITHOUT = [f"~hydra/{part}" for part in _OF_PROGRAMS]  # of programs that Hydra starts; to read them takes a quarter of the time
_OF_ONE_COMPONENT = ("backbone", "decoder")  # parts of which a file says what one component is to be


def load_config(command: str, overrides: Sequence[str] = (), saved: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Compose the configuration of a command with Hydra overrides into plain data; ConfigError for what its keys cannot be.

    Where the overrides choose a backbone or a decoder by name, ``decoder=prn``, its own file counts before what a method or an
    experiment says of that part; what those say of another component than the one chosen is left out. ``saved`` is an earlier
    run's configuration, of which all holds that is not typed.
    """
    overrides = [spelt_out(override.lstrip("+")) for override in overrides]  # whether there is such a key is checked all the same
    check_search_path(overrides)
    check_first_names(command, overrides, lambda: load_config(command))
    composed = _composed(command, overrides)
    _settle(composed, command, overrides)
    config = _plain(composed)
    if saved is not None:
        config = with_typed(saved, config, overrides)
    keys = kinds_of(command)
    check_values("", {key: value for key, value in config.items() if key in keys}, keys)  # what others there are Hydra knows
    _check_method(overrides)
    config = without_leftovers(config, overrides)
    if not _waits_for_weights(command, overrides):
        _check_heads(saved, config, command, overrides)
        check_typed(config, overrides, command)
    return config


def _check_heads(saved: Mapping[str, Any] | None, config: Mapping[str, Any], command: str, overrides: Sequence[str]) -> None:
    """Refuse options of heads that nothing else speaks of, which would make heads of them."""
    typed_alone = dict[str, set[str]]()
    for name, option in options_of_heads(overrides):
        typed_alone.setdefault(name, set()).add(option)
    if any(_below(config, ("heads", name)).keys() <= options for name, options in typed_alone.items()):
        others = [override for override in overrides if parts_of(override)[:2] not in [["heads", name] for name in typed_alone]]
        there = (_composed(command, others) if saved is None else saved).get("heads") or {}
        check_heads_there(overrides, list(there), "; a mapping adds one, as heads.{name}={{name: HEAD}}")


def with_typed(saved: Mapping[str, Any], composed: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """What was saved, with what was typed, as it is composed, on top.

    ``decoder.window=5`` or ``backbone.output_stride=8`` changes one option of what was saved, ``decoder=NAME`` the whole part,
    ``~heads.tags`` leaves it out. What is typed of parts that ``composed`` does not have is of others.
    """
    merged: dict[str, Any] = {key: _copied(value) for key, value in saved.items()}
    for override in overrides:
        *above, last = parts_of(override)
        target, source = _below(merged, above, make=True), _below(composed, above)
        if override.startswith("~"):
            target.pop(last, None)
        elif last in source:
            target[last] = _copied(source[last])
    return merged


def _below(config: Any, path: Sequence[str], make: bool = False) -> dict[str, Any]:
    """What lies at a path, one that is made on the way where asked for; nothing where there is none."""
    for name in path:
        inside = config.get(name)
        if not isinstance(inside, dict):
            inside = {}
            if make:
                config[name] = inside
        config = inside
    return config  # type: ignore[no-any-return]  # plain data are dictionaries


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copied(entry) for key, entry in value.items()}
    return [_copied(entry) for entry in value] if isinstance(value, (list, tuple)) else value


def _waits_for_weights(command: str, overrides: Sequence[str]) -> bool:
    """Whether a checkpoint will say which components there are, whose options cannot be judged before."""
    return command in ("predict", "track", "export") or "weights" in map(key_of, overrides)


def _composed(command: str | None, overrides: Sequence[str]) -> Any:
    """Hydra's own composition, open to changes, of a command's file or of none; ConfigError for what it cannot compose."""
    options = tuple(_as_option(with_home(override), command) for override in overrides)
    if SEARCHPATH in map(key_of, overrides):  # folders of one's own, whose files may change meanwhile
        return _by_hydra(config_folder(), command, options)
    return copy.deepcopy(_kept(config_folder(), command, options))


def _by_hydra(folder: Path, command: str | None, options: tuple[str, ...]) -> Any:
    """The same as Hydra composes it, of options in its own grammar."""
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException, OverrideParseException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        with initialize_config_dir(str(folder), version_base="1.3"):
            composed = compose(command, overrides=[*_WITHOUT, *options])
    except OverrideParseException as error:
        raise ConfigError(quoted(error.override)) from error
    except TypeError as error:  # Hydra's for decoder=[1]
        lists = [text.lstrip("+") for text in options if "[" in text]
        raise ConfigError(
            f"{', '.join(lists)}: a part is chosen by one name of a file, as in decoder=prn; take the brackets away"
        ) from error
    except (HydraException, OmegaConfBaseException, ValueError) as error:  # ValueError: Hydra's for backbone=3
        raise ConfigError(message(error, options)) from error
    except yaml.YAMLError as error:
        raise ConfigError(f"a file of the configuration is not YAML: {' '.join(str(error).split())}") from error
    except OSError as error:  # Hydra looks for files that are called as what was typed
        raise ConfigError(f"what is typed cannot be looked for: {of_system(error)}") from error
    except RecursionError as error:
        raise ConfigError("something in the configuration is nested too deeply; write it flat") from error
    OmegaConf.set_struct(composed, False)
    return composed


_kept = lru_cache(128)(_by_hydra)  # each takes Hydra a tenth of a second, and a benchmark or a chain asks for the same again


def _as_option(override: str, command: str | None) -> str:
    """Let ``decoder.window=5`` set an option that no YAML lists; parts that are chosen by a file's name are left to Hydra."""
    key = key_of(override)
    if command is None or override.startswith("~") or key.startswith("hydra.") or set("/@") & set(key):
        return override
    chosen = key in parts_chosen(command) and not override.partition("=")[2].lstrip().startswith("{")
    return override if chosen else f"++{override}"


def _settle(composed: Any, command: str, overrides: Sequence[str]) -> None:
    """Let the file of a part that was typed count before methods and experiments, and single options that were typed before all."""
    from omegaconf import OmegaConf

    named = {part: name for part, name in typed(overrides).items() if part in _OF_ONE_COMPONENT}
    own = {part: _file(part, name, overrides) for part, name in named.items() if name in choices(part, overrides)}
    others = _composed(command, [text for text in overrides if key_of(text) not in own]) if own else composed
    for part, options in own.items():
        said = {} if _name(others, part) != options.get("name") else OmegaConf.to_container(composed[part])
        paths = [path for path in map(parts_of, overrides) if path[0] == part and len(path) > 1]
        values = [(".".join(path[1:]), OmegaConf.select(composed, ".".join(path))) for path in paths]
        composed[part] = OmegaConf.merge(said, options)
        for path, value in values:
            OmegaConf.update(composed[part], path, value, merge=False, force_add=True)


def _file(part: str, name: str, overrides: Sequence[str]) -> Any:
    """What the file of a part says, wherever Hydra finds it."""
    places = [override for override in overrides if key_of(override) == SEARCHPATH]
    return _composed(None, [*places, f"+{part}={name}"])[part]


def _name(composed: Any, part: str) -> str | None:
    """The component that fills a part; None where nothing does."""
    return composed[part].get("name") if part in composed and isinstance(composed[part], Mapping) else None


def _plain(composed: Any) -> dict[str, Any]:
    """A composition as plain data, what refers to another value resolved; ConfigError where that is not there."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        plain = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise ConfigError(message(error)) from error
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def _check_method(overrides: Sequence[str]) -> None:
    """Refuse ``method=`` beside an experiment of another method."""
    said = typed(overrides)
    experiment, method = said.get("experiment", ""), said.get("method")
    folder, _, of = experiment.rpartition("/")
    if method and of in available() and method != of:
        raise ConfigError(
            f"experiment={experiment} is one of method {of}, not {method}; leave method= out, or give {folder}/{method}"
        )
