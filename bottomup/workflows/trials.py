"""The trainings of one combination: learning rates tried, then a seed each."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from bottomup.benchmark.cells import training_key
from bottomup.checkpoint import load_checkpoint
from bottomup.dataset import Dataset
from bottomup.engine.distributed import Ranks
from bottomup.errors import TrainingError
from bottomup.evaluation.run import evaluate_dataset
from bottomup.plan.benchmarking import BenchmarkPlan
from bottomup.predictor import Predictor
from bottomup.workflows.models import make_predictor
from bottomup.workflows.train import train
from bottomup.workflows.validation import Judge, validation_dataset

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


def trials(plan: BenchmarkPlan, folder: Path) -> list[Trial]:
    """A training of each seed, at the learning rate that does best with the first; what is finished is not trained again."""
    seed = plan.place.seed
    rates = plan.learning_rates or (plan.training.engine.optimiser.lr,)
    best = _best_rate(plan, rates, seed, folder) if len(rates) > 1 else rates[0]
    return [_trained(plan, best, seed + more, folder) for more in range(plan.seeds)]


def _best_rate(plan: BenchmarkPlan, rates: Sequence[float], seed: int, folder: Path) -> float:
    """The learning rate that does best after ``learning_rate_steps``; TrainingError where none can be trained at."""
    short = replace(plan.training.engine, steps=plan.learning_rate_steps or plan.training.engine.steps)
    plan = replace(plan, training=replace(plan.training, engine=short))
    reached: dict[float, float] = {}
    failed: TrainingError | None = None
    for rate in rates:
        try:
            reached[rate] = _validated(plan, _trained(plan, rate, seed, folder))
        except TrainingError as error:  # its loss is not finite: too high a rate, which the others may do without
            failed = error
    if failed and not reached:
        raise failed
    return max(reached, key=reached.__getitem__)


def _trained(plan: BenchmarkPlan, rate: float, seed: int, folder: Path) -> Trial:
    """Train with one learning rate and seed, or take what is there: whole, or interrupted, which goes on."""
    engine = plan.training.engine
    engine = replace(engine.at_rate(rate), validate_every=0, log_every=10)
    own = replace(plan.training, engine=engine, place=replace(plan.place, seed=seed))
    output = folder / f"{training_key(own.plain(), _PARTS)}-seed{seed}"
    last = output / "last.pt"
    if not (output / "metrics.json").is_file():
        train(replace(own, place=replace(own.place, output=str(output)), resume=last.is_file(), overwrite=not last.is_file()))
    logged = [entry for entry in map(json.loads, (output / "log.jsonl").read_text().splitlines()) if "loss" in entry]
    losses, images = [entry["loss"] for entry in logged], engine.steps * engine.batch_size
    return Trial(last, rate, engine.steps, images, losses[0], fmean(losses[-_LAST:]), _figures(logged[-_LAST:]))


def _figures(logged: Sequence[Mapping[str, float | None]]) -> dict[str, float]:
    """The mean of each figure that heads log beside their losses; of those that no logged step has, none."""
    names = {name: None for entry in logged for name in entry if "/" in name and not name.startswith("loss/")}
    values = {name: [value for entry in logged if (value := entry.get(name)) is not None] for name in names}
    return {name: fmean(own) for name, own in values.items() if own}


def _validated(plan: BenchmarkPlan, trial: Trial) -> float:
    """How good a learning rate is: ``engine.best`` on the validation split, of losses the negative.

    Figures are those of the configuration's own decoder and oracle; the loss is the same for all that share a training.
    """
    dataset, best = validation_dataset(plan.training), plan.training.engine.best
    predictor = trained_predictor(plan, trial, dataset)
    if plan.training.engine.best_is_least:
        judge = Judge(plan.training, dataset, None, Ranks(device=predictor.device))
        figure = -judge.losses(predictor.model)[best]
    else:
        judged = evaluate_dataset(predictor, dataset, oracle=plan.oracle, workers=plan.place.workers, max_people=plan.max_people)
        figure = judged.metrics[best]
    return -math.inf if math.isnan(figure) else figure  # undefined is no reason to choose it


def trained_predictor(plan: BenchmarkPlan, trial: Trial, dataset: Dataset) -> Predictor:
    """A trained network with the decoder that is configured: its checkpoint may name another's, with which it was shared."""
    checkpoint, device = load_checkpoint(trial.weights), plan.place.chosen_device()
    return make_predictor(plan.model, plan.viewing, device, checkpoint, dataset.task, str(trial.weights))
