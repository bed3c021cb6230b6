"""YAML files and a command line become plain data, by Hydra."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bottomup.errors import ConfigError
from bottomup.options import annotations_of, check_values, resolved
from bottomup.paths import with_home
from bottomup.plan.files import available, config_folder
from bottomup.plan.hydra_errors import message, quoted
from bottomup.plan.overrides import key_of, parts_of, typed
from bottomup.plan.schema import Configuration, Loading
from bottomup.registry import Registry

# Parts whose options their constructors check, with better words than Hydra's.
_CHECKED_LATER = ("backbone", "necks", "heads", "decoder", "data", "augment", "engine", "head_scales")
_OF_ONE_COMPONENT = ("backbone", "decoder")  # parts of which a file says what one component is to be


def load_config(command: str, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Compose the configuration of a command with Hydra overrides into plain data; ConfigError for what its keys cannot be.

    Where the overrides choose a backbone or a decoder by name, ``decoder=prn``, its own file counts before what a method or an
    experiment says of that part; what those say of another component than the one chosen is left out.
    """
    composed = _composed(command, overrides)
    _settle(composed, command, overrides)
    config = _plain(composed)
    keys = resolved(Configuration)
    check_values("", {key: value for key, value in config.items() if key in keys}, keys)  # what others there are Hydra knows
    _check_method(overrides)
    return _without_leftovers(config, overrides)


def _composed(command: str, overrides: Sequence[str]) -> Any:
    """Hydra's own composition, open to changes; ConfigError for what it cannot compose."""
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException, OverrideParseException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        with initialize_config_dir(str(config_folder()), version_base="1.3"):
            composed = compose(command, overrides=[_as_option(with_home(override)) for override in overrides])
    except OverrideParseException as error:
        raise ConfigError(quoted(error.override)) from error
    except (HydraException, OmegaConfBaseException, ValueError) as error:  # ValueError: Hydra's for backbone=3
        raise ConfigError(message(error)) from error
    OmegaConf.set_struct(composed, False)
    return composed


def _as_option(override: str) -> str:
    """Let ``decoder.window=5`` set an option that no YAML lists."""
    part, dot, _ = override.partition("=")[0].partition(".")
    return f"++{override}" if dot and part in _CHECKED_LATER else override


def _settle(composed: Any, command: str, overrides: Sequence[str]) -> None:
    """Let the file of a part that was typed count before methods and experiments, and single options that were typed before all."""
    from omegaconf import OmegaConf

    own = {part: _file(part, name) for part, name in typed(overrides).items() if _is_file(part, name)}
    others = _composed(command, [text for text in overrides if key_of(text) not in own]) if own else composed
    for part, options in own.items():
        said = {} if _name(others, part) != options.get("name") else OmegaConf.to_container(composed[part])
        paths = [path for path in map(parts_of, overrides) if path[0] == part and len(path) > 1]
        values = [(".".join(path[1:]), OmegaConf.select(composed, ".".join(path))) for path in paths]
        composed[part] = OmegaConf.merge(said, options)
        for path, value in values:
            OmegaConf.update(composed[part], path, value, merge=False, force_add=True)


def _is_file(part: str, name: str) -> bool:
    return part in _OF_ONE_COMPONENT and (config_folder() / part / f"{name}.yaml").is_file()


def _file(part: str, name: str) -> Any:
    """What the file of a part says."""
    return _composed(f"{part}/{name}", ())[part]


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


def _without_leftovers(config: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Without the options, nowhere typed, that files gave to another component than the one that was typed."""
    paths = [parts_of(override) for override in overrides]
    for part in ("backbone", "decoder", "data"):
        options = config.get(part)
        renamed = any(path in ([part], [part, "name"]) for path in paths)
        if renamed and isinstance(options, Mapping) and options.get("name"):
            typed_here = {path[1] for path in paths if path[0] == part and len(path) > 1}
            known = _known(part, str(options["name"])) | typed_here
            config[part] = {name: value for name, value in options.items() if name in known}
    return config


def _known(part: str, name: str) -> set[str]:
    """The options of a component, and what of its part is read elsewhere."""
    from bottomup.contracts import BACKBONES, DECODERS
    from bottomup.dataset import DATASETS

    registries: dict[str, Registry[Any]] = {"backbone": BACKBONES, "decoder": DECODERS, "data": DATASETS}
    elsewhere = {"backbone": {"neck"}, "data": {"split", *resolved(Loading)}}
    return {"name"} | elsewhere.get(part, set()) | annotations_of(registries[part][name]).keys()
