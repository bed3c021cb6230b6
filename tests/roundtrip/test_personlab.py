"""People -> fields -> votes and walks -> people."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from bottomup.contracts import Decoder
from bottomup.errors import ConfigError
from bottomup.evaluation.run import evaluate_dataset
from bottomup.geometry import Grid, at_cells
from bottomup.plan.composing import load_config
from bottomup.plan.data import DataPlan
from bottomup.plan.model import ModelPlan
from bottomup.predictor import Predictor
from bottomup.samples.subset import Subset
from bottomup.skeletons import COCO
from bottomup.types import Batch, Frame, Instances, Outputs, Task
from tests.scenes import assert_found, make_batch

ORACLE = ("heatmap", "short_offsets", "mid_offsets")
MASKS = ("segmentation", "long_offsets")
BACKBONES = {
    "centred": {"name": "hourglass", "stacks": 1, "levels": 2, "channels": 8, "growth": 4},
    "cornered": {"name": "dilated", "network": "resnet18", "output_stride": 8},
}


def make_predictor(backbone: str = "cornered", radius: float = 12.0, masks: bool = False, **options: object) -> Predictor:
    decoder: dict[str, Any] = options.pop("decoder", {})  # type: ignore[assignment]
    suppression = {"radius": 4.0} | decoder.get("suppression", {})
    config: dict[str, Any] = {
        "backbone": BACKBONES[backbone],
        "heads": {
            "heatmap": {"shape": "disk", "criterion": "logistic", "radius": radius},
            "short_offsets": {"radius": radius},
            "mid_offsets": {"radius": radius},
        },
        "decoder": {
            "name": "personlab",
            **decoder,
            "voting": {"radius": radius} | decoder.get("voting", {}),
            "suppression": suppression,
        },
    }
    if masks:
        config["heads"] |= {"segmentation": {}, "long_offsets": {"radius": radius}}
    model, decoder = ModelPlan.of(config).compose(Task(COCO))
    return Predictor(model, decoder, **options)  # type: ignore[arg-type]


def grid_of(predictor: Predictor) -> Grid:
    return predictor.model.stack("long_offsets").last.grids["long_offsets"]


def decode(predictor: Predictor, batch: Batch) -> list[Instances]:
    return [prediction.instances for prediction in predictor.predict_batch(batch, ORACLE)]


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize(
    "decoder", [{}, {"scoring": "hough"}, {"suppression": {"nms": "hard"}}, {"voting": {"threshold": 0.5}}], ids=str
)
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
    for row, instances in enumerate(decode(make_predictor(backbone, decoder={"voting": {"stride": 2}}), batch)):
        people = int(batch.present[row].sum())
        assert_found(instances[:people], batch, row, within=1.0)
        assert (instances.scores[people:] < 0.1).all()


def test_the_published_experiments_vote_where_eq_3_promises_a_perfect_small_person_its_oks() -> None:
    """A person of 60 px; at the maps' own stride the gaussian of eq. 3 falls between the cells."""
    batch = make_batch([1], (161, 161))
    keypoints = batch.keypoints
    low, high = keypoints.amin(2, keepdim=True), keypoints.amax(2, keepdim=True)
    batch = replace(batch, keypoints=(keypoints - low) / (high - low) * 60 + 50)
    published = load_config("train", ["experiment=personlab/resnet101"])["decoder"]
    assert published["name"] == "personlab" and load_config("train", ["experiment=personlab/resnet152"])["decoder"] == published
    scores = []
    for options in ({}, published):
        (instances,) = decode(make_predictor(radius=32.0, decoder=options), batch)
        scores.append(float(instances.scores[0]))
    assert scores[0] < 0.85 and scores[1] > 0.96


def test_what_is_better_than_the_paper_s_letter_has_a_name_of_its_own() -> None:
    paper, best = (
        load_config("evaluate", ["method=personlab", f"decoder={name}"])["decoder"] for name in ("personlab", "personlab_best")
    )
    assert paper == {"name": "personlab", "voting": {"radius": 32.0}}
    assert best == paper | {"refine": 1, "masks": {"mode": "exclusive"}}


def test_a_walk_passes_through_keypoints_that_nobody_annotated() -> None:
    batch = make_batch([1, 1, 1, 1], (129, 161), labelled=0.5)
    for row, instances in enumerate(decode(make_predictor(), batch)):
        assert_found(instances, batch, row, within=1.0)


def test_flipped_views_bring_the_same_people_back() -> None:
    batch = make_batch([2, 1], (129, 161))
    for row, instances in enumerate(decode(make_predictor(flip=True), batch)):
        assert_found(instances, batch, row, within=1.0)


@pytest.mark.parametrize("options", [{}, {"flip": True}], ids=str)
def test_scales_joined_as_people_bring_them_back_with_their_masks(options: dict[str, object]) -> None:
    """Also those whom one scale alone resolves; who is there in both is there once."""
    batch = make_batch([2, 1, 0, 2], (257, 321))
    halves = torch.where(torch.arange(321) < 160, 1, 2).to(torch.int16).expand(4, 257, -1)
    batch = replace(batch, instances=torch.where(halves <= batch.present.sum(1)[:, None, None], halves, 0).to(torch.int16))
    predictor = make_predictor(masks=True, input_size=161, scales=[2.0, 1.0], views="instances", **options)
    found = predictor.predict_batch(batch, ORACLE + MASKS)
    assert batch.instances is not None
    for row, prediction in enumerate(found):
        assert_found(prediction.instances, batch, row, within=2.0)
        assert prediction.instances.masks is not None and prediction.segmentation is not None
        people = batch.keypoints[row][batch.present[row]]
        drawn = prediction.instances.masks.draw((257, 321))
        for n, keypoints in enumerate(people):
            own = (prediction.instances.keypoints - keypoints).nan_to_num(1e3).abs().amax((1, 2)).argmin()
            truth = batch.instances[row] == n + 1
            overlap = float((drawn[own] & truth).sum() / (drawn[own] | truth).sum())
            assert overlap > 0.9


