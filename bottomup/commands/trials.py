"""The trainings of one combination: learning rates tried, then a seed each."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from bottomup.benchmark.cells import training_key
from bottomup.commands import train
from bottomup.commands.setting import dataset_of, make_predictor
from bottomup.commands.validation import Judge
from bottomup.data.dataset import Dataset
from bottomup.engine.checkpoint import load_checkpoint
from bottomup.engine.distributed import Ranks
from bottomup.engine.settings import Settings
from bottomup.errors import TrainingError
from bottomup.evaluation.run import evaluate_dataset
from bottomup.predictor import Predictor

# What a training depends on; not the decoder, so that those of one network share it.
_MODEL = ("backbone", "necks", "heads", "trained", "given", "freeze", "input_size", "side", "init")
_PARTS = (*_MODEL, "data", "augment", "engine", "limit")
_LAST = 5  # logged losses that count as the last one


@dataclass(frozen=True)
class Trial:
    """One training that is finished."""

    weights: Path
    learning_rate: float
    steps: int
    images: int  # drawn, all steps together
    first_loss: float
    last_loss: float
    figures: dict[str, float]  # heads' own beside the losses, as tags/between, of the last steps


def trials(config: dict[str, Any], folder: Path) -> list[Trial]:
    """A training of each seed, at the learning rate that does best with the first; what is finished is not trained again."""
    seed = int(config["seed"])
    rates = [float(rate) for rate in config["learning_rates"] or [config["engine"]["optimiser"]["lr"]]]
    best = _best_rate(config, rates, seed, folder) if len(rates) > 1 else rates[0]
    return [_trained(config, best, seed + more, folder) for more in range(int(config["seeds"]))]


def _best_rate(config: dict[str, Any], rates: Sequence[float], seed: int, folder: Path) -> float:
    """The learning rate that does best after ``learning_rate_steps``; TrainingError where none can be trained at."""
    steps = config["learning_rate_steps"] or config["engine"]["steps"]
    config = {**config, "engine": config["engine"] | {"steps": steps}}
    reached: dict[float, float] = {}
    failed: TrainingError | None = None
    for rate in rates:
        try:
            reached[rate] = _validated(config, _trained(config, rate, seed, folder))
        except TrainingError as error:  # its loss is not finite: too high a rate, which the others may do without
            failed = error
    if failed and not reached:
        raise failed
    return max(reached, key=reached.__getitem__)


def _trained(config: dict[str, Any], rate: float, seed: int, folder: Path) -> Trial:
    """Train with one learning rate and seed, or take what is there: whole, or interrupted, which goes on."""
    engine = config["engine"] | {"optimiser": config["engine"]["optimiser"] | {"lr": rate}, "validate_every": 0, "log_every": 10}
    own = {**config, "engine": engine, "seed": seed, "weights": None}
    output = folder / f"{training_key(own, _PARTS)}-seed{seed}"
    last = output / "last.pt"
    if not (output / "metrics.json").is_file():
        train.run({**own, "output": str(output), "resume": last.is_file()})
    logged = [entry for entry in map(json.loads, (output / "log.jsonl").read_text().splitlines()) if "loss" in entry]
    losses, steps = [entry["loss"] for entry in logged], int(engine["steps"])
    images = steps * int(engine["batch_size"])
    return Trial(last, rate, steps, images, losses[0], fmean(losses[-_LAST:]), _figures(logged[-_LAST:]))


def _figures(logged: Sequence[Mapping[str, float | None]]) -> dict[str, float]:
    """The mean of each figure that heads log beside their losses; of those that no logged step has, none."""
    names = {name: None for entry in logged for name in entry if "/" in name and not name.startswith("loss/")}
    values = {name: [value for entry in logged if (value := entry.get(name)) is not None] for name in names}
    return {name: fmean(own) for name, own in values.items() if own}


def _validated(config: dict[str, Any], trial: Trial) -> float:
    """How good a learning rate is: ``engine.best`` on the validation split, of losses the negative.

    Figures are those of the configuration's own decoder and oracle; the loss is the same for all that share a training.
    """
    settings = Settings.of(config["engine"])
    data = {key: value for key, value in config["data"].items() if key != "split"}
    dataset = dataset_of({**config, "data": data}, "val", config["validation"]["limit"])
    predictor = trained_predictor(config, trial, dataset)
    if settings.best_is_least:
        judge = Judge(config, dataset, None, settings, Ranks(device=predictor.device))
        figure = -judge.losses(predictor.model)[settings.best]
    else:
        options: dict[str, Any] = {"workers": int(config["workers"]), "max_people": int(config["max_people"])}
        figure = evaluate_dataset(predictor, dataset, oracle=config["oracle"], **options).metrics[settings.best]
    return -math.inf if math.isnan(figure) else figure  # undefined is no reason to choose it


def trained_predictor(config: dict[str, Any], trial: Trial, dataset: Dataset) -> Predictor:
    """A trained network with the decoder that is configured: its checkpoint may name another's, with which it was shared."""
    checkpoint = load_checkpoint(trial.weights)
    return make_predictor({**config, "weights": str(trial.weights)}, checkpoint, dataset.task)
