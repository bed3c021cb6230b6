"""What the decoder of Associative Embedding's masks makes of flawless foreground and tags, beside true masks of the same stride.

``python benchmarks/instance_tags.py data=coco data.root=FOLDER [OVERRIDE …]`` evaluates a split at 256 px, 64 x 64 cells as
published, and at 512 px: foreground and tags ideal, and the true masks as the same cells hold them, read at their centres or as
the share of each cell that they cover, and drawn back from there. It writes ``benchmarks/results/instance_tags.json``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from torch import Tensor

from bottomup.benchmark.results import Row
from bottomup.coco.masks import mask_rle
from bottomup.dataset import Dataset
from bottomup.evaluation.masks import evaluate_categories, mean_of_categories
from bottomup.evaluation.records import by_image
from bottomup.evaluation.run import evaluate_dataset
from bottomup.geometry import Grid, invert, share_of_cells
from bottomup.masks import Masks
from bottomup.plan.judging import evaluate_plan
from bottomup.predictor import Predictor
from bottomup.samples.warps import warp_map
from bottomup.types import Instances, Prediction, Sample
from bottomup.workflows.models import make_predictor

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.ideal import read_at_cells, write_measured

RESULT = Path(__file__).parent / "results" / "instance_tags.json"
MAPS = ("segmentation", "instance_tags")
SIDES = (256, 512)  # px; 64 x 64 and 128 x 128 cells
_COMMON = ("method=associative_embedding_segmentation", "backbone=hourglass_tiny", "data.split=val", "workers=0", "max_people=100")
_SHOWN = ("mask_AP", "mask_AP50", "mask_AP75")


def main(arguments: Sequence[str]) -> None:
    """Evaluate and write the rows."""
    if not arguments:
        raise SystemExit(__doc__)
    write_measured(RESULT, measure, [*_COMMON, *arguments])


def measure(overrides: Sequence[str], sides: Sequence[int] = SIDES) -> Iterator[Row]:
    """The rows: of each size ideal maps, true masks at the same cells, and which share of these the decoder keeps."""
    for side in sides:
        plan = evaluate_plan([*overrides, f"input_size={side}"])
        dataset = plan.data.dataset("val", plan.limit)
        predictor = make_predictor(plan.model, plan.viewing, plan.place.chosen_device(), None, dataset.task)
        found = evaluate_dataset(predictor, dataset, oracle=MAPS, max_people=plan.max_people).metrics
        yield _row(f"{side} px, ideal foreground and tags", found)
        for name, read in READINGS.items():
            limit = list(true_masks(predictor, dataset, read))
            most = mean_of_categories(evaluate_categories(limit, dataset.ground_truth(), plan.max_people).values())
            yield _row(f"{side} px, true masks, {name}", most)


def _row(name: str, metrics: Mapping[str, float]) -> Row:
    return {"name": name} | {figure: metrics[figure] for figure in _SHOWN}


def shares(mask: NDArray[np.bool_], sample: Sample, grid: Grid) -> Tensor:
    """By how much more than half a mask (H, W) in image px covers each of a sample's cells, (h, w) in [-1, 1]."""
    moved = warp_map(mask.astype(np.uint8), sample.to_input, sample.shape, 0).astype(bool)
    return 2 * share_of_cells(torch.from_numpy(moved)[None], grid)[0] - 1


READINGS: dict[str, Callable[[NDArray[np.bool_], Sample, Grid], Tensor]] = {
    "centres of cells": read_at_cells,
    "shares of cells": shares,
}


def true_masks(
    predictor: Predictor, dataset: Dataset, read: Callable[[NDArray[np.bool_], Sample, Grid], Tensor]
) -> Iterator[Prediction]:
    """Of each image the masks of all objects, as the cells of the predictor's tags hold them; all of score 1."""
    truth = dataset.ground_truth()
    images, objects = {image["id"]: image for image in truth["images"]}, by_image(truth["annotations"])
    labels = {category["id"]: label for label, category in enumerate(truth["categories"])}
    grid = predictor.model.grids["instance_tags"]
    for _, sample in predictor.samples(dataset, MAPS):
        own = [entry for entry in objects.get(sample.image_id, []) if entry.get("segmentation") and not entry["iscrowd"]]
        drawn = [coco_mask.decode(mask_rle(entry["segmentation"], images[sample.image_id])) for entry in own]
        levels = [read(mask.astype(bool), sample, grid) for mask in drawn]
        masks = Masks.of_levels(torch.stack([*levels, torch.zeros(grid.shape(sample.shape))])[: len(own)], grid)
        masks, label = masks.transform(invert(sample.to_input)), torch.tensor([labels[entry["category_id"]] for entry in own])
        nowhere = torch.zeros(len(own), 0, 2), torch.zeros(len(own), 0)
        instances = Instances(*nowhere, torch.ones(len(own)), masks.boxes(sample.file_size), label, masks)
        yield Prediction(instances, sample.file_size, image_id=sample.image_id)


if __name__ == "__main__":
    main(sys.argv[1:])
