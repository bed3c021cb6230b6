"""Configurations become components; only ``load_config`` knows Hydra."""

from __future__ import annotations

import importlib.resources
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import islice, product
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from bottomup.assembly import HeadSpec, assemble
from bottomup.configuration import Configuration, Loading
from bottomup.data.dataset import DATASETS, Dataset
from bottomup.data.kept import kept
from bottomup.data.subset import Subset
from bottomup.errors import ConfigError
from bottomup.model import PoseModel
from bottomup.options import annotations_of, check_options, check_value, check_values, resolved
from bottomup.paths import with_home
from bottomup.registry import Registry
from bottomup.stages import BACKBONES, DECODERS, HEADS, NECKS, Decoder
from bottomup.types import Task

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override

T = TypeVar("T")

_WIRING = ("name", "neck", "level", "weight", "stage_reduction", "share_stages")  # of a head, read by the composer
_OF_THE_LOADER = resolved(Loading)  # of a data set's options
_COMPONENTS = (
    "backbone",
    "necks",
    "heads",
    "decoder",
    "decoders",
    "data",
    "augment",
    "engine",
    "head_scales",
)  # their options are checked when built
MODEL_KEYS = (
    "method",
    "backbone",
    "necks",
    "heads",
    "decoder",
    "given",
    "freeze",
    "input_size",
    "side",
    "head_scales",
)  # what a checkpoint carries


def compose_model(config: Mapping[str, Any], task: Task) -> tuple[PoseModel, Decoder]:
    """Build the model and the decoder that a configuration describes; ConfigError for whatever does not fit.

    Reads ``backbone`` (with its own ``neck``), ``necks``, ``heads``, ``decoder``, ``trained``, ``given`` and ``freeze``.
    """
    backbone_options = dict(config.get("backbone") or {})
    neck_options = {name: dict(options) for name, options in (config.get("necks") or {}).items()}
    own_neck = backbone_options.pop("neck", None)
    check_value("backbone.neck", own_neck, Mapping[str, Any] | None)
    default_neck = None
    if own_neck:
        default_neck = "preset"
        neck_options = {default_neck: dict(own_neck)} | neck_options
    decoder = build(DECODERS, config.get("decoder") or {}, "decoder", task)()
    model = assemble(
        build(BACKBONES, backbone_options, "backbone")() if backbone_options else None,
        task,
        {name: _head_spec(name, options or {}) for name, options in (config.get("heads") or {}).items()},
        necks={name: _neck(name, options) for name, options in neck_options.items()},
        default_neck=default_neck,
        decoder=decoder,
        trained=config.get("trained"),
        given=config.get("given") or (),
        freeze=config.get("freeze") or (),
    )
    return model, decoder


def _head_spec(name: str, options: Mapping[str, Any]) -> HeadSpec:
    wiring = {key: value for key, value in options.items() if key in _WIRING and key != "name"}
    check_values(f"heads.{name}", wiring, resolved(HeadSpec))
    if isinstance(wiring.get("level"), list):
        wiring["level"] = tuple(wiring["level"])
    own = {key: value for key, value in options.items() if key not in _WIRING}
    head = HEADS[str(options.get("name", name))]
    check_options(f"heads.{name}", head, own, extra=_WIRING)
    return HeadSpec(partial(head, **own), **wiring)


def _neck(name: str, options: Mapping[str, Any]) -> Callable[..., Any]:
    settings = dict(options)
    neck = NECKS[str(settings.pop("name", name))]
    check_options(f"necks.{name}", neck, settings)
    return partial(neck, **settings)


def build(
    registry: Registry[T], options: Mapping[str, Any], where: str, *wiring: object, extra: Sequence[str] = ()
) -> Callable[[], T]:
    """A constructor call of the component that ``options["name"]`` names, its options checked; ``extra`` are read elsewhere."""
    settings = dict(options)
    if "name" not in settings:
        raise ConfigError(f"{where}: no `name`; known {registry.kind}s: {', '.join(registry.names())}")
    component = registry[str(settings.pop("name"))]
    check_options(where, component, settings, extra)
    return partial(component, *wiring, **settings)


