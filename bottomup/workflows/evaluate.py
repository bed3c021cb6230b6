"""AP, per-keypoint AP, an error breakdown, and the best and worst images drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bottomup.base_predictor import BasePredictor
from bottomup.checkpoint import Checkpoint, load_checkpoint
from bottomup.dataset import Dataset
from bottomup.engine.distributed import Ranks, ranks
from bottomup.errors import ConfigError, DataError, counted
from bottomup.evaluation.limits import limits_of, warn_of_limits
from bottomup.evaluation.masks import evaluate_categories, per_image_iou
from bottomup.evaluation.precision_recall import PrecisionRecall
from bottomup.evaluation.records import category_ids
from bottomup.evaluation.report import format_table, plain, write_metrics
from bottomup.evaluation.run import Evaluation, evaluate_dataset
from bottomup.model import PoseModel
from bottomup.paths import write_json, write_text
from bottomup.plan.judging import EvaluatePlan
from bottomup.plan.parts import names_of
from bottomup.report.curves import draw_precision_recall
from bottomup.samples.labels import Labels
from bottomup.samples.workers import workers_alive
from bottomup.skeletons import Skeleton
from bottomup.types import Sample
from bottomup.visualize import draw_instances, draw_people, save_png, side_by_side
from bottomup.workflows.folders import alone, check_no_training, write_config
from bottomup.workflows.models import Loaded, check_oracle, make_ensemble, own_model, seen
from bottomup.zoo.weights import checkpoint_file

_PAPER = 160  # the grey that people are drawn on where there is no image


@workers_alive()
def evaluate(plan: EvaluatePlan, checkpoints: Sequence[Checkpoint] = ()) -> dict[str, Any]:
    """Judge a checkpoint, several that are joined, or what an oracle gives; returns what ``metrics.json`` holds.

    Of several ranks each predicts its share of the images, and the first one judges and writes; others return nothing.
    Without ``checkpoints`` the plan's ``weights`` are read, where it names any, and their own models where the plan has none.
    """
    plan, loaded = _loaded(plan, checkpoints)
    with ranks(plan.place.chosen_device()) as place:
        torch.manual_seed(plan.place.seed)
        dataset = plan.data.dataset("val", plan.limit)
        predictor = make_ensemble(loaded, plan.viewing, str(place.device), dataset.task)
        check_oracle(predictor.models, plan.oracle)
        if loaded[0].checkpoint is None:
            _check_weights(predictor.model, plan.oracle)
        if not place.first:
            _evaluation(plan, predictor, dataset, place)
            return {}
        output = plan.place.folder("evaluate")  # not before all of this was accepted
        check_no_training(output, "evaluate")
        with alone(output):
            return _judged(plan, predictor, dataset, output, place)


def _evaluation(plan: EvaluatePlan, predictor: BasePredictor, dataset: Dataset, place: Ranks) -> Evaluation:
    return evaluate_dataset(
        predictor,
        dataset,
        oracle=plan.oracle,
        workers=plan.place.workers,
        max_people=plan.max_people,
        progress=True,
        seed=plan.place.seed,
        place=place,
    )


def _judged(plan: EvaluatePlan, predictor: BasePredictor, dataset: Dataset, output: Path, place: Ranks) -> dict[str, Any]:
    """Judge a predictor, together with the other ranks, tell the figures, and write them with predictions and pictures."""
    judged = f"{counted(len(dataset), 'image')} of {plan.data.called('val')}, {seen(predictor)}"
    limits = {"max_people": plan.max_people}
    for model in predictor.models:
        limits |= limits_of(model, predictor.decoder, [name for name in plan.oracle if name in model.heads])
    warn_of_limits(dataset, limits, "are found and counted")
    evaluation = _evaluation(plan, predictor, dataset, place)
    posed, most = predictor.decoder.posed, plan.max_people
    summary = summarise(evaluation) if posed else summarise_masks(evaluation, most)
    metrics = {"judged": judged} | summary | ({"unreadable": list(evaluation.unread)} if evaluation.unread else {})
    print(f"{judged}; in %:")  # before anything is written, which a full disk may prevent
    print(format_table(evaluation.headline))
    if "errors" in metrics:
        print(format_table(metrics["errors"]))
    write_config(output, plan.plain())
    write_metrics(output, metrics)
    write_json(output / "predictions.json", _records(evaluation, dataset.task.skeleton if posed else None))
    if dataset.task.skeleton is not None or not posed:
        draw_extremes(evaluation, dataset, plan.pictures, output / "pictures", predictor, plan.max_people)
    if evaluation.comparison is not None:
        _write_curves(evaluation.comparison.curves(), output)
    print(f"{output}/metrics.json")
    return metrics


def _write_curves(curves: PrecisionRecall, output: Path) -> None:
    """Precision against recall as ``precision_recall.svg``, and as numbers beside it."""
    write_json(output / "precision_recall.json", plain(curves.plain()))
    write_text(output / "precision_recall.svg", draw_precision_recall(curves))


def _loaded(plan: EvaluatePlan, checkpoints: Sequence[Checkpoint]) -> tuple[EvaluatePlan, list[Loaded]]:
    """The plan with a model for each of its weights, and these with their checkpoints; without weights its own model."""
    names = names_of(plan.weights)
    if not names and not checkpoints:
        return plan, [Loaded(plan.model)]
    own = list(checkpoints) or [load_checkpoint(checkpoint_file(name)) for name in names]
    planned = [plan.model, *plan.others] if plan.model.heads else []
    models = planned if len(planned) == len(own) else [*map(own_model, names or ["the checkpoint"] * len(own), own)]
    loaded = [Loaded(*each) for each in zip(models, own, names or [None] * len(own), strict=True)]
    return replace(plan, model=models[0], others=tuple(models[1:])), loaded


def _check_weights(model: PoseModel, oracle: Sequence[str]) -> None:
    """Raise ConfigError where what must run has weights, and nobody gave any."""
    given = model.keys_of(oracle)
    running = [model.stack(name) for name in model.running(model.decoded, given)]
    if any(stack.reads or list(stack.parameters()) for stack in running):
        lacking = ", ".join(sorted(model.decoded - given))
        raise ConfigError(
            f"weights= is missing: give a checkpoint (best.pt or last.pt of a training run); no oracle gives {lacking}"
        )


def _records(evaluation: Evaluation, skeleton: Skeleton | None) -> list[dict[str, Any]]:
    """COCO results of the annotation file's own categories: poses are of the first that has keypoints, objects of their label's."""
    truth = evaluation.ground_truth
    ids = [int(category["id"]) for category in truth["categories"]] if skeleton is None else category_ids(truth, skeleton)[0]
    return [record for prediction in evaluation.predictions for record in prediction.to_coco(ids)]


def summarise_masks(evaluation: Evaluation, max_people: int) -> dict[str, Any]:
    """The figures of masks, and below them COCO's of each category."""
    own = evaluate_categories(evaluation.predictions, evaluation.ground_truth, max_people)
    return {**evaluation.metrics, "images": len(evaluation.predictions), "categories": own}


