"""What boxes of nobody cost: true people beside spurious boxes, whose keypoints those may take.

``python benchmarks/spurious_boxes.py weights=best.pt data.annotations=FILE [OVERRIDE …]`` gives a Pose Residual Network
(``experiment=multiposenet/prn``) the true boxes of the first images that have people, and beside each none, one or three spurious
ones of a low score, shifted to an IoU of about 0.2 with it; keypoints are the true ones, or as faulty as predicted ones. Each
scene is decoded by decoder ``prn``'s defaults and by plain rules, to which a box's score and a missing keypoint are nothing. It
writes ``benchmarks/results/spurious_boxes.json``.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bottomup.benchmark.results import Row, write_result
from bottomup.dataset import Dataset
from bottomup.decoders.prn import Prn
from bottomup.evaluation.coco import evaluate_keypoints
from bottomup.plan.judging import evaluate_plan
from bottomup.predictor import Predictor
from bottomup.samples.loader import buckets
from bottomup.types import Outputs, Prediction
from bottomup.workflows.models import make_predictor, with_checkpoint

RESULT = Path(__file__).parent / "results" / "spurious_boxes.json"
ORACLE = ("candidates", "proposals")
SPURIOUS = (0, 1, 3)  # boxes beside each person's
SCORES = (0.05, 0.3)  # of which theirs are drawn; true boxes have 1
SHIFT = 2 / 3  # of a side: (1 - s) / (1 + s) is an IoU of 0.2
FAULTS = {"jitter": 0.03, "misses": 0.1, "false_peaks": 0.2}
DECODERS: dict[str, dict[str, Any]] = {
    "plain": {"value": "candidate", "missing": "none", "score": "fraction", "unposed": "keep"},
    "default": {},
}
_COMMON = ("experiment=multiposenet/prn", "data.min_people=1", "limit=150", "batch_size=8", "workers=0")


def main(arguments: Sequence[str]) -> None:
    """Decode every scene in every way and write the table."""
    if not arguments:
        raise SystemExit(__doc__)
    rows: list[Row] = []
    for faulty, spurious in itertools.product((False, True), SPURIOUS):
        faults = [f"heads.candidates.{name}={value if faulty else 0}" for name, value in FAULTS.items()]
        overrides = [*_COMMON, *arguments, *faults]
        plan = evaluate_plan(overrides)
        dataset = plan.data.dataset("val", plan.limit)
        model, checkpoint = with_checkpoint(plan.model, plan.weights, overrides)
        predictor = make_predictor(model, plan.viewing, plan.place.chosen_device(), checkpoint, dataset.task, plan.weights)
        kind = "faulty" if faulty else "true"
        row: Row = {"name": f"{kind} keypoints, spurious boxes a person: {spurious}", "keypoints": kind, "spurious": spurious}
        rows.append(row | measure(predictor, dataset, spurious))
        print(rows[-1], flush=True)
        write_result(RESULT, "spurious_boxes", {"images": len(dataset), "faults": FAULTS, "decoders": DECODERS}, rows)


@torch.inference_mode()
def measure(predictor: Predictor, dataset: Dataset, spurious: int) -> dict[str, float]:
    """The AP of each way of decoding."""
    skeleton = dataset.task.skeleton
    assert skeleton is not None
    model, found = predictor.model, dict[str, list[Prediction]]({name: [] for name in DECODERS})
    for number, (_, batch) in enumerate(buckets(predictor.samples(dataset, ORACLE), predictor.batch_size)):
        torch.manual_seed(number)  # the same faults beside however many boxes
        given = beside(model.ideal(batch, ORACLE), spurious)
        (outputs,), frame = model(None, given=given), model.frame(batch)
        for name, options in DECODERS.items():
            predictor.decoder = Prn(dataset.task, **options)
            found[name] += predictor.decode(batch, [(outputs, frame)])
    truth = dataset.ground_truth()
    return {name: evaluate_keypoints(predictions, truth, skeleton, max_people=20)["AP"] for name, predictions in found.items()}


def beside(outputs: Outputs, count: int) -> Outputs:
    """Outputs with ``count`` spurious boxes beside each box of ``proposals`` (B, R, 4)."""
    boxes, scores = outputs["proposals"], outputs["proposal_scores"]
    false = [shifted(boxes) for _ in range(count)]
    low, high = SCORES
    false_scores = [(scores > 0) * (low + (high - low) * torch.rand_like(scores)) for _ in range(count)]
    return outputs | {"proposals": torch.cat((boxes, *false), 1), "proposal_scores": torch.cat((scores, *false_scores), 1)}


def shifted(boxes: Tensor) -> Tensor:
    """Boxes (B, R, 4) xyxy moved along a side, up, down, left or right."""
    along = torch.rand(boxes.shape[:-1]) < 0.5
    way = torch.where(torch.rand(boxes.shape[:-1]) < 0.5, SHIFT, -SHIFT)
    step = torch.stack((along * way, ~along * way), dim=-1) * (boxes[..., 2:] - boxes[..., :2])
    return boxes + step.repeat(1, 1, 2)


if __name__ == "__main__":
    main(sys.argv[1:])