def test_equal_scales_joined_as_people_are_one_scale() -> None:
    batch = make_batch([2, 1, 0], (129, 161))
    once, twice = (make_predictor(scales=scales, views="instances") for scales in ([1.0], [1.0, 1.0]))
    for one, joined in zip(once.predict_batch(batch, ORACLE), twice.predict_batch(batch, ORACLE), strict=True):
        torch.testing.assert_close(joined.instances.keypoints, one.instances.keypoints, atol=1e-3, rtol=0)
        torch.testing.assert_close(joined.instances.scores, one.instances.scores)


def test_views_are_maps_or_instances() -> None:
    with pytest.raises(ConfigError, match="predictor: views: no choice named"):
        make_predictor(views="people")


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("mode", ["overlapping", "exclusive", "nearest"])
def test_ideal_fields_bring_the_masks_back(backbone: str, mode: str) -> None:
    """Masks agree with the annotated ones at every cell, as far as a cell is inside one alone."""
    size = (129, 161) if backbone == "cornered" else (128, 160)
    batch = make_batch([2, 1, 0, 2], size)
    predictor = make_predictor(backbone, masks=True, decoder={"masks": {"mode": mode}})
    assert batch.instances is not None
    for row, prediction in enumerate(predictor.predict_batch(batch, ORACLE + MASKS)):
        masks, truth = prediction.instances.masks, at_cells(batch.instances[row : row + 1], grid_of(predictor))[0]
        assert masks is not None and prediction.segmentation is not None and prediction.segmentation.shape == size
        drawn = at_cells(masks.draw(size), grid_of(predictor))
        people = batch.keypoints[row][batch.present[row]]
        for n, keypoints in enumerate(people):
            own = (prediction.instances.keypoints - keypoints).nan_to_num(1e3).abs().amax((1, 2)).argmin()
            assert torch.equal(drawn[own], truth == n + 1)


class Decode(torch.nn.Module):
    """The parallel part of a decoder, as a module."""

    def __init__(self, decoder: Decoder, frame: Frame) -> None:
        super().__init__()
        self.decoder, self.frame = decoder, frame

    def forward(self, outputs: Outputs) -> dict[str, torch.Tensor]:
        return self.decoder.tensors(outputs, self.frame)


def test_the_parallel_part_is_exported() -> None:
    predictor = make_predictor(masks=True, decoder={"max_people": 3, "voting": {"max_peaks": 8}})
    first, second = make_batch([2], (129, 161)), make_batch([1], (129, 161))
    outputs, frame = predictor.seen(first, ORACLE + MASKS)[0]
    decode = Decode(predictor.decoder, frame)
    exported = torch.export.export(decode, (outputs,)).module()
    other, _ = predictor.seen(second, ORACLE + MASKS)[0]
    expected = decode(other)
    for name, tensor in exported(other).items():
        torch.testing.assert_close(tensor, expected[name])


def test_every_keypoint_of_a_person_is_placed() -> None:
    """Where few cells vote, a keypoint that nobody votes for is where the walk ends, faintly."""
    predictor = make_predictor(decoder={"voting": {"threshold": 0.999999}})
    for prediction in predictor.predict_batch(make_batch([2, 1], (129, 161), labelled=0.6), ORACLE):
        assert prediction.instances.keypoints.isfinite().all() and (prediction.instances.keypoint_scores > 0).all()


@pytest.mark.parametrize("views", [{}, {"flip": True, "scales": (1.0, 0.5), "views": "instances"}])
def test_presence_stands_beside_the_score_that_it_is_part_of(views: dict[str, Any]) -> None:
    """Eq. 3 is p_k(y) times what the votes promise: a perfect small person's score is low, and yet its keypoints are there."""
    predictor = make_predictor(**views)
    for prediction in predictor.predict_batch(make_batch([2, 1], (129, 161)), ORACLE):
        instances = prediction.instances
        assert instances.keypoint_presence is not None and len(instances)
        assert (instances.keypoint_scores <= instances.keypoint_presence + 1e-6).all() and (instances.keypoint_presence <= 1).all()
        assert (instances.keypoint_scores < 0.9).any() and float(instances.keypoint_presence.median()) > 0.95
        (record, *_) = prediction.to_coco()
        torch.testing.assert_close(torch.tensor(record["keypoint_presence"]), instances.keypoint_presence[0], atol=1e-3, rtol=0)
        assert prediction.numpy()["keypoint_presence"].shape == instances.keypoint_scores.shape


def test_models_without_long_offsets_and_segmentation_make_no_masks() -> None:
    for prediction in make_predictor().predict_batch(make_batch([2], (129, 161)), ORACLE):
        assert prediction.instances.masks is None and prediction.segmentation is None


def test_real_people_come_back(shared: Path) -> None:
    dataset = DataPlan.of({"name": "coco", "root": str(shared / "data/coco_person")} | {"split": "val"}).dataset("val")
    predictor = make_predictor(radius=32.0, masks=True, decoder={"suppression": {"radius": 10.0}}, input_size=801)
    metrics = evaluate_dataset(predictor, Subset(dataset, list(range(0, 195, 8))), oracle=ORACLE + MASKS).metrics
    assert metrics["AP"] > 0.97 and metrics["AP50"] > 0.98
    assert metrics["mask_AP_posed"] > 0.7
