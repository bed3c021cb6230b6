"""Several trainings one after another, of which each may start from earlier ones, and the model that they make together."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from bottomup.errors import ConfigError, unknown
from bottomup.options import check_values, resolved
from bottomup.plan.composing import load_config
from bottomup.plan.overrides import key_of, overrides_of, parts_of
from bottomup.plan.schema import StageOptions
from bottomup.plan.training import TrainPlan, saved_run

# Keys that are of the chain as a whole, never of one of its trainings.
_OF_THE_CHAIN = ("experiment", "output", "overwrite", "resume", "show", "stages")


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One training of a chain, and the earlier ones whose best weights it starts from, by name."""

    plan: TrainPlan
    after: tuple[str, ...] = ()
    takes: tuple[str, ...] | None = None  # the typed keys that hold for it, too; None: all

    def plain(self) -> dict[str, Any]:
        """As plain data."""
        takes = None if self.takes is None else list(self.takes)
        return {"after": list(self.after), "takes": takes, **self.plan.plain()}


@dataclass(frozen=True, kw_only=True)
class ChainPlan:
    """Trainings by name, in order; ``whole`` is the model that gets the weights of those that no other one starts from."""

    stages: Mapping[str, Stage]
    whole: TrainPlan

    def __post_init__(self) -> None:
        names = list(self.stages)
        for place, (name, stage) in enumerate(self.stages.items()):
            for earlier in stage.after:
                if earlier not in names[:place]:
                    raise ConfigError(f"stages.{name}.after: " + unknown("stage before it", earlier, names[:place]))

    @classmethod
    def of(cls, config: Mapping[str, Any], overrides: Sequence[str]) -> Self:
        """The chain of a configuration with ``stages``: what was typed holds for each, unless it is of another's ``stages.NAME``.

        ConfigError for what does not fit.
        """
        _refuse_misspelt(
            overrides, [name for name, options in config["stages"].items() if not _typed_alone(name, options, overrides)]
        )
        stages = {name: _composed(name, options or {}, overrides) for name, options in config["stages"].items()}
        return cls(stages=stages, whole=TrainPlan.of(config))

    @classmethod
    def resumed(cls, saved: Mapping[str, Any], overrides: Sequence[str]) -> Self:
        """The chain that a folder's configuration says, with what is typed on top; ConfigError for what does not fit."""
        _refuse_misspelt(overrides, list(saved["stages"]))
        stages = {name: _again(name, own, overrides) for name, own in saved["stages"].items()}
        return cls(stages=stages, whole=_on_top(saved, [text for text in overrides if parts_of(text)[0] != "stages"]))

    @property
    def last(self) -> tuple[str, ...]:
        """The stages that no other one starts from."""
        begun = {name for stage in self.stages.values() for name in stage.after}
        return tuple(name for name in self.stages if name not in begun)

    def plain(self) -> dict[str, Any]:
        """As plain data, from which ``resumed`` makes it again."""
        return {**self.whole.plain(), "stages": {name: stage.plain() for name, stage in self.stages.items()}}


def training_plan(overrides: Sequence[str] = ()) -> TrainPlan | ChainPlan:
    """What ``bottomup train`` does with overrides: one training, or a chain; ConfigError for what does not fit."""
    config = load_config("train", overrides)
    return ChainPlan.of(config, overrides) if config.get("stages") else TrainPlan.of(config)


def resumed_training(folder: Path, overrides: Sequence[str]) -> TrainPlan | ChainPlan:
    """What the run in ``folder`` was started with, a training or a chain, and what is typed on top.

    Where a method or an experiment is typed, what is typed is all. ConfigError for what does not fit.
    """
    saved = saved_run(folder, overrides)
    if saved is None:
        return training_plan(overrides)
    return ChainPlan.resumed(saved, overrides) if saved.get("stages") else _on_top(saved, overrides)


def typed_for(name: str, overrides: Sequence[str], takes: Sequence[str] | None = None) -> list[str]:
    """What of a command line holds for one stage: of all stages what it ``takes`` (None: everything), then its own."""
    general = [text for text in overrides if parts_of(text)[0] not in _OF_THE_CHAIN and (takes is None or _among(text, takes))]
    prefix = f"stages.{name}."
    return [*general, *(text.replace(prefix, "", 1) for text in overrides if key_of(text).startswith(prefix))]


def _typed_alone(name: str, options: Mapping[str, Any] | None, overrides: Sequence[str]) -> bool:
    """Whether a stage is there only as options of it were typed, one by one: no file says anything of it."""
    typed = {key_of(text) for text in typed_for(name, overrides, ())}
    return bool(typed) and {key_of(text) for text in overrides_of(options or {})} <= typed


def _refuse_misspelt(overrides: Sequence[str], known: list[str]) -> None:
    """ConfigError where an option of a stage is typed that there is not."""
    for text in overrides:
        match parts_of(text):
            case ["stages", name, _, *_] if name not in known:
                raise ConfigError(f"{key_of(text)}: " + unknown("stage", name, known))


def _composed(name: str, options: Mapping[str, Any], overrides: Sequence[str]) -> Stage:
    """One stage: what its file says, with what was typed on top."""
    known = resolved(StageOptions)
    own = {key: value for key, value in options.items() if key in known}
    check_values(f"stages.{name}", own, known)
    said = overrides_of({key: value for key, value in options.items() if key not in known})
    after, takes = own.get("after") or (), own.get("takes")
    typed = [text for text in typed_for(name, overrides, takes) if key_of(text) not in known]
    typed = [text for text in typed if not after or key_of(text) != "init"]  # which is where the chain begins
    with _named(name):
        plan = TrainPlan.of(load_config("train", [*said, *typed]))
    return Stage(plan=plan, after=tuple(after), takes=None if takes is None else tuple(takes))


def _again(name: str, saved: Mapping[str, Any], overrides: Sequence[str]) -> Stage:
    """One stage as it was saved, with what was typed on top."""
    takes = saved["takes"]
    with _named(name):
        plan = _on_top(saved, typed_for(name, overrides, takes))
    return Stage(plan=plan, after=tuple(saved["after"]), takes=None if takes is None else tuple(takes))


@contextlib.contextmanager
def _named(stage: str) -> Iterator[None]:
    """Say in errors of which stage they are."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"stage {stage}: {error}") from error


def _among(override: str, takes: Sequence[str]) -> bool:
    """Whether an override is of one of some keys, or of what lies below."""
    path = ".".join(parts_of(override))
    return any(path == key or path.startswith(f"{key}.") for key in takes)


def _on_top(saved: Mapping[str, Any], overrides: Sequence[str]) -> TrainPlan:
    """A saved run's plan with what is typed on top."""
    return TrainPlan.of(load_config("train", overrides, {**saved, "overwrite": False}))