def compose_dataset(options: Mapping[str, Any], split: str, limit: int | None = None) -> Dataset:
    """Build a data set of one split.

    "train[100:]" is the split "train" without its first hundred images, "train[:100]" those. ``min_people`` among the options
    chooses images with so many people who have keypoints, ``limit`` the first of those; ``keep`` holds the samples in
    memory, once for all equal options within ``sharing``.
    """
    own = {key: value for key, value in options.items() if key not in _OF_THE_LOADER}
    check_values("data", {key: value for key, value in options.items() if key not in own}, _OF_THE_LOADER)
    whole, part = _part_of(split)
    dataset = build(DATASETS, own | {"split": whole}, "data", extra=list(_OF_THE_LOADER))()
    fewest = int(options.get("min_people") or 0)
    if part != slice(None) or limit is not None or fewest:
        chosen = islice((index for index in range(len(dataset))[part] if _annotated(dataset, index, fewest)), limit)
        dataset = Subset(dataset, list(chosen))
    return kept(dataset, (repr(options), split, limit)) if options.get("keep") else dataset


def _part_of(split: str) -> tuple[str, slice]:
    """The split's name and which of its images are meant."""
    if "[" not in split:
        return split, slice(None)
    read = re.fullmatch(r"(.+)\[(\d*):(\d*)\]", split)
    if read is None:
        raise ConfigError(f"split {split!r}: a part of a split is written as in train[100:], train[:100] or train[100:200]")
    name, start, stop = read.groups()
    return name, slice(int(start) if start else None, int(stop) if stop else None)


def _annotated(dataset: Dataset, index: int, fewest: int) -> bool:
    return fewest == 0 or int((dataset.people(index).visibility > 0).any(1).sum()) >= fewest


# ---- Hydra ---------------------------------------------------------------------------------------------------------------


def config_folder() -> Path:
    """Where the YAML files lie: in the installed package, or beside it in a checkout."""
    packaged = Path(str(importlib.resources.files("bottomup"))) / "configs"
    return packaged if packaged.is_dir() else packaged.parent.parent / "configs"


