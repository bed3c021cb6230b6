"""``bottomup benchmark``: every combination trained or loaded, judged, timed and shown; what is there already stays."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import Any

from bottomup.benchmark.cells import Cell, cells_of
from bottomup.benchmark.exhibits import write_exhibits
from bottomup.benchmark.results import Row, read_result, write_result
from bottomup.benchmark.speed import block_latencies, gigamacs, peak_mebibytes, sizes, throughput, training_rate
from bottomup.commands.setting import dataset_of, device_of, make_predictor, output_folder, with_checkpoint
from bottomup.commands.train import make_trainer
from bottomup.commands.trials import Trial, trials
from bottomup.compose import key_of, load_config, value_of
from bottomup.data.dataset import Dataset
from bottomup.data.loader import collate
from bottomup.engine.distributed import ranks
from bottomup.errors import CheckpointError, ConfigError, DataError
from bottomup.evaluation.run import evaluate_dataset
from bottomup.predictor import Predictor

RESULT = "result.json"
TABLE = "benchmark.json"

_FIGURES = ("AP", "AP50", "AP75", "APM", "APL", "AR", "mask_AP", "box_AP", "segmentation_IoU")


def run(_: dict[str, Any], overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Measure every cell that is not there yet; returns the rows, which ``benchmark.json`` holds too."""
    of_all = {key_of(text): value_of(text) for text in overrides if key_of(text) in ("matrix", "output")}
    folder = output_folder(of_all, "benchmark")
    cells = cells_of(of_all.get("matrix"), [text for text in overrides if key_of(text) not in of_all])
    rows: list[Row] = []
    for number, cell in enumerate(cells, 1):
        place = folder / cell.slug
        known = read_result(place / RESULT)["rows"][0] if (place / RESULT).is_file() else None
        row = known or _measured(cell, place, folder / "trainings")
        rows.append(row)
        print(f"{number}/{len(cells)} {cell.name}: {_told(row)}{' (was there)' if known else ''}", flush=True)
        write_result(folder / TABLE, "benchmark", {"matrix": of_all.get("matrix")}, rows, row["device"])
    print(f"{folder}/{TABLE}")
    return {"rows": rows}


def _told(row: Row) -> str:
    if row["status"] != "measured":
        return f"{row['status']}: {row['reason']}"
    ap = row["figures"]["AP"]
    return f"AP {ap:.3f}" + (f", {row['latency']['total']['p50_ms']:.0f} ms" if row["latency"] else "")


def _measured(cell: Cell, place: Path, trainings: Path) -> Row:
    """The row of a cell, with the reason where it cannot be measured; written to the cell's folder.

    InterruptedRunError, and no row, where a training is interrupted: the cell stays open.
    """
    row: Row = {"name": cell.name, "choices": dict(cell.choices), "overrides": list(cell.overrides), "folder": place.name}
    row |= {"status": "measured", "reason": "", "device": "cpu", "figures": {}, "spread": {}, "oracle": {}, "grouping": {}}
    row |= {"parameters": {}, "gigamacs": None, "latency": {}, "images_per_second": {}, "peak_mebibytes": None}
    row |= {"training": None, "training_images_per_second": None}
    try:
        config = load_config("benchmark", cell.overrides)
        row["device"] = device_of(config)
        row |= measure(config, cell.overrides, place, trainings)
    except (ConfigError, DataError, CheckpointError) as error:
        row |= {"status": "refused", "reason": str(error)}
    except (RuntimeError, MemoryError, ValueError) as error:  # a loss that is not finite, no memory left: the other cells go on
        print(f"{cell.name}: {type(error).__name__}: {error}", file=sys.stderr)
        row |= {"status": "failed", "reason": f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"}
    write_result(place / RESULT, "benchmark", {"overrides": list(cell.overrides)}, [row], row["device"])
    return row


def measure(config: dict[str, Any], overrides: Sequence[str], place: Path, trainings: Path) -> Row:
    """What a row says of a combination that composes."""
    found = trials(config, trainings) if config["train"] else []
    weights = [str(trial.weights) for trial in found] or [config["weights"]]
    dataset = _judged(config)
    predictors = [_predictor({**config, "weights": path}, overrides, dataset) for path in weights]
    judged = [_figures(config, predictor, dataset, config["oracle"]) for predictor in predictors]
    predictor = predictors[0]
    heatmap = ["heatmap"] if "heatmap" in predictor.model.heads else []
    row: Row = {
        "figures": {name: fmean(figures[name] for figures in judged) for name in judged[0]},
        "spread": {name: max(f[name] for f in judged) - min(f[name] for f in judged) for name in judged[0]},
        "oracle": _figures(config, predictor, dataset, _decoded_heads(predictor)),
        "grouping": _figures(config, predictor, dataset, [*heatmap, *config["oracle"]]) if heatmap else {},
        "parameters": sizes(predictor.model),
        "training": _training(found),
    }
    if config["measure"]["runs"]:
        row |= _speed(config, predictor, dataset)
    if config["measure"]["pictures"]:
        write_exhibits(place, predictor, dataset, config["measure"]["pictures"], tuple(config["oracle"]))
    return row


def _judged(config: dict[str, Any]) -> Dataset:
    split, limit = config["judge"]["split"], config["judge"]["limit"]
    data = config["data"] | ({"split": split} if split else {})
    return dataset_of({**config, "data": data}, "val", limit)


def _predictor(config: dict[str, Any], overrides: Sequence[str], dataset: Dataset) -> Predictor:
    merged, checkpoint = with_checkpoint(config, overrides)
    return make_predictor(merged, checkpoint, dataset.task)


def _figures(config: dict[str, Any], predictor: Predictor, dataset: Dataset, oracle: Sequence[str]) -> dict[str, float]:
    """Keypoint, box and mask AP and the foreground's IoU on the judged images, as far as the method finds such."""
    workers, max_people = int(config["workers"]), int(config["max_people"])
    evaluation = evaluate_dataset(predictor, dataset, oracle=oracle, workers=workers, max_people=max_people)
    return {name: evaluation.metrics[name] for name in _FIGURES if name in evaluation.metrics}


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
    """Times, memory and size; of the first images, each by itself."""
    options, oracle = config["measure"], config["oracle"]
    batches = [collate([sample]) for _, sample in islice(predictor.samples(dataset, oracle), options["runs"])]
    largest = max(options["batch_sizes"])
    row: Row = {
        "latency": block_latencies(predictor, batches, oracle),
        "images_per_second": throughput(predictor, batches[0], options["batch_sizes"], max(3, options["runs"] // largest), oracle),
        "peak_mebibytes": peak_mebibytes(lambda: predictor.predict_batch(batches[0], oracle), predictor.device),
    }
    if predictor.model.backbone is not None:
        row["gigamacs"] = gigamacs(predictor.model, predictor.model.side(int(config["input_size"])), oracle)
    if options["training_steps"]:
        row["training_images_per_second"] = _training_rate(config)
    return row


def _training_rate(config: dict[str, Any]) -> float:
    """Images a second of the engine on a batch that is already there."""
    steps = {"steps": int(config["measure"]["training_steps"]), "accumulate": 1}
    engine = config["engine"] | steps | {"validate_every": 0, "tensorboard": False}
    with ranks(device_of(config)) as place:
        trainer = make_trainer({**config, "engine": engine, "workers": 0}, Path(), place)
        return training_rate(trainer.model, trainer.settings, next(trainer.batches(0)), trainer.given, place.device)
