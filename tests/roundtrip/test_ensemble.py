"""Several networks, and crops: what each finds in ideal maps all find together, and equal ones find what one does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import bottomup
from bottomup.crops import Crops
from bottomup.data.synthetic import Synthetic
from bottomup.dataset import Dataset
from bottomup.ensemble import Ensemble
from bottomup.errors import ConfigError
from bottomup.evaluation.run import evaluate_dataset
from bottomup.plan.model import ModelPlan
from bottomup.predictor import Predictor
from bottomup.skeletons import COCO, Skeleton
from bottomup.types import Prediction, Task

HOURGLASS: dict[str, Any] = {"name": "hourglass", "stacks": 1, "levels": 2, "channels": 8, "growth": 4}
METHODS: dict[str, dict[str, Any]] = {
    "tags": {"heads": {"heatmap": {"sigma": 4.0}, "tags": {"dim": 1}}, "decoder": {"name": "associative_embedding"}},
    "offsets": {
        "heads": {name: {"radius": 8.0} for name in ("short_offsets", "mid_offsets")}
        | {"heatmap": {"shape": "disk", "radius": 8.0}, "segmentation": {}, "long_offsets": {}},
        "decoder": {"name": "personlab"},
    },
}
ORACLE = ["heatmap", "tags", "short_offsets", "mid_offsets", "segmentation", "long_offsets"]


def member(method: str, *, skeleton: Skeleton = COCO, decoder: dict[str, Any] | None = None, **options: Any) -> Predictor:
    torch.manual_seed(0)
    config = {"backbone": HOURGLASS, **METHODS[method]}
    config["decoder"] = config["decoder"] | (decoder or {})
    model, built = ModelPlan.of(config).compose(Task(skeleton))
    return Predictor(model, built, **{"input_size": 128, "batch_size": 3} | options)


@pytest.fixture(scope="module")
def drawn() -> Dataset:
    return Synthetic(split="val", images=4, size=128, people=(1, 3), height=(0.4, 0.8))


def average_precision(predictor: bottomup.Predictor | Ensemble, dataset: Dataset) -> float:
    oracle = [name for name in ORACLE if any(name in model.heads for model in predictor.models)]
    return evaluate_dataset(predictor, dataset, oracle=oracle).metrics["AP"]


ENSEMBLES = {
    "the same twice": lambda: [member("tags"), member("tags")],
    "two sizes of input": lambda: [member("tags", views="instances"), member("tags", input_size=160, views="instances")],
    "two sides": lambda: [member("tags"), member("tags", side="short")],
    "two methods": lambda: [member("offsets"), member("tags")],
    "two methods, mirrored": lambda: [member("offsets", flip=True), member("tags", flip=True)],
    "two methods, two scales": lambda: [member(name, scales=(1.0, 0.75), views="instances") for name in METHODS],
}
SOME = (
    0.015  # AP: maps that are resampled onto others blur a little; the best of two that are alike is the better only by its score
)


@pytest.mark.parametrize("name", ENSEMBLES)
def test_nothing_of_ideal_maps_is_lost(name: str, drawn: Dataset) -> None:
    members = ENSEMBLES[name]()
    alone = [average_precision(one, drawn) for one in members]
    assert average_precision(Ensemble(members), drawn) >= max(alone) - 0.002 > 0.9


def test_little_of_ideal_maps_of_two_sizes_is_lost_where_they_are_merged(drawn: Dataset) -> None:
    members = [member("tags"), member("tags", input_size=160)]
    both = Ensemble(members)
    assert both.merged and average_precision(both, drawn) >= max(average_precision(one, drawn) for one in members) - SOME


def test_little_of_ideal_maps_of_two_methods_is_lost_to_suppression(drawn: Dataset) -> None:
    members = [member(name, views="oks_nms") for name in METHODS]
    assert average_precision(Ensemble(members), drawn) >= max(average_precision(one, drawn) for one in members) - SOME


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("views", "lost"), [("instances", 0.002), ("oks_nms", SOME)])
def test_ideal_maps_of_crops_beside_the_image_lose_nothing(method: str, views: str, lost: float, drawn: Dataset) -> None:
    one = member(method, views=views)
    cut = Ensemble([one], crops=Crops(size=80, overlap=0.5))
    assert average_precision(cut, drawn) >= average_precision(one, drawn) - lost > 0.9


def test_who_has_no_vote_only_adds_people(drawn: Dataset) -> None:
    """Of networks that see the same, one without a vote changes nothing; of what it alone finds all stays, behind the others."""
    strong, weak = member("tags", views="instances"), member("offsets", views="instances")
    both = Ensemble([strong, weak], votes=(1.0, 0.0))
    for alone, joined in zip(predictions(strong, drawn), predictions(both, drawn), strict=True):
        first = joined.instances[: len(alone.instances)]
        torch.testing.assert_close(first.keypoints, alone.instances.keypoints, equal_nan=True, atol=0.01, rtol=0)
        torch.testing.assert_close(first.scores, alone.instances.scores, atol=1e-4, rtol=0)
        assert (joined.instances.scores[len(alone.instances) :] < 1e-6).all()


@pytest.mark.parametrize("votes", [(1.0,), (0.0, 0.0), (1.0, -1.0)])
def test_votes_that_cannot_be_are_refused(votes: tuple[float, ...]) -> None:
    with pytest.raises(ConfigError, match=r"votes should be (2|a list of) numbers from 0 on"):
        Ensemble([member("tags"), member("tags")], votes=votes)


def predictions(predictor: bottomup.Predictor | Ensemble, dataset: Dataset) -> Iterator[Prediction]:
    found = dict(predictor.predict_dataset(dataset, [name for name in ORACLE if name in predictor.model.heads]))
    return (found[index] for index in sorted(found))


def assert_same(a: Prediction, b: Prediction) -> None:
    assert (a.size, a.image_id, len(a.instances)) == (b.size, b.image_id, len(b.instances))
    for name in ("keypoints", "keypoint_scores", "scores", "boxes"):
        one, other = getattr(a.instances, name), getattr(b.instances, name)
        torch.testing.assert_close(one, other, equal_nan=True, atol=2e-3, rtol=1e-4)
    if a.segmentation is not None and b.segmentation is not None:
        torch.testing.assert_close(a.segmentation, b.segmentation, atol=1e-4, rtol=0)


@pytest.mark.parametrize("views", ["maps", "instances", "oks_nms"])
@pytest.mark.parametrize("method", METHODS)
def test_equal_members_find_what_one_does(method: str, views: str, drawn: Dataset) -> None:
    """Hard suppression: soft one rates anew whom it suppresses twice."""
    decoder = {"suppression": {"nms": "hard"}} if method == "offsets" else None
    one = member(method, views=views, decoder=decoder)
    both = Ensemble([one, member(method, views=views, decoder=decoder)])
    assert both.merged == (views == "maps")
    for alone, joined in zip(predictions(one, drawn), predictions(both, drawn), strict=True):
        assert len(alone.instances)
        assert_same(joined, alone)


def test_batches_of_images_and_crops_find_what_one_at_a_time_does(drawn: Dataset) -> None:
    crops = Crops(size=80, overlap=0.5)
    several, single = (
        Ensemble([member("offsets", batch_size=size), member("tags", batch_size=size)], crops=crops) for size in (5, 1)
    )
    for a, b in zip(predictions(several, drawn), predictions(single, drawn), strict=True):
        assert_same(a, b)


def test_members_are_merged_as_maps_where_keys_axes_and_grids_agree() -> None:
    assert Ensemble([member("tags"), member("offsets"), member("tags", input_size=160)]).teams == [[0, 2], [1]]
    assert Ensemble([member("tags", views="instances")] * 2).teams == [[0], [1]]


def test_masks_stay_whose_members_find_them(drawn: Dataset) -> None:
    """Those that some members find are kept, and nobody's mask is lost to a member that finds none."""
    one = member("offsets")
    for alone, joined in zip(predictions(one, drawn), predictions(Ensemble([one, member("tags")]), drawn), strict=True):
        assert alone.instances.masks is not None and joined.instances.masks is not None
        assert joined.segmentation is not None
        for own in joined.instances.masks.draw(joined.size):
            if own.any():
                overlaps = [(own & other).sum() / (own | other).sum() for other in alone.instances.masks.draw(alone.size)]
                assert max(overlaps) > 0.9


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (
            lambda: member("tags", skeleton=replace(COCO, keypoints=COCO.keypoints[::-1])),
            "same keypoints.*number 2 has 17 .right_ankle",
        ),
        (lambda: member("offsets", views="instances"), "same views; the first has 1 .maps.*number 2 has 1 .instances"),
    ],
    ids=["keypoints", "views"],
)
def test_members_that_do_not_find_the_same_are_refused(other: Any, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        Ensemble([member("tags"), other()])
    with pytest.raises(ConfigError, match="at least one member"):
        Ensemble([])


def test_photos_are_predicted_and_looked_at_as_with_one(tmp_path: Path) -> None:
    """The face of an ensemble is a predictor's: one image or several, with the maps of the first that is decoded."""
    both = Ensemble(
        [member("tags", score_threshold=0.0, decoder={"detection_threshold": 0.001}), member("offsets", score_threshold=0.0)],
        crops=Crops(size=64),
    )
    pixels = np.random.default_rng(0).integers(0, 255, (96, 128, 3), np.uint8)
    one, (again,), look = both(pixels), both([pixels]), both.look(pixels)
    assert isinstance(one, Prediction) and one.skeleton == COCO
    assert_same(one, again)
    assert_same(one, look.prediction)
    assert look.outputs.keys() >= {"heatmap", "tags"} and look.image.shape[0] == 3
    assert both.thresholds.score == 0.0 and "Ensemble(Predictor(" in repr(both)