def summarise(evaluation: Evaluation) -> dict[str, Any]:
    """COCO's figures, and below them AP by keypoint and the error breakdown, where there are keypoints; the data set's own."""
    summary: dict[str, Any] = {**evaluation.metrics, "images": len(evaluation.predictions)}
    if evaluation.comparison is None:
        return summary
    return summary | {"keypoints": evaluation.comparison.keypoint_ap(), "errors": evaluation.comparison.breakdown()}


def draw_extremes(
    evaluation: Evaluation, dataset: Dataset, count: int, folder: Path, predictor: BasePredictor, max_people: int = 20
) -> None:
    """Annotated people beside those predicted ones that are worth showing, of the best and the worst images by mean OKS.

    Of masks without poses by mean IoU. On grey where there is no image.
    """
    skeleton = predictor.skeleton
    if evaluation.comparison is not None:
        measure, alike = "oks", evaluation.comparison.per_image_oks()
    else:
        measure, alike = "iou", per_image_iou(evaluation.predictions, evaluation.ground_truth, max_people)
    ranked = sorted(alike, key=lambda image_id: alike[image_id])
    place = {image_id: index for index, image_id in enumerate(dataset.image_ids)}
    for kind, chosen in (("worst", ranked[:count]), ("best", ranked[::-1][:count])):
        for old in folder.glob(f"{kind}_*_{measure}*.png"):  # of an earlier run into the same folder
            old.unlink()
        for rank, image_id in enumerate(chosen):
            index = place[image_id]
            instances = predictor.shown(evaluation.predictions[index]).instances
            sample = _readable(dataset, index, frozenset({"instances"} if instances.masks is not None else ()))
            image = np.full((3, *sample.shape), _PAPER, np.uint8) if sample.image is None else sample.image
            truth = draw_people(image, sample.people, skeleton, sample.instances)
            found = draw_instances(image, instances, skeleton, keypoint_threshold=predictor.thresholds.keypoint)
            save_png(folder / f"{kind}_{rank}_{measure}{alike[image_id]:.2f}_{image_id}.png", side_by_side(truth, found))


def _readable(dataset: Dataset, index: int, maps: frozenset[str]) -> Sample:
    """A sample with its image, or its labels alone where the image is not there: predictions may have needed none."""
    try:
        return dataset.sample(index, maps)
    except DataError:
        return Labels(dataset).sample(index, maps)
