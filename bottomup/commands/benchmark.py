"""``bottomup benchmark``: every combination trained or loaded, judged, timed and shown; what was measured already stays.

Networks are timed as `bottomup predict` runs them: channels last, at ``precision``; with ``measure.compile=true`` compiled.
"""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import Any

from bottomup.benchmark.cells import Cell, cells_of
from bottomup.benchmark.exhibits import write_exhibits
from bottomup.benchmark.results import Row, blank_row, file_hash, read_result, setting, setting_of, write_result
from bottomup.benchmark.speed import (
    block_latencies,
    compile_blocks,
    gigamacs,
    matrix_share,
    peak_mebibytes,
    predict,
    sizes,
    throughput,
    training_rate,
)
from bottomup.commands.setting import dataset_of, device_of, make_predictor, output_folder, with_checkpoint
from bottomup.commands.train import make_trainer
from bottomup.commands.trials import Trial, trained_predictor, trials
from bottomup.compose import key_of, load_config, value_of, without_pretraining
from bottomup.data.dataset import Dataset
from bottomup.data.kept import sharing
from bottomup.data.loader import collate
from bottomup.engine.checkpoint import Checkpoint
from bottomup.engine.distributed import ranks
from bottomup.errors import CheckpointError, ConfigError, DataError, InterruptedRunError
from bottomup.evaluation.run import evaluate_dataset
from bottomup.predictor import Predictor

RESULT = "result.json"
TABLE = "benchmark.json"

_KEYPOINTS = ("AP", "AP50", "AP75", "APM", "APL", "AR")
_INSTANCES = tuple(f"{kind}_AP{which}" for kind in ("mask", "box") for which in ("", "50", "75", "S", "M", "L"))
_FIGURES = (*_KEYPOINTS, *_INSTANCES, "segmentation_IoU")

Figures = dict[str, float | None]  # None: undefined, as AP of large people where there are none


@sharing()
def run(_: dict[str, Any], overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Measure every cell that is not there yet; returns the rows, which ``benchmark.json`` holds too."""
    of_all = {key_of(text): value_of(text) for text in overrides if key_of(text) in ("matrix", "output")}
    folder = output_folder(of_all, "benchmark")
    cells = cells_of(of_all.get("matrix"), [text for text in overrides if key_of(text) not in of_all])
    rows: list[Row] = []
    for number, cell in enumerate(cells, 1):
        place = folder / cell.slug
        known = _known(cell, place)
        row = known or _measured(cell, place, folder / "trainings")
        rows.append(row)
        print(f"{number}/{len(cells)} {cell.name}: {_told(row)}{' (was there)' if known else ''}", flush=True)
        latest = max(rows, key=lambda row: str(row["date"]))
        write_result(folder / TABLE, "benchmark", {"matrix": of_all.get("matrix")}, rows, measured=setting_of(latest))
    print(f"{folder}/{TABLE}")
    return {"rows": rows}


def _told(row: Row) -> str:
    if row["status"] != "measured":
        return f"{row['status']}: {row['reason']}"
    ap = row["figures"].get("AP")
    told = "AP undefined" if ap is None else f"AP {ap:.3f}"
    return told + (f", {row['latency']['total']['p50_ms']:.0f} ms" if row["latency"] else "")


def _blank(cell: Cell, place: Path) -> Row:
    return blank_row(cell.name, cell.choices, cell.overrides, place.name)


def _known(cell: Cell, place: Path) -> Row | None:
    """The row that was measured before, with where and when that was; None where it is to be measured."""
    if not (place / RESULT).is_file():
        return None
    result = read_result(place / RESULT)
    (row,) = result["rows"]
    return _blank(cell, place) | row | setting_of(result) if row["status"] == "measured" and _same_weights(result, row) else None


def _same_weights(result: Row, row: Row) -> bool:
    """Whether what was measured is still what ``weights`` names; where that has gone its figures stay."""
    if row["training"]:
        return True
    if "weights_hash" not in row:  # schema 1 said nothing of the checkpoint
        return False
    return file_hash(result["config"]["composed"].get("weights")) in (None, row["weights_hash"])


def _measured(cell: Cell, place: Path, trainings: Path) -> Row:
    """The row of a cell, with the reason where it cannot be measured; written to the cell's folder.

    InterruptedRunError, and no row, where a training is interrupted: the cell stays open.
    """
    row, config = _blank(cell, place), dict[str, Any]()
    try:
        config = load_config("benchmark", cell.overrides)
        row |= setting(device_of(config))
        config, checkpoint = _with_weights(config, cell.overrides)
        row |= _figures_and_speed(config, checkpoint, place, trainings)
    except InterruptedRunError:
        raise
    except (ConfigError, DataError, CheckpointError) as error:
        row |= {"status": "refused", "reason": str(error)}
    except Exception as error:  # a loss that is not finite, no memory left, a fault of ours: the other cells go on
        traceback.print_exc()
        row |= {"status": "failed", "reason": f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"}
    written = {"overrides": list(cell.overrides), "composed": config}
    write_result(place / RESULT, "benchmark", written, [row], measured=setting_of(row))
    return row


def measure(config: dict[str, Any], overrides: Sequence[str], place: Path, trainings: Path) -> Row:
    """What a row says of a combination that composes."""
    return _figures_and_speed(*_with_weights(config, overrides), place, trainings)


def _with_weights(config: dict[str, Any], overrides: Sequence[str]) -> tuple[dict[str, Any], Checkpoint | None]:
    """The configuration that holds, and the checkpoint of ``weights``; none where cells are trained instead."""
    return (config, None) if config["train"] else with_checkpoint(config, overrides)


def _figures_and_speed(config: dict[str, Any], checkpoint: Checkpoint | None, place: Path, trainings: Path) -> Row:
    found = trials(config, trainings) if config["train"] else []
    dataset = _judged(config)
    predictors = [trained_predictor(config, trial, dataset) for trial in found]
    predictors = predictors or [make_predictor(config, checkpoint, dataset.task)]
    judged = [_figures(config, predictor, dataset, config["oracle"]) for predictor in predictors]
    predictor = predictors[0]
    heatmap = ["heatmap"] if "heatmap" in predictor.model.heads else []
    row: Row = {
        "figures": _joined(judged, fmean),
        "spread": _joined(judged, lambda values: max(values) - min(values)),
        "oracle": _figures(config, predictor, dataset, _decoded_heads(predictor)),
        "grouping": _figures(config, predictor, dataset, [*heatmap, *config["oracle"]]) if heatmap else {},
        "parameters": sizes(predictor.model, config["oracle"]),
        "training": _training(found),
        "weights_hash": None if found else file_hash(config["weights"]),
    }
    if config["measure"]["pictures"]:
        write_exhibits(place, predictor, dataset, config["measure"]["pictures"], tuple(config["oracle"]))
    if config["measure"]["runs"]:
        row |= _speed(config, predictor, dataset)
    return row


def _judged(config: dict[str, Any]) -> Dataset:
    split, limit = config["judge"]["split"], config["judge"]["limit"]
    data = config["data"] | ({"split": split} if split else {})
    return dataset_of({**config, "data": data}, "val", limit)


def _figures(config: dict[str, Any], predictor: Predictor, dataset: Dataset, oracle: Sequence[str]) -> Figures:
    """Keypoint, box and mask AP and the foreground's IoU on the judged images, as far as the method finds such."""
    workers, max_people = int(config["workers"]), int(config["max_people"])
    metrics = evaluate_dataset(predictor, dataset, oracle=oracle, workers=workers, max_people=max_people).metrics
    return {name: None if math.isnan(metrics[name]) else metrics[name] for name in _FIGURES if name in metrics}


def _joined(judged: Sequence[Figures], join: Callable[[list[float]], float]) -> Figures:
    """The figures of several seeds as one each; undefined where one seed's is."""
    names = [name for name in _FIGURES if any(name in figures for figures in judged)]
    values = {name: [value for figures in judged if (value := figures.get(name)) is not None] for name in names}
    return {name: join(own) if len(own) == len(judged) else None for name, own in values.items()}


def _decoded_heads(predictor: Predictor) -> list[str]:
    """The heads whose outputs the decoder reads: with all of them ideal, what is missing is the decoder's."""
    return [name for name, stack in predictor.model.stacks() if predictor.model.decoded & stack.last.provides.keys()]


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
        "learned": all(trial.last_loss <= trial.first_loss / 2 for trial in found),  # else the cell counts as not trained
    }