def load_config(command: str, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Compose the configuration of a command with Hydra overrides into plain data; ConfigError for what its keys cannot be."""
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException, OverrideParseException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        with initialize_config_dir(str(config_folder()), version_base="1.3"):
            composed = compose(command, overrides=[_as_option(with_home(override)) for override in overrides])
            if "decoder" in composed:  # before anything that refers to it is resolved
                decoder, named = (OmegaConf.to_container(OmegaConf.create(composed[key])) for key in ("decoder", "decoders"))
                OmegaConf.update(composed, "decoder", _settled(decoder, named, overrides), merge=False, force_add=True)
            plain = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)
    except OverrideParseException as error:
        raise ConfigError(_quoted(error.override)) from error
    except (HydraException, OmegaConfBaseException, ValueError) as error:  # ValueError: Hydra's for backbone=3
        raise ConfigError(_hydra_message(error)) from error
    assert isinstance(plain, dict)
    config = {str(key): value for key, value in plain.items()}
    keys = resolved(Configuration)
    check_values("", {key: value for key, value in config.items() if key in keys}, keys)  # what others there are Hydra knows
    for name, options in (config.get("decoders") or {}).items():
        check_values(f"decoders.{name}", options, annotations_of(DECODERS[name]))
    return config


def _settled(decoder: Any, named: Any, overrides: Sequence[str]) -> Any:
    """The chosen decoder's options with what ``decoders`` says of it: it yields to them, but not where the command line says it."""
    if not isinstance(decoder, Mapping) or not isinstance(named, Mapping):
        return decoder
    options = named.get(decoder.get("name"))
    defaults = options if isinstance(options, Mapping) else {}
    return {**defaults, **decoder, **_said_of_decoder(decoder, named, overrides)}


def _said_of_decoder(decoder: Mapping[str, Any], named: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """What ``decoders.NAME.window=5`` on a command line says of the decoder, unless ``decoder.window=`` says otherwise."""
    name, parts = str(decoder.get("name")), [_parts(override) for override in overrides]
    options = named.get(name)
    if not isinstance(options, Mapping):
        return {}
    own = {path[1] for path in parts if path[0] == "decoder" and len(path) > 1}
    said = [path[2:3] for path in parts if path[0] == "decoders" and path[1:2] in ([], [name])]
    return {option: value for option, value in options.items() if option not in own and ([] in said or [option] in said)}


def key_of(override: str) -> str:
    """The option that an override sets: ``decoder.window`` of ``++decoder.window=5``."""
    return override.lstrip("+~").partition("=")[0]


def _parts(override: str) -> list[str]:
    """The names that lead to what an override sets; a group's, ``backbone/neck@there``, too."""
    return key_of(override).split("@")[0].replace("/", ".").split(".")


def value_of(override: str) -> str | None:
    """What an override sets its option to, as text: ``a b`` of ``output='a b'``; ConfigError where it has several values."""
    (entry,) = _parsed([override])
    if entry.is_sweep_override():
        raise ConfigError(f"{override!r} should have one value; commas within it are quoted twice")
    value = entry.value()
    return value if value is None or isinstance(value, str) else override.partition("=")[2]


def sweep(overrides: Sequence[str]) -> list[list[str]]:
    """Every combination of overrides that have several values, ``a=1,2 b=x`` as [[a=1, b=x], [a=2, b=x]]; lists stay lists."""
    choices = []
    for entry, override in zip(_parsed(overrides), overrides, strict=True):
        key = override.partition("=")[0]
        choices.append([f"{key}={value}" for value in entry.sweep_string_iterator()] if entry.is_sweep_override() else [override])
    return [list(combination) for combination in product(*choices)]


def _parsed(overrides: Sequence[str]) -> list[Override]:
    """Overrides as Hydra reads them; ConfigError where it cannot."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        return OverridesParser.create().parse_overrides([with_home(override) for override in overrides])
    except HydraException as error:
        raise ConfigError(_hydra_message(error)) from error


def _as_option(override: str) -> str:
    """Let ``decoder.window=5`` set an option that no YAML lists: the component checks its options, with better words."""
    part, dot, _ = override.partition("=")[0].partition(".")
    return f"++{override}" if dot and part in _COMPONENTS else override


def _quoted(override: str) -> str:
    """What to type instead of an override that Hydra's grammar cannot read: most often a value with brackets, commas or blanks."""
    said = override.removeprefix("++")  # which load_config puts before components' options
    key, equals, value = said.partition("=")
    if not equals:
        return f"{said!r} is no override; expected KEY=VALUE"
    quoted = f"{key}='{value}'"
    return f'{said!r} cannot be read; a value with brackets, commas or the like is quoted twice: "{quoted}"'


def _hydra_message(error: BaseException) -> str:
    """Hydra's own words, on few lines, without its help texts."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    kept = [line for line in lines if not line.startswith(("Set the environment", "full_key", "object_type", "Config search"))]
    cause = error.__cause__
    detail = (
        f" ({str(cause).splitlines()[0]})" if cause is not None and str(cause) and str(cause).splitlines()[0] not in kept else ""
    )
    return "; ".join(kept[:3]) + detail + _nearest_choice(kept)


def _nearest_choice(lines: list[str]) -> str:
    """Where a group's choice is misspelt, the nearest ones: Hydra lists all without judging."""
    import difflib
    import re

    found = re.search(r"Could not find '(\w+)/([\w-]+)'", " ".join(lines)) or re.search(
        r"In '.*': Could not find '(\w+)/([\w-]+)'", " ".join(lines)
    )
    if not found:
        return ""
    known = sorted(path.stem for path in (config_folder() / found[1]).glob("*.yaml"))
    near = difflib.get_close_matches(found[2], known, n=1)
    return f"; did you mean {found[1]}={near[0]}?" if near else ""


def merge_overrides(saved: Mapping[str, Any], composed: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """A checkpoint's model configuration with what the user said on the command line on top.

    ``decoder.window=5`` or ``backbone.output_stride=8`` changes one option of the saved model, ``decoder=NAME`` the whole part,
    ``decoders.NAME.window=5`` an option of that decoder, should it be the one.
    """
    merged = {key: _copy(value) for key, value in saved.items()}
    for override in overrides:
        parts = _parts(override)
        if parts[0] not in MODEL_KEYS:
            continue
        if parts == ["method"] and saved.get("method") != composed.get("method"):
            raise ConfigError(f"the checkpoint holds {saved.get('method')!r}, not {composed.get('method')!r}; leave method= out")
        target, source = merged, composed
        for part in parts[:-1]:
            target, source = target.setdefault(part, {}), source[part]
        if parts[-1] in source and parts != ["method"]:
            target[parts[-1]] = _copy(source[parts[-1]])
    decoder = merged.get("decoder") or {}
    return merged | {"decoder": decoder | _said_of_decoder(decoder, composed.get("decoders") or {}, overrides)}


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copy(entry) for key, entry in value.items()}
    return [_copy(entry) for entry in value] if isinstance(value, (list, tuple)) else value


# ---- by name -------------------------------------------------------------------------------------------------------------


def available() -> list[str]:
    """The methods that there are configurations of."""
    return sorted(path.stem for path in (config_folder() / "method").glob("*.yaml"))


def without_pretraining(config: Mapping[str, Any]) -> dict[str, Any]:
    """A model's configuration for weights that come from a checkpoint: nothing is loaded twice."""
    backbone = {key: value for key, value in (config.get("backbone") or {}).items() if key not in ("pretrained", "weights")}
    return {**config, "backbone": backbone}
