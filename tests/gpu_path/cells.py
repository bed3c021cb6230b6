"""What is run on the card: every method, and every cell in which parts of several are composed, on small networks."""

from __future__ import annotations

from functools import cache

import pytest
import torch

from bottomup.benchmark.cells import cells_of
from bottomup.contracts import Decoder
from bottomup.model import PoseModel
from bottomup.plan.composing import load_config
from bottomup.plan.model import ModelPlan
from bottomup.skeletons import COCO
from bottomup.types import IGNORE_MAPS, Batch, Task

MEASURED = ("train=", "engine.", "judge.", "measure.", "oracle=", "flip=")  # of a benchmark's options those that no model has
PEOPLE = 6  # for whom there is room in a batch

METHODS = {
    "associative_embedding": ["backbone=hourglass_tiny"],
    "personlab": ["backbone=hourglass_tiny"],
    "multiposenet": ["backbone=resnet10_fpn", "necks.people.levels=[3,5]"],
}
FURTHER = {
    "associative_embedding_segmentation": ["backbone=hourglass_tiny"],
    "higherhrnet": ["backbone=hourglass_tiny", "heads.tags.dim=2"],
    "single_person": ["backbone=hourglass_tiny"],
}
DECODERS = {
    "as HigherHRNet groups": ["method=associative_embedding", *METHODS["associative_embedding"], "decoder=higherhrnet"],
    "as pose-ae-train groups": ["method=associative_embedding", *METHODS["associative_embedding"], "decoder=pose_ae"],
    "as Google walks": ["method=personlab", *METHODS["personlab"], "decoder=posenet", "heads.mid_offsets.refine=0"],
    "PersonLab's best": ["method=personlab", *METHODS["personlab"], "decoder=personlab_best"],
    "PersonLab's, of some votes": ["method=personlab", *METHODS["personlab"], "decoder.voting.threshold=0.1"],
}


def _of_matrices() -> dict[str, list[str]]:
    """The cells of the matrices that are measured, each once."""
    listed = [cell for matrix in ("small", "multiposenet") for cell in cells_of(matrix, [])]
    return {cell.name: [entry for entry in cell.overrides if not entry.startswith(MEASURED)] for cell in listed}


def cells(quick: tuple[str, ...] = tuple(METHODS)) -> list[object]:
    """The parameters of a test over all cells: those methods that are quick, and the rest, which is slow."""
    slow = {name: [f"method={name}", *own] for name, own in FURTHER.items()} | DECODERS | _of_matrices()
    every = {name: [f"method={name}", *own] for name, own in METHODS.items()} | slow
    marks = {name: () if name in quick else (pytest.mark.slow,) for name in every}
    return [pytest.param(tuple(own), id=name, marks=marks[name]) for name, own in every.items()]


@cache
def composed(cell: tuple[str, ...]) -> tuple[PoseModel, Decoder, tuple[str, ...]]:
    """A cell's model on the host, its decoder, and the heads whose ideal outputs are given; to be copied, not changed."""
    config = load_config("train", list(cell))
    (config.get("backbone") or {}).pop("pretrained", None)  # nothing is fetched here
    torch.manual_seed(0)
    model, decoder = ModelPlan.of(config).compose(Task(COCO))
    return model, decoder, tuple(config["given"])


def batch_for(model: PoseModel, people: tuple[int, ...] = (2, 1), room: int = PEOPLE) -> Batch:
    """A batch on the host that a model trains on, with room for so many people in each image, and with every map."""
    side = model.side(64, "all")
    random = torch.Generator().manual_seed(0)
    present = torch.arange(room) < torch.tensor(people)[:, None]
    keypoints = torch.rand(len(people), room, len(COCO), 2, generator=random) * side * present[..., None, None]
    return Batch(
        size=(side, side),
        keypoints=keypoints,
        visibility=(present[..., None] * 2).expand(keypoints.shape[:-1]).to(torch.uint8),
        boxes=torch.cat((keypoints.amin(2), keypoints.amax(2)), dim=-1),
        areas=present * 100.0,
        labels=torch.zeros(present.shape, dtype=torch.int64),
        has_mask=present,
        present=present,
        content=torch.tensor([[0.0, 0.0, side, side]]).repeat(len(people), 1),
        image_ids=tuple(range(len(people))),
        file_sizes=((side, side),) * len(people),
        to_input=torch.eye(2, 3, dtype=torch.float64).repeat(len(people), 1, 1),
        ignore={name: torch.zeros((len(people), side, side), dtype=torch.bool) for name in IGNORE_MAPS},
        images=torch.randint(0, 256, (len(people), 3, side, side), dtype=torch.uint8, generator=random),
        instances=torch.randint(-1, 1 + max(people), (len(people), side, side), dtype=torch.int16, generator=random),
        annotated=torch.ones((len(people), len(COCO)), dtype=torch.bool),
        most=max(1, *people),
    )
