"""Heads that are given what is true find every person, in one view or in several."""

from __future__ import annotations

import itertools

import pytest
import torch

from bottomup.errors import ConfigError
from bottomup.plan.composing import load_config
from bottomup.plan.model import ModelPlan
from bottomup.predictor import Predictor
from bottomup.skeletons import COCO
from bottomup.types import Task
from tests.scenes import assert_found, make_batch

VIEWS = [{"flip": True}, {"scales": [1.0, 1.5]}, {"flip": True, "scales": [1.0, 0.5]}]


@pytest.fixture(scope="module")
def composed() -> Predictor:
    torch.manual_seed(0)
    small = [
        "method=multiposenet",
        "backbone.network=test_resnet",
        "necks.people.channels=8",
        "heads.prn.hidden=[8]",
        "decoder.unposed=keep",
    ]
    model, decoder = ModelPlan.of(load_config("predict", small)).compose(Task(COCO))
    return Predictor(model, decoder, input_size=128)


@pytest.mark.parametrize(
    ("views", "oracle"), list(itertools.product(VIEWS, (["proposals"], ["candidates"], ["heatmap"], ["retinanet", "heatmap"])))
)
def test_some_heads_are_given_in_several_views(composed: Predictor, views: dict[str, object], oracle: list[str]) -> None:
    batch = make_batch([2, 3], (128, 128))
    predictor = Predictor(composed.model, composed.decoder, input_size=128, **views)  # type: ignore[arg-type]
    found = predictor.predict_batch(batch, oracle)
    if oracle == ["proposals"]:
        assert [len(prediction.instances) for prediction in found] == [2, 3]


@pytest.mark.parametrize("views", VIEWS)
def test_all_that_is_given_is_found_in_several_views(composed: Predictor, views: dict[str, object]) -> None:
    batch = make_batch([1, 1], (128, 128))  # made-up people share one box, in which several would be one
    predictor = Predictor(composed.model, composed.decoder, input_size=128, **views)  # type: ignore[arg-type]
    for row, prediction in enumerate(predictor.predict_batch(batch, ["candidates", "proposals", "prn", "segmentation"])):
        assert_found(prediction.instances, batch, row, within=1.0)


def test_the_ideal_network_without_its_ideal_boxes_is_refused(composed: Predictor) -> None:
    with pytest.raises(ConfigError, match="'prn' are of ideal proposals: give the head of those, too"):
        composed.predict_batch(make_batch([1], (128, 128)), ["prn"])
