"""The way from a plan to figures without YAML or a command line: plan, train, judge, load, draw."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import bottomup
from bottomup import Component, DataPlan, EvaluatePlan, HeadPlan, ModelPlan, Optimiser, Place, Settings, TrainPlan
from bottomup.errors import CheckpointError, ConfigError
from bottomup.skeletons import COCO

MODEL = ModelPlan(
    backbone=Component("hourglass", {"stacks": 1, "levels": 2, "channels": 8, "growth": 4}),
    heads={"heatmap": HeadPlan(Component("heatmap", {"sigma": 8.0})), "tags": HeadPlan(Component("tags"), {"weight": 1e-3})},
    decoder=Component("associative_embedding"),
    input_size=64,
)
DATA = DataPlan(name="synthetic", options={"size": 64, "images": 4})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of two steps."""
    folder = tmp_path_factory.mktemp("runs") / "own"
    engine = Settings(steps=2, batch_size=2, optimiser=Optimiser(lr=1e-3), validate_every=2)
    plan = TrainPlan(model=MODEL, data=DATA, augment={}, engine=engine, place=Place(output=str(folder), device="cpu"))
    figures = bottomup.train(plan)
    assert figures["loss"] > 0 and "AP" in figures
    return folder


def judged(weights: Path | None, output: Path, **parts: Any) -> dict[str, Any]:
    place = Place(output=str(output), device="cpu")
    given = None if weights is None else str(weights)
    return bottomup.evaluate(EvaluatePlan(data=DATA, weights=given, place=place, pictures=0, **parts))


def test_a_trained_checkpoint_is_judged_without_saying_its_model_again(run: Path, tmp_path: Path) -> None:
    figures = judged(run / "last.pt", tmp_path / "plain")
    assert figures["images"] == 4 and set(figures["keypoints"]) == set(COCO.keypoints)
    assert figures.keys() == json.loads((tmp_path / "plain" / "metrics.json").read_text()).keys()
    assert figures["AP"] == judged(run / "last.pt", tmp_path / "said", model=MODEL)["AP"]


def test_an_oracle_is_judged_without_weights(tmp_path: Path) -> None:
    assert judged(None, tmp_path / "oracle", model=MODEL, oracle=("heatmap", "tags"))["AP"] > 0.5


def test_a_model_of_other_weights_is_refused(run: Path, tmp_path: Path) -> None:
    other = replace(MODEL, backbone=Component("hourglass", {"stacks": 1, "levels": 2, "channels": 12, "growth": 4}))
    with pytest.raises(CheckpointError, match="of another model"):
        judged(run / "last.pt", tmp_path, model=other)


def test_it_is_loaded_and_draws_what_it_finds(run: Path) -> None:
    image = DATA.dataset("val").sample(0, frozenset()).pixels.transpose(1, 2, 0)
    prediction = bottomup.load(run / "last.pt", score_threshold=0.0)(image)
    assert prediction.skeleton == COCO
    assert prediction.draw(image).shape == image.shape


def test_a_plan_without_a_decoder_says_which_there_are() -> None:
    with pytest.raises(ConfigError, match="decoder: no `name`; known decoders: associative_embedding"):
        replace(MODEL, decoder=None).compose(bottomup.Task(COCO))
