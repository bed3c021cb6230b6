"""What a second look at each person gains: poses as a network finds them, and perfect ones, before and after refinement.

``python benchmarks/refinement.py weights=posenet.pt refine=single.pt data=coco data.root=FOLDER [OVERRIDE …]`` finds the people of
the images, looks at each again, and judges the poses as they were, as the default rule leaves them and as the published one does;
then the same of the annotated poses, with a score of 1 each. It writes ``benchmarks/results/refinement.json``.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from tqdm import tqdm

from bottomup.benchmark.results import Row, write_result
from bottomup.commands.evaluate import planned
from bottomup.dataset import Dataset
from bottomup.errors import ConfigError
from bottomup.evaluation.coco import evaluate_keypoints
from bottomup.predictor import Predictor
from bottomup.refine import Poses, Refiner, Rule, check_same_keypoints, poses_in
from bottomup.types import Instances, Prediction
from bottomup.workflows.models import make_predictor, make_refiner

RESULT = Path(__file__).parent / "results" / "refinement.json"
FIGURES = ("AP", "AP50", "AP75", "APM", "APL", "AR")
_IMAGES = 8  # whose people go through the network together


def main(arguments: Sequence[str]) -> None:
    """Measure both kinds of poses and write the table."""
    if not arguments:
        raise SystemExit(__doc__)
    plan, checkpoints = planned(arguments)
    if plan.viewing.refine.weights is None:
        raise ConfigError("refine= is missing: give a checkpoint of method=single_person")
    device = plan.place.chosen_device()
    dataset = plan.data.dataset("val", plan.limit)
    refiner = make_refiner(plan.viewing.refine, plan.viewing.precision, device)
    assert refiner is not None
    predictor = make_predictor(plan.model, plan.viewing, device, checkpoints[0], dataset.task, plan.weights)
    check_same_keypoints(refiner.network, predictor.skeleton)
    options = {name: value for name, value in plan.viewing.refine.plain().items() if name not in ("weights", "rule")}
    config = {"images": len(dataset), "input_size": plan.model.input_size, "network": refiner.network.input_size, "refine": options}
    rows: list[Row] = []
    for kind, found in (("found", find(predictor, dataset)), ("perfect", perfect(dataset))):
        rows += measure(kind, found, dataset, refiner)
        write_result(RESULT, "refinement", config, rows)


def find(predictor: Predictor, dataset: Dataset) -> list[Prediction]:
    """The people that a network finds in each image."""
    found = dict(tqdm(predictor.predict_dataset(dataset), total=len(dataset), disable=None))
    return [found[index] for index in range(len(dataset))]


def perfect(dataset: Dataset) -> list[Prediction]:
    """The annotated people of each image, as if they had been found for sure."""
    found = []
    for index in range(len(dataset)):
        people = dataset.people(index)
        people = people[np.flatnonzero(people.labelled.any(1))]
        there = torch.from_numpy(people.labelled)
        points = torch.where(there[..., None], torch.from_numpy(people.keypoints), torch.nan)
        instances = Instances.of_keypoints(points, there.float(), torch.ones(len(people)))
        found.append(Prediction(instances, dataset.image_size(index), image_id=dataset.image_ids[index]))
    return found


@torch.inference_mode()
def measure(kind: str, found: Sequence[Prediction], dataset: Dataset, refiner: Refiner) -> list[Row]:
    """The figures of poses as they are, and as each rule leaves them; all rules of one look."""
    seen: list[Poses] = []
    for start in tqdm(range(0, len(dataset), _IMAGES), disable=None):
        some = found[start : start + _IMAGES]
        images = [torch.from_numpy(dataset.sample(start + row, frozenset()).pixels) for row in range(len(some))]
        boxes = [one.instances.boxes for one in some]
        seen += poses_in(refiner.network, images, boxes, refiner.scale)
    rows = [row(kind, "none", found, dataset)]
    for rule in get_args(Rule):
        refiner.rule = rule
        refined = [replace(one, instances=refiner.joined(one.instances, own)) for one, own in zip(found, seen, strict=True)]
        rows.append(row(kind, rule, refined, dataset))
    return rows


def row(kind: str, rule: str, predictions: Sequence[Prediction], dataset: Dataset) -> Row:
    """One row of the table."""
    skeleton = dataset.task.skeleton
    assert skeleton is not None  # of a data set whose poses are judged
    metrics = evaluate_keypoints(list(predictions), dataset.ground_truth(), skeleton, max_people=20)
    made: Row = {"name": f"{kind} poses, refined by: {rule}", "poses": kind, "rule": rule}
    made |= {name: metrics[name] for name in FIGURES}
    print(made, flush=True)
    return made


if __name__ == "__main__":
    main(sys.argv[1:])
