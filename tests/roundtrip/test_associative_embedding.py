"""People -> targets -> decoder -> people: what the heads call ideal, the decoder must bring back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.cues import swap
from bottomup.evaluation.coco import evaluate_keypoints
from bottomup.evaluation.run import evaluate_dataset
from bottomup.plan.data import DataPlan
from bottomup.plan.model import ModelPlan
from bottomup.predictor import Predictor
from bottomup.samples.subset import Subset
from bottomup.skeletons import COCO
from bottomup.types import Batch, Instances, Task
from bottomup.views import merge
from tests.scenes import assert_found, make_batch

ORACLE = ("heatmap", "tags")


def make_predictor(tag_size: int = 1, distance: str = "l2", sigma: float = 4.0, **options: object) -> Predictor:
    config = {
        "backbone": {"name": "hourglass", "stacks": 1, "levels": 2, "channels": 8, "growth": 4},
        "heads": {"heatmap": {"sigma": sigma}, "tags": {"dim": tag_size, "distance": distance}},
        "decoder": {"name": "associative_embedding", **options.pop("decoder", {})},  # type: ignore[dict-item]
    }
    model, decoder = ModelPlan.of(config).compose(Task(COCO))
    return Predictor(model, decoder, **options)  # type: ignore[arg-type]


def decode(predictor: Predictor, batch: Batch) -> list[Instances]:
    return [prediction.instances for prediction in predictor.predict_batch(batch, ORACLE)]


@pytest.mark.parametrize("options", [{}, {"flip": True}, {"scales": (1.0, 0.5)}, {"scales": (1.0, 2.0), "flip": True}], ids=str)
@pytest.mark.parametrize(("tag_size", "distance"), [(1, "l2"), (1, "rms"), (2, "l2"), (3, "rms")])
def test_ideal_maps_bring_everybody_back(options: dict[str, object], tag_size: int, distance: str) -> None:
    predictor = make_predictor(tag_size, distance, **options)
    batch = make_batch([3, 1, 0, 2], (128, 160))
    if "scales" in options:  # a batch is made at the largest scale; here it stands for that
        views = predictor.views
        predictor.views = replace(views, scales=tuple(scale / max(views.scales) for scale in views.scales))
    for row, instances in enumerate(decode(predictor, batch)):
        if predictor.views.scales[0] == 1.0:
            assert_found(instances, batch, row, within=2.0 if len(predictor.views.scales) > 1 else 0.5)


@pytest.mark.parametrize("tag_size", [1, 8])
@pytest.mark.parametrize("distance", ["l2", "rms"])
def test_two_equal_views_decode_as_one(distance: str, tag_size: int) -> None:
    """People 1.3 apart stay two, beyond the threshold of 1, however many views say it."""
    predictor, batch = make_predictor(tag_size, distance), make_batch([3], (128, 160))
    model, frame = predictor.model, predictor.model.frame(batch)
    ideal = model.ideal(batch, ORACLE)
    once = {**ideal, "tags": ideal["tags"] * 0.13}
    (alone,), (merged,) = (
        predictor.decoder(once, frame),
        predictor.decoder(merge(model, [once, once], [frame, frame], frame), frame),
    )
    assert_found(alone.instances, batch, 0, within=0.5)
    alone, merged = (replace(found.instances, tags=None) for found in (alone, merged))  # which are of as many numbers as views say
    for one, other in zip(vars(alone).values(), vars(merged).values(), strict=True):
        torch.testing.assert_close(other, one, equal_nan=True)


@pytest.mark.parametrize("scales", [(1.0, 1.5), (1.0, 0.5, 2.0), (2.0, 1.0, 0.5)])
def test_several_scales_do_not_lose_to_one(shared: Path, scales: tuple[float, ...]) -> None:
    """Where the first is not the finest: a coarser view alone blurs what is close together, as the mean of heatmaps does."""
    whole = DataPlan.of({"name": "coco", "root": str(shared / "data" / "coco_person")} | {"split": "val"}).dataset("val")
    dataset = Subset(whole, list(range(0, len(whole), 12)))
    predictors = (make_predictor(sigma=8.0), make_predictor(sigma=8.0, scales=scales))
    one, several = (evaluate_dataset(predictor, dataset, oracle=ORACLE).metrics["AP"] for predictor in predictors)
    assert several >= one > 0.98


def test_the_order_of_people_does_not_matter() -> None:
    batch = make_batch([3], (128, 160))
    turned = Batch(**{**batch.__dict__, "keypoints": batch.keypoints.flip(1), "visibility": batch.visibility.flip(1)})
    predictor = make_predictor()
    for instances in (decode(predictor, batch)[0], decode(predictor, turned)[0]):
        assert_found(instances, batch, 0, within=0.5)


def test_real_people_come_back_from_ideal_maps(shared: Path) -> None:
    """A bias of half a pixel, or a swap of left and right, would cost most of this."""
    dataset = DataPlan.of({"name": "coco", "root": str(shared / "data" / "coco_person")} | {"split": "val"}).dataset("val")
    evaluation = evaluate_dataset(make_predictor(sigma=8.0), Subset(dataset, list(range(0, 195, 4))), oracle=ORACLE)
    assert evaluation.metrics["AP"] > 0.98


def test_swapped_sides_are_noticed(shared: Path) -> None:
    dataset = Subset(
        DataPlan.of({"name": "coco", "root": str(shared / "data" / "coco_person")} | {"split": "val"}).dataset("val"),
        list(range(12)),
    )
    predictor = make_predictor()
    evaluation = evaluate_dataset(predictor, dataset, oracle=ORACLE)
    swapped = [swap(prediction, COCO.flip_order) for prediction in evaluation.predictions]
    assert evaluate_keypoints(swapped, evaluation.ground_truth, COCO)["AP"] < evaluation.metrics["AP"] - 0.3  # type: ignore[arg-type]


def test_noise_is_bounded() -> None:
    predictor = make_predictor()
    outputs = {"heatmap": torch.randn(2, 17, 64, 64).sigmoid(), "tags": torch.randn(2, 17, 1, 64, 64)}
    batch = make_batch([0, 0], (256, 256))
    for prediction in predictor.decoder(outputs, predictor.model.frame(batch)):
        assert len(prediction.instances) <= 30
        assert np.isfinite(prediction.instances.scores.numpy()).all()
