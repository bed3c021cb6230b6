"""What is shown of people whom Google's weights find, beside everybody: the figures behind ``Decoder.recommended``.

``python benchmarks/shown.py posenet=POSENET.pt bodypix=BODYPIX.pt data.root=FOLDER [OVERRIDE …]`` predicts on the val split of a
COCO folder and writes ``benchmarks/results/shown.json``: of everybody and of those worth showing how many there are an image, the
share that is nobody or somebody once more (no annotated person of an OKS of .1 is left for them), and AP; and of the keypoints that
stand in their place the share that is kept by presence, and by score alone, of small people's, too.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from bottomup.benchmark.results import Row, write_result
from bottomup.dataset import Dataset
from bottomup.evaluation.coco import evaluate_keypoints
from bottomup.evaluation.oks import match
from bottomup.evaluation.records import read_records
from bottomup.plan.judging import evaluate_plan
from bottomup.skeletons import Skeleton
from bottomup.types import Instances, People, Prediction
from bottomup.workflows.models import make_predictor, with_checkpoint

RESULT = Path(__file__).parent / "results" / "shown.json"
CASES = {  # name -> whose weights, overrides
    "PoseNet, `decoder=personlab`": ("posenet", ()),
    "PoseNet, `decoder.scoring=hough`": ("posenet", ("decoder.scoring=hough",)),
    "PoseNet, `decoder=posenet`": ("posenet", ("decoder=posenet", "heads.mid_offsets.refine=0")),
    "BodyPix, `decoder=personlab`": ("bodypix", ()),
}
_COMMON = ("data=coco", "data.split=val", "workers=0")
_SOMEBODY = 0.1  # OKS to an annotated person, one instance each
_THEIRS = 0.3  # OKS of an instance whose keypoints are looked at
_IN_PLACE = 0.5  # similarity of one keypoint
_SMALL = 96.0**2  # px²: COCO's small and medium people


def main(arguments: Sequence[str]) -> None:
    """Predict in every case and write the table."""
    weights = dict(argument.split("=", 1) for argument in arguments if argument.split("=")[0] in ("posenet", "bodypix"))
    if len(weights) < 2:
        raise SystemExit(__doc__)
    others = [argument for argument in arguments if argument.split("=")[0] not in weights]
    rows: list[Row] = []
    for name, (whose, own) in CASES.items():
        overrides = [*_COMMON, f"weights={weights[whose]}", *others, *own]
        rows.append({"name": name} | measure(overrides))
        print(rows[-1], flush=True)
        write_result(RESULT, "shown", {"images": rows[-1]["images"]}, rows)


def measure(overrides: Sequence[str]) -> Row:
    """A row's figures."""
    plan = evaluate_plan(overrides)
    dataset = plan.data.dataset("val", plan.limit)
    model, checkpoint = with_checkpoint(plan.model, plan.weights, overrides)
    predictor = make_predictor(model, plan.viewing, plan.place.chosen_device(), checkpoint, dataset.task, plan.weights)
    found = dict(predictor.predict_dataset(dataset))
    everybody = [replace(found[index], segmentation=None) for index in range(len(dataset))]
    shown = [predictor.shown(prediction) for prediction in everybody]
    return {
        "images": len(dataset),
        "input_size": predictor.input_size,
        "score_threshold": predictor.thresholds.score,
        "keypoint_threshold": predictor.thresholds.keypoint,
        "all": figures(everybody, dataset),
        "shown": figures(shown, dataset),
        "keypoints": kept_keypoints(shown, dataset, predictor.thresholds.keypoint),
    }


def figures(predictions: Sequence[Prediction], dataset: Dataset) -> dict[str, float]:
    """People an image, the share of them that is nobody or somebody once more, and AP."""
    skeleton, truth = _skeleton(dataset), dataset.ground_truth()
    count = sum(len(prediction.instances) for prediction in predictions)
    judged = match(read_records(predictions, truth, skeleton), skeleton.sigmas, max(count, 1), (_SOMEBODY,), ("all",)).evalImgs
    nobody = sum(int(((image["dtMatches"] == 0) & (image["dtIgnore"] == 0)).sum()) for image in judged if image is not None)
    return {
        "people": count / len(predictions),
        "nobody": nobody / max(count, 1),
        "AP": evaluate_keypoints(predictions, truth, skeleton)["AP"],
    }


def kept_keypoints(predictions: Sequence[Prediction], dataset: Dataset, threshold: float) -> dict[str, float]:
    """Of keypoints in their place the share of a presence above the threshold, and of such a score."""
    sigmas = torch.tensor(_skeleton(dataset).sigmas)
    parts = [_in_place(prediction.instances, dataset.people(index), sigmas) for index, prediction in enumerate(predictions)]
    presence, scores, areas = (torch.cat(part) for part in zip(*parts, strict=True))
    small = areas < _SMALL
    return {
        "presence": float((presence > threshold).float().mean()),
        "score": float((scores > threshold).float().mean()),
        "presence_small": float((presence[small] > threshold).float().mean()),
        "score_small": float((scores[small] > threshold).float().mean()),
    }


def _in_place(instances: Instances, people: People, sigmas: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The presence, the score and the person's area of each keypoint that stands where that of the most alike person is."""
    labelled = torch.from_numpy(people.visibility > 0)
    posed = labelled.any(1)
    if not len(instances) or not posed.any():
        return torch.zeros(0), torch.zeros(0), torch.zeros(0)
    labelled, areas = labelled[posed], torch.from_numpy(people.areas)[posed]
    apart = (instances.keypoints[:, None] - torch.from_numpy(people.keypoints)[posed]).square().sum(-1)  # (P, N, K)
    alike = torch.exp(-apart / (2 * areas[:, None] * (2 * sigmas).square())).nan_to_num() * labelled
    oks, whose = (alike.sum(-1) / labelled.sum(-1)).max(1)
    in_place = (alike[torch.arange(len(whose)), whose] > _IN_PLACE) & (oks >= _THEIRS)[:, None]
    return instances.presence[in_place], instances.keypoint_scores[in_place], areas[whose][:, None].expand_as(in_place)[in_place]


def _skeleton(dataset: Dataset) -> Skeleton:
    assert dataset.task.skeleton is not None  # with_checkpoint's models and COCO's people have one
    return dataset.task.skeleton


if __name__ == "__main__":
    main(sys.argv[1:])
