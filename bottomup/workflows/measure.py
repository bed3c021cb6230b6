"""What a row of ``bottomup benchmark`` says of one combination: trained or loaded, judged, shown and timed.

Networks are timed as `bottomup predict` runs them: channels last, at ``precision``; with ``measure.compile=true`` compiled.
"""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import Any

from bottomup.benchmark.exhibits import write_exhibits
from bottomup.benchmark.results import Row, file_hash
from bottomup.benchmark.speed import (
    block_latencies,
    compile_blocks,
    gigamacs,
    gigamacs_seen,
    matrix_share,
    peak_mebibytes,
    predict,
    sizes,
    throughput,
    training_rate,
)
from bottomup.checkpoint import Checkpoint
from bottomup.dataset import Dataset
from bottomup.engine.distributed import ranks
from bottomup.errors import BottomupError, ConfigError
from bottomup.evaluation.limits import limits_of, warn_of_limits
from bottomup.evaluation.run import evaluate_dataset
from bottomup.plan.benchmarking import BenchmarkPlan
from bottomup.plan.training import TrainPlan
from bottomup.predictor import Predictor
from bottomup.samples.loader import collate
from bottomup.samples.workers import workers_alive
from bottomup.workflows.models import check_oracle, make_predictor, with_checkpoint, with_refiner
from bottomup.workflows.train import make_trainer
from bottomup.workflows.trials import Trial, trained_predictor, trials
from bottomup.zoo.weights import present_file

_KEYPOINTS = ("AP", "AP50", "AP75", "APM", "APL", "AR")
_INSTANCES = tuple(f"{kind}_AP{which}" for kind in ("mask", "box") for which in ("", "50", "75", "S", "M", "L"))
_FIGURES = (*_KEYPOINTS, *_INSTANCES, "segmentation_IoU")

Figures = dict[str, float | None]  # None: undefined, as AP of large people where there are none


def with_weights(plan: BenchmarkPlan, overrides: Sequence[str]) -> tuple[BenchmarkPlan, Checkpoint | None]:
    """The plan that holds, and the checkpoint of ``weights``; none where combinations are trained instead.

    ConfigError where a plan asks for both, or has options of trainings without one.
    """
    if plan.train:
        if plan.weights:
            raise ConfigError(
                "train=true trains each combination, weights= names one that is; give one, or init= to start from another"
            )
        return plan, None
    if plan.seeds != 1 or plan.learning_rates or plan.learning_rate_steps:
        raise ConfigError("seeds=, learning_rates= and learning_rate_steps= are of trainings; give train=true with them")
    model, checkpoint = with_checkpoint(plan.model, plan.weights, overrides)
    return plan.with_model(model), checkpoint


@workers_alive()
def measure(plan: BenchmarkPlan, checkpoint: Checkpoint | None, place: Path, trainings: Path) -> Row:
    """What a row says of a combination that composes; its pictures go to ``place``, trainings are or will be in ``trainings``."""
    dataset = judged_dataset(plan)
    found = _trained(plan, dataset, trainings) if plan.train else []
    predictors = [trained_predictor(plan, trial, dataset) for trial in found]
    predictors = predictors or [_loaded(plan, checkpoint, dataset)]
    check_oracle(predictors[0].models, plan.oracle)
    row: Row = {
        "judged": conditions(plan.plain(), len(dataset)),
        "training": _training(found),
        "weights_hash": None if found else file_hash(present_file(plan.weights)),
        **_accuracy(plan, predictors, dataset),
    }
    if plan.measure.pictures:
        write_exhibits(place, predictors[0], dataset, plan.measure.pictures, plan.oracle)
    return row | _timed(plan, predictors[0], dataset, checkpoint is not None)


