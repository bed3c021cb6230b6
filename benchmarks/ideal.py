"""What PersonLab's decoder makes of flawless fields, beside true masks of the same stride.

``python benchmarks/ideal.py data=coco data.root=FOLDER [OVERRIDE …]`` evaluates a split with all fields ideal, with keypoints
carried through unannotated ones and without, and the true masks read at the cells' centres and drawn back from there; it writes
``benchmarks/results/ideal.json``. People without labelled keypoints cannot be found: ``mask_AP_posed`` leaves them out.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from torch import Tensor

from bottomup.benchmark.results import Row, write_result
from bottomup.coco.masks import mask_rle
from bottomup.dataset import Dataset
from bottomup.evaluation.masks import evaluate_masks
from bottomup.evaluation.records import by_image
from bottomup.evaluation.run import evaluate_dataset
from bottomup.geometry import Grid, invert, transform_points
from bottomup.masks import Masks
from bottomup.plan.judging import evaluate_plan
from bottomup.predictor import Predictor
from bottomup.types import Instances, Prediction, Sample
from bottomup.workflows.models import make_predictor

RESULT = Path(__file__).parent / "results" / "ideal.json"
FIELDS = ("heatmap", "segmentation", "short_offsets", "mid_offsets", "long_offsets")
_COMMON = ("method=personlab", "backbone=mobilenet_v1", "backbone.output_stride=8", "data.split=val", "workers=0")
_SHOWN = ("AP", "AR", "mask_AP", "mask_AP_posed")


def main(arguments: Sequence[str]) -> None:
    """Evaluate and write the rows."""
    if not arguments:
        raise SystemExit(__doc__)
    write_measured(RESULT, measure, [*_COMMON, *arguments])


def write_measured(result: Path, measure: Callable[[Sequence[str]], Iterator[Row]], overrides: Sequence[str]) -> None:
    """Print the rows that a benchmark measures with overrides as they come, and write them, without the place of the data."""
    rows: list[Row] = []
    for row in measure(overrides):
        rows.append(row)
        print(row, flush=True)
    shown = [given for given in overrides if not given.startswith("data.root=")]
    print(write_result(result, result.stem, {"overrides": shown}, rows))


def measure(overrides: Sequence[str]) -> Iterator[Row]:
    """The rows: ideal fields, the same without carrying, true masks at the same stride."""
    for name, own in (("ideal fields", []), ("without carrying", ["heads.mid_offsets.carry=false"])):
        predictor, dataset, most = _setting([*overrides, *own])
        metrics = evaluate_dataset(predictor, dataset, oracle=FIELDS, max_people=most).metrics
        yield {"name": name} | {figure: metrics[figure] for figure in _SHOWN}
    predictor, dataset, most = _setting(overrides)
    masks = evaluate_masks(true_masks(predictor, dataset), dataset.ground_truth(), most)
    yield {"name": "true masks"} | {figure: masks.get(figure) for figure in _SHOWN}


def _setting(overrides: Sequence[str]) -> tuple[Predictor, Dataset, int]:
    """What an evaluation needs: the model, the data and the most people of an image that count."""
    plan = evaluate_plan(overrides)
    dataset = plan.data.dataset("val", plan.limit)
    predictor = make_predictor(plan.model, plan.viewing, plan.place.chosen_device(), None, dataset.task)
    return predictor, dataset, plan.max_people


def true_masks(predictor: Predictor, dataset: Dataset) -> Iterator[Prediction]:
    """Of each image the masks of people who have keypoints, read at the cells of the predictor's segmentation; all of score 1."""
    truth = dataset.ground_truth()
    images, people = {image["id"]: image for image in truth["images"]}, by_image(truth["annotations"])
    (grid,) = {predictor.model.grids[key] for key in predictor.model.grids if key.startswith("segmentation")}
    for _, sample in predictor.samples(dataset, FIELDS):
        found = [person["segmentation"] for person in people.get(sample.image_id, []) if _findable(person)]
        drawn = [coco_mask.decode(mask_rle(outline, images[sample.image_id])) for outline in found]
        levels = [read_at_cells(mask.astype(bool), sample, grid) for mask in drawn]
        instances = _nobody_posed(len(levels), dataset.task.keypoints)
        if levels:
            masks = Masks.of_levels(torch.stack(levels), grid).transform(invert(sample.to_input))
            instances = replace(instances, masks=masks)
        yield Prediction(instances, sample.file_size, image_id=sample.image_id)


def read_at_cells(mask: NDArray[np.bool_], sample: Sample, grid: Grid) -> Tensor:
    """A mask (H, W) in image px at the centres of a sample's cells, (h, w): 1 inside, -1 outside."""
    h, w = grid.shape(sample.shape)
    x, y = (grid.origin + grid.stride * np.arange(cells) for cells in (w, h))
    centres = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    column, row = np.floor(transform_points(centres, invert(sample.to_input))).astype(int).T
    within = (column >= 0) & (row >= 0) & (column < mask.shape[1]) & (row < mask.shape[0])
    inside = np.zeros(len(centres), bool)
    inside[within] = mask[row[within], column[within]]
    return torch.from_numpy(np.where(inside, 1.0, -1.0)).view(h, w)


def _findable(person: dict[str, Any]) -> bool:
    return bool(person.get("segmentation")) and not person["iscrowd"] and any((person.get("keypoints") or [])[2::3])


def _nobody_posed(people: int, keypoints: int) -> Instances:
    return Instances.of_keypoints(torch.zeros(people, keypoints, 2), torch.zeros(people, keypoints), torch.ones(people))


if __name__ == "__main__":
    main(sys.argv[1:])
