"""``bottomup COMMAND … show=true``: the configuration as a command would have it, as YAML."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import yaml

from bottomup.commands import benchmark, evaluate, export, predict, train
from bottomup.errors import ConfigError
from bottomup.plan.imputing import impute_plan
from bottomup.plan.judging import evaluate_plan
from bottomup.plan.overrides import key_of, value_of
from bottomup.plan.reporting import report_plan
from bottomup.plan.training import train_plan
from bottomup.zoo.weights import is_to_fetch

Plain = dict[str, Any]

_PLANS: Mapping[str, Callable[[Sequence[str]], Plain]] = {
    "train": lambda said: train.planned(said).plain(),
    "combine": lambda said: train_plan(said).plain(),
    "show_targets": lambda said: train_plan(said).plain(),
    "evaluate": lambda said: evaluate.planned(said)[0].plain(),
    "doctor": lambda said: evaluate_plan(said).plain(),
    "predict": lambda said: predict.planned(said)[0].plain(),
    "impute": lambda said: impute_plan(said).plain(),
    "export": lambda said: export.planned(said)[0].plain(),
    "report": lambda said: asdict(report_plan(said)),
}


def run(command: str, overrides: Sequence[str]) -> None:
    """Print what the overrides come to; of a benchmark each combination. ConfigError for commands without a configuration.

    Nothing is fetched for it: ConfigError where a network of the zoo would have to be.
    """
    for override in overrides:
        if key_of(override) == "weights" and (name := value_of(override)) and is_to_fetch(name):
            raise ConfigError(
                f"{name} is not here yet, and its checkpoint says the rest; bottomup zoo {name} fetch=true, then this"
            )
    print("---\n".join(yaml.safe_dump(_bare(plain), sort_keys=False) for plain in _plans(command, overrides)), end="")


def _plans(command: str, overrides: Sequence[str]) -> Iterator[Plain]:
    if command == "benchmark":
        yield from (plan.plain() for plan in benchmark.planned(overrides))
    elif command in _PLANS:
        yield _PLANS[command](overrides)
    else:
        raise ConfigError(f"bottomup {command} has no configuration to show; see bottomup {command} --help")


def _bare(value: Any) -> Any:
    """Plain data as YAML has them, of which tuples are none."""
    if isinstance(value, Mapping):
        return {key: _bare(entry) for key, entry in value.items()}
    return [_bare(entry) for entry in value] if isinstance(value, (list, tuple)) else value