def time_again(row: Row, plan: BenchmarkPlan, checkpoint: Checkpoint | None, trainings: Path) -> Row:
    """What a row says of the time of a combination that was measured before, of the weights that it has figures of."""
    dataset = judged_dataset(plan)
    if row["training"]:
        chosen = replace(plan, learning_rates=(row["training"]["learning_rate"],), seeds=1)
        predictor = trained_predictor(plan, trials(chosen, trainings)[0], dataset)
    else:
        predictor = _loaded(plan, checkpoint, dataset)
    return _timed(plan, predictor, dataset, checkpoint is not None)


def _loaded(plan: BenchmarkPlan, checkpoint: Checkpoint | None, dataset: Dataset) -> Predictor:
    return make_predictor(plan.model, plan.viewing, plan.place.chosen_device(), checkpoint, dataset.task, plan.weights)


def _trained(plan: BenchmarkPlan, dataset: Dataset, trainings: Path) -> list[Trial]:
    """The trainings of what composes and has the heads that are to be ideal, which is known before hours of training."""
    check_oracle(plan.model.without_pretraining().compose(dataset.task)[:1], plan.oracle)
    return trials(plan, trainings)


def reason_of(error: Exception) -> str:
    """An error of ours as it says itself, any other by its kind and first line."""
    if isinstance(error, BottomupError):
        return str(error)
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"


def conditions(composed: dict[str, Any], images: int | None = None) -> dict[str, Any]:
    """What figures are of, of a plan as plain data: the data set, its split, how many images of it, and how they are run."""
    data, judge = composed["data"], composed["judge"]
    split = judge["split"] or data.get("split") or data.get("val_split") or "val"
    names = ("input_size", "scales", "head_scales", "flip", "views", "precision")
    return {"data": data["name"], "split": split, "images": images} | {name: composed[name] for name in names if name in composed}


def judged_dataset(plan: BenchmarkPlan) -> Dataset:
    """The images that figures are of."""
    split = plan.judge.split
    data = plan.data if split is None else replace(plan.data, split=str(split))
    return data.dataset("val", plan.judge.limit)


def _untrained(plan: BenchmarkPlan, predictor: Predictor, loaded: bool) -> str:
    """Which heads decode, but with weights that nobody trained."""
    if loaded or (plan.train and plan.training.init):
        return ""
    model = predictor.model
    running = model.running(model.decoded, model.keys_of(plan.oracle))
    trained = model.trained if plan.train else ()
    untrained = [name for name in running if name not in trained and list(model.stack(name).parameters())]
    return f"not trained: {', '.join(untrained)}" if untrained else ""


def _accuracy(plan: BenchmarkPlan, predictors: Sequence[Predictor], dataset: Dataset) -> Row:
    """The figures, the mean over predictors, each of a seed; with ideal outputs those of the first."""
    first, oracle = predictors[0], plan.oracle
    limits = {"max_people": plan.max_people} | limits_of(first.model, first.decoder, oracle)
    warn_of_limits(dataset, limits, "are found and counted")
    judged = [_figures(plan, predictor, dataset, oracle) for predictor in predictors]
    heatmap = ["heatmap"] if "heatmap" in first.model.heads else []
    return {
        "figures": _joined(judged, fmean),
        "spread": _joined(judged, lambda values: max(values) - min(values)),
        "oracle": _figures(plan, first, dataset, _decoded_heads(first)),
        "grouping": _figures(plan, first, dataset, [*heatmap, *oracle]) if heatmap else {},
        "parameters": sizes(first.model, oracle),
    }


def _figures(plan: BenchmarkPlan, predictor: Predictor, dataset: Dataset, oracle: Sequence[str]) -> Figures:
    """Keypoint, box and mask AP and the foreground's IoU on the judged images, as far as a method finds such; refined if asked."""
    workers, most = plan.place.workers, plan.max_people
    refined = with_refiner(predictor, plan.viewing, plan.place.chosen_device())
    metrics = evaluate_dataset(refined, dataset, oracle=oracle, workers=workers, max_people=most).metrics
    return {name: None if math.isnan(metrics[name]) else metrics[name] for name in _FIGURES if name in metrics}


