"""People -> fields -> votes and walks -> people."""

from __future__ import annotations

from pathlib import Path

import pytest

from bottomup.compose import compose_dataset, compose_model
from bottomup.data.subset import Subset
from bottomup.evaluation.run import evaluate_dataset
from bottomup.predictor import Predictor
from bottomup.skeletons import COCO
from bottomup.types import Batch, Instances, Task
from tests.scenes import assert_found, make_batch

ORACLE = ("heatmap", "short_offsets", "mid_offsets")
BACKBONES = {
    "centred": {"name": "hourglass", "stacks": 1, "levels": 2, "channels": 8, "growth": 4},
    "cornered": {"name": "dilated", "network": "resnet18", "output_stride": 8},
}


def make_predictor(backbone: str = "cornered", radius: float = 12.0, **options: object) -> Predictor:
    config = {
        "backbone": BACKBONES[backbone],
        "heads": {
            "heatmap": {"shape": "disk", "criterion": "logistic", "radius": radius},
            "short_offsets": {"radius": radius},
            "mid_offsets": {"radius": radius},
        },
        "decoder": {"name": "personlab", "radius": radius, "nms_radius": 4.0, **options.pop("decoder", {})},  # type: ignore[dict-item]
    }
    model, decoder = compose_model(config, Task(COCO))
    return Predictor(model, decoder, **options)  # type: ignore[arg-type]


def decode(predictor: Predictor, batch: Batch) -> list[Instances]:
    return [prediction.instances for prediction in predictor.predict_batch(batch, ORACLE)]


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("decoder", [{}, {"scoring": "hough"}, {"nms": "hard"}, {"vote_threshold": 0.5}], ids=str)
def test_ideal_fields_bring_everybody_back(backbone: str, decoder: dict[str, object]) -> None:
    size = (129, 161) if backbone == "cornered" else (128, 160)
    batch = make_batch([2, 1, 0, 2], size)
    for row, instances in enumerate(decode(make_predictor(backbone, decoder=decoder), batch)):
        assert_found(instances, batch, row, within=1.0)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_votes_on_finer_maps_find_everybody_first(backbone: str) -> None:
    """Offsets resized across the border between two people vote for places between them: weak instances after the others."""
    size = (129, 161) if backbone == "cornered" else (128, 160)
    batch = make_batch([2, 1, 0, 2], size)
    for row, instances in enumerate(decode(make_predictor(backbone, decoder={"vote_stride": 2}), batch)):
        people = int(batch.present[row].sum())
        assert_found(instances[:people], batch, row, within=1.0)
        assert (instances.scores[people:] < 0.1).all()


def test_a_walk_passes_through_keypoints_that_nobody_annotated() -> None:
    batch = make_batch([1, 1, 1, 1], (129, 161), labelled=0.5)
    for row, instances in enumerate(decode(make_predictor(), batch)):
        assert_found(instances, batch, row, within=1.0)


def test_flipped_views_bring_the_same_people_back() -> None:
    batch = make_batch([2, 1], (129, 161))
    for row, instances in enumerate(decode(make_predictor(flip=True), batch)):
        assert_found(instances, batch, row, within=1.0)


def test_real_people_come_back(shared: Path) -> None:
    dataset = compose_dataset({"name": "coco", "root": str(shared / "data/coco_person")}, "val")
    predictor = make_predictor(radius=32.0, decoder={"nms_radius": 10.0}, input_size=801)
    metrics = evaluate_dataset(predictor, Subset(dataset, list(range(0, 195, 8))), oracle=ORACLE).metrics
    assert metrics["AP"] > 0.95 and metrics["AP50"] > 0.98
