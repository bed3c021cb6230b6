"""What ``bottomup train`` is to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import yaml

from bottomup.engine.settings import Settings
from bottomup.errors import ConfigError
from bottomup.plan.composing import load_config
from bottomup.plan.data import DataPlan
from bottomup.plan.groups import Validating
from bottomup.plan.model import ModelPlan
from bottomup.plan.overrides import key_of
from bottomup.plan.parts import Place


@dataclass(frozen=True, kw_only=True)
class TrainPlan:
    """A model, the images that it learns from, how they vary, and how it is trained and judged on the way."""

    model: ModelPlan
    data: DataPlan
    augment: Mapping[str, Any]  # options of samples.augment.Augment
    engine: Settings
    validation: Validating = field(default_factory=Validating)
    place: Place = field(default_factory=Place)
    limit: int | None = None  # images of the training set
    init: tuple[str, ...] = ()  # checkpoints whose matching tensors are taken over
    resume: bool = False
    overwrite: bool = False

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Self:
        """The plan that a configuration makes; ConfigError for what does not fit."""
        init = config.get("init") or ()
        return cls(
            model=ModelPlan.of(config),
            data=DataPlan.of(config["data"]),
            augment=dict(config["augment"]),
            engine=Settings.of(config["engine"]),
            validation=Validating.of(config.get("validation")),
            place=Place.of(config),
            limit=config.get("limit"),
            init=(init,) if isinstance(init, str) else tuple(init),
            resume=bool(config.get("resume")),
            overwrite=bool(config.get("overwrite")),
        )

    def carried(self) -> dict[str, Any]:
        """What a checkpoint carries: the model, and the data that it is of."""
        return self.model.carried() | {"data": self.data.carried()}

    def plain(self) -> dict[str, Any]:
        """As plain data, from which ``of`` makes it again."""
        return {
            **self.model.plain(),
            **self.place.plain(),
            "data": self.data.plain(),
            "augment": dict(self.augment),
            "engine": self.engine.plain(),
            "validation": self.validation.plain(),
            "limit": self.limit,
            "init": list(self.init),
            "resume": self.resume,
            "overwrite": self.overwrite,
        }


def train_plan(overrides: Sequence[str] = ()) -> TrainPlan:
    """The plan of ``bottomup train`` with overrides; ConfigError for what does not fit."""
    return TrainPlan.of(load_config("train", overrides))


def saved_run(folder: Path, overrides: Sequence[str]) -> dict[str, Any] | None:
    """The configuration that the run in ``folder`` was started with; None where there is none, or what is typed says it all.

    That is so where a method or an experiment is typed. ConfigError where the folder's is of no training.
    """
    file = folder / "config.yaml"
    if not file.is_file() or {"method", "experiment"} & set(map(key_of, overrides)):
        return None
    try:
        saved = yaml.safe_load(file.read_text())
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{file}: not YAML: {' '.join(str(error).split())}; give the options of the run again") from error
    if not isinstance(saved, dict) or "engine" not in saved:
        raise ConfigError(f"resume=true, but {file} is of no training run; give the output= folder of the interrupted run")
    return saved