def _joined(judged: Sequence[Figures], join: Callable[[list[float]], float]) -> Figures:
    """The figures of several seeds as one each; undefined where one seed's is."""
    names = [name for name in _FIGURES if any(name in figures for figures in judged)]
    values = {name: [value for figures in judged if (value := figures.get(name)) is not None] for name in names}
    return {name: join(own) if len(own) == len(judged) else None for name, own in values.items()}


def _decoded_heads(predictor: Predictor) -> list[str]:
    """The heads whose outputs the decoder reads: with all of them ideal, what is missing is the decoder's."""
    return [name for name, stack in predictor.model.stacks() if predictor.model.decoded & stack.last.provides.keys()]


def _timed(plan: BenchmarkPlan, predictor: Predictor, dataset: Dataset, loaded: bool) -> Row:
    """Times, memory and sizes as far as they can be had, and the reason where that is not far enough."""
    row: Row = {"reason": _untrained(plan, predictor, loaded)}
    try:
        for part in _speed(plan, predictor, dataset, plan.measure.runs) if plan.measure.runs else ():
            row |= part
    except Exception as error:  # no memory left for a batch, no images to train on: what was measured stays
        if not isinstance(error, BottomupError):
            traceback.print_exc()
        row["reason"] = "; ".join(filter(None, (row["reason"], f"not timed whole: {reason_of(error)}")))
    return row


def _training(found: list[Trial]) -> Row | None:
    if not found:
        return None
    return {
        "learning_rate": found[0].learning_rate,
        "steps": found[0].steps,
        "images": found[0].images,
        "first_loss": fmean(trial.first_loss for trial in found),
        "last_loss": fmean(trial.last_loss for trial in found),
        "seeds": len(found),
        "figures": _mean_figures(found),
    }


def _mean_figures(found: Sequence[Trial]) -> dict[str, float]:
    """What heads logged beside their losses at the end, the mean over seeds; what one seed lacks is left out."""
    names = [name for name in found[0].figures if all(name in trial.figures for trial in found)]
    return {name: fmean(trial.figures[name] for trial in found) for name in names}


def _speed(plan: BenchmarkPlan, predictor: Predictor, dataset: Dataset, runs: int) -> Iterator[Row]:
    """Times, memory and multiply-adds, each as soon as it is known; of the first images, each by itself."""
    options, oracle, model = plan.measure, plan.oracle, predictor.model
    batches = [collate([sample]) for _, sample in islice(predictor.samples(dataset, oracle), runs)]
    if model.backbone is not None:
        yield {"gigamacs": gigamacs_seen(predictor, oracle)}
    if options.compile:
        compile_blocks(model)
    yield {"latency": block_latencies(predictor, batches, oracle)}
    yield {"peak_mebibytes": peak_mebibytes(lambda: predict(predictor, batches[0], oracle), predictor.device)}
    if options.batch_sizes:
        times = max(3, runs // max(options.batch_sizes))
        yield {"images_per_second": throughput(predictor, batches[0], options.batch_sizes, times, oracle)}
    if options.training_steps:
        yield _training_speed(plan.training, options.training_steps)


def _training_speed(plan: TrainPlan, steps: int) -> Row:
    """Images a second of the engine on a batch that is already there, and its share of the device's matrix rate."""
    engine = replace(plan.engine, steps=steps, accumulate=1, validate_every=0, tensorboard=False)
    own = replace(plan, engine=engine, model=plan.model.without_pretraining(), place=replace(plan.place, workers=0))
    with ranks(plan.place.chosen_device()) as place:
        trainer, _ = make_trainer(own, Path(), place)
        model, precision = trainer.model, trainer.settings.precision
        rate = training_rate(model, trainer.settings, next(trainer.batches(0)), trainer.given, place.device)
        row: Row = {"training_images_per_second": rate, "training_precision": precision}
        if model.backbone is not None:
            forward = gigamacs(model, model.side(plan.model.input_size, "all"), trainer.given, "all")
            row["matrix_share"] = matrix_share(forward, rate, place.device, precision)
    return row