def _speed(config: dict[str, Any], predictor: Predictor, dataset: Dataset) -> Row:
    """Times, memory and multiply-adds; of the first images, each by itself."""
    options, oracle = config["measure"], config["oracle"]
    batches = [collate([sample]) for _, sample in islice(predictor.samples(dataset, oracle), options["runs"])]
    row: Row = {}
    if predictor.model.backbone is not None:
        row["gigamacs"] = gigamacs(predictor.model, predictor.model.side(predictor.input_size), oracle)
    if options["compile"]:
        compile_blocks(predictor.model)
    runs = max(3, options["runs"] // max(options["batch_sizes"]))
    row |= {
        "latency": block_latencies(predictor, batches, oracle),
        "images_per_second": throughput(predictor, batches[0], options["batch_sizes"], runs, oracle),
        "peak_mebibytes": peak_mebibytes(lambda: predict(predictor, batches[0], oracle), predictor.device),
    }
    return row | (_training_speed(config) if options["training_steps"] else {})


def _training_speed(config: dict[str, Any]) -> Row:
    """Images a second of the engine on a batch that is already there, and its share of the device's matrix rate."""
    steps = {"steps": int(config["measure"]["training_steps"]), "accumulate": 1}
    engine = config["engine"] | steps | {"validate_every": 0, "tensorboard": False}
    own = without_pretraining({**config, "engine": engine, "workers": 0})
    with ranks(device_of(config)) as place:
        trainer = make_trainer(own, Path(), place)
        model, precision = trainer.model, trainer.settings.precision
        rate = training_rate(model, trainer.settings, next(trainer.batches(0)), trainer.given, place.device)
        row: Row = {"training_images_per_second": rate}
        if model.backbone is not None:
            forward = gigamacs(model, model.side(int(config["input_size"]), "all"), trainer.given, "all")
            row["matrix_share"] = matrix_share(forward, rate, place.device, precision)
    return row
