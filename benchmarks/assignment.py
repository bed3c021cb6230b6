"""Who gets which keypoint: MultiPoseNet's Table 3 (right) on true boxes and true keypoints.

``python benchmarks/assignment.py data.annotations=FILE prn=best.pt [ucr=best.pt] [NAME=best.pt …] [OVERRIDE …]`` evaluates "max",
which has no weights, and every checkpoint of ``experiment=multiposenet/prn`` that is named, with people matched one to one and
each alone, on the boxes of annotated people and on everybody's; it writes ``benchmarks/results/assignment.json``, with the
options of the decoder, which OVERRIDEs may change (``decoder.missing=none`` leaves out what "maximum" places). ``AP`` is over all
people, ``AP_overlapping`` over those whose box overlaps another's by an IoU above 0.3, ``AP_true_areas`` over those whose area is
no estimate (``area_is_estimate`` in the file): the others are neither right nor wrong.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torchvision.ops import box_iou

from bottomup.benchmark.results import Row, write_result
from bottomup.dataset import GroundTruth
from bottomup.decoders.prn import Prn
from bottomup.evaluation.coco import evaluate_keypoints
from bottomup.evaluation.records import by_image
from bottomup.evaluation.run import evaluate_dataset
from bottomup.plan.component import Component
from bottomup.plan.judging import evaluate_plan
from bottomup.skeletons import COCO
from bottomup.types import Task
from bottomup.workflows.models import make_predictor, with_checkpoint

RESULT = Path(__file__).parent / "results" / "assignment.json"
ORACLE = ("candidates", "proposals")
_OVERLAP = 0.3
_WAYS = {"independent": "each alone", "one_to_one": "one to one"}
_OPTIONS = ("window", "margin", "value", "missing", "score", "unposed", "nms_threshold")  # of the decoder, the same for all rows
_COMMON = (
    "experiment=multiposenet/prn",
    "heads.candidates={}",
    "data.min_people=1",
    "batch_size=8",
    "workers=0",
)  # keypoints without faults

Annotation = dict[str, Any]


def main(arguments: Sequence[str]) -> None:
    """Evaluate every checkpoint and write the table."""
    if not arguments:
        raise SystemExit(__doc__)
    weights = {name: path for name, _, path in (given.partition("=") for given in arguments) if path.endswith(".pt")}
    overrides = [given for given in arguments if not given.endswith(".pt")]
    models = [("max", ["heads.prn.relation=max"])] + [(name, [f"weights={path}"]) for name, path in weights.items()]
    rows: list[Row] = []
    for (name, own), assignment, who in itertools.product(models, ("independent", "one_to_one"), ("annotated", "all")):
        chosen = [f"decoder.assignment={assignment}", f"heads.proposals.who={who}"]
        told = {"name": f"{name}, {_WAYS[assignment]}, {who}", "relation": name, "assignment": assignment, "boxes": who}
        rows.append(told | measure([*_COMMON, *overrides, *own, *chosen]))
        print(rows[-1], flush=True)
        write_result(RESULT, "assignment", {"overlap": _OVERLAP, "decoder": decoding([*_COMMON, *overrides])}, rows)


def decoding(overrides: list[str]) -> dict[str, Any]:
    """The options of the decoder, given or by default."""
    decoder = Prn(Task(COCO), **load_decoder(overrides).options)
    return {name: getattr(decoder, name) for name in _OPTIONS}


def load_decoder(overrides: list[str]) -> Component:
    """The decoder that is configured."""
    decoder = evaluate_plan(overrides).model.decoder
    assert decoder is not None  # the experiment names one
    return decoder


def measure(overrides: list[str]) -> dict[str, float]:
    """AP and AR over all people, and AP over those that are hard to tell apart and those of true areas."""
    plan = evaluate_plan(overrides)
    dataset = plan.data.dataset("val", plan.limit)
    model, checkpoint = with_checkpoint(plan.model, plan.weights, overrides)
    predictor = make_predictor(model, plan.viewing, plan.place.chosen_device(), checkpoint, dataset.task, plan.weights)
    evaluation = evaluate_dataset(predictor, dataset, oracle=ORACLE)
    skeleton = dataset.task.skeleton
    assert skeleton is not None

    def ap(left_out: set[int]) -> float:
        truth = without(evaluation.ground_truth, left_out)
        return evaluate_keypoints(evaluation.predictions, truth, skeleton, plan.max_people)["AP"]

    annotations: list[Annotation] = evaluation.ground_truth["annotations"]
    return {
        "AP": evaluation.metrics["AP"],
        "AR": evaluation.metrics["AR"],
        "AP_overlapping": ap(isolated(annotations)),
        "AP_true_areas": ap(chosen(annotations, lambda person: bool(person.get("area_is_estimate")))),
    }


def chosen(annotations: Sequence[Annotation], wanted: Callable[[Annotation], bool]) -> set[int]:
    """The ids of some annotations."""
    return {annotation["id"] for annotation in annotations if wanted(annotation)}


def isolated(annotations: Sequence[Annotation]) -> set[int]:
    """The ids of people whose box overlaps nobody else's much."""
    alone: set[int] = set()
    for people in by_image(annotations).values():
        corners = torch.tensor([person["bbox"] for person in people], dtype=torch.float64)
        corners[:, 2:] += corners[:, :2]
        overlap = box_iou(corners, corners).fill_diagonal_(0.0).amax(1)
        alone |= {person["id"] for person, most in zip(people, overlap.tolist(), strict=True) if most <= _OVERLAP}
    return alone


def without(ground_truth: GroundTruth, left_out: set[int]) -> GroundTruth:
    """The ground truth in which some people count as crowds do: neither right nor wrong."""
    people = [person | {"iscrowd": 1} if person["id"] in left_out else person for person in ground_truth["annotations"]]
    return {**ground_truth, "annotations": people}


if __name__ == "__main__":
    main(sys.argv[1:])
