"""``load`` reads what a training run wrote or ``save`` did, with or without its method's name, and says what does not fit."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bottomup import ModelPlan, Predictor, Task, load, save
from bottomup.assembly import HeadSpec, assemble
from bottomup.backbones.hourglass import Hourglass
from bottomup.decoders.associative_embedding import AssociativeEmbedding
from bottomup.errors import BottomupError, CheckpointError, ConfigError
from bottomup.heads.heatmap import Heatmap
from bottomup.heads.tags import Tags
from bottomup.skeletons import COCO
from tests.coco_folders import drawn, untrained

IMAGE = drawn(0, 17)
SMALL: dict[str, Any] = {"name": "hourglass", "stacks": 1, "levels": 2, "channels": 8, "growth": 4}
METHODS: dict[str, dict[str, Any]] = {
    "associative_embedding": {
        "backbone": SMALL,
        "heads": {"heatmap": {"sigma": 8.0}, "tags": {"dim": 2, "weight": 1e-3}},
        "decoder": {"name": "associative_embedding", "detection_threshold": 0.001},
    },
    "personlab": {
        "backbone": SMALL,
        "heads": {"heatmap": {"shape": "disk", "radius": 16.0}, "short_offsets": {"radius": 16.0}, "mid_offsets": {"radius": 16.0}},
        "decoder": {"name": "personlab"},
    },
}


def described(**parts: Any) -> ModelPlan:
    return ModelPlan.of(METHODS["associative_embedding"] | {"input_size": 64} | parts)


def assert_same(a: Predictor, b: Predictor) -> None:
    """The same maps of a picture, decoded alike; an untrained network may find nobody in them."""
    (image, maps, _), (other_image, other_maps, _) = a.maps(IMAGE), b.maps(IMAGE)
    np.testing.assert_array_equal(image, other_image)
    assert maps.keys() == other_maps.keys() and all(torch.equal(maps[key], other_maps[key]) for key in maps)
    assert type(a.decoder) is type(b.decoder) and vars(a.decoder).keys() == vars(b.decoder).keys()
    assert a.thresholds == b.thresholds


@pytest.mark.parametrize("method", METHODS)
def test_a_model_built_in_python_is_read_back_as_it_was(method: str, tmp_path: Path) -> None:
    plan = ModelPlan.of(METHODS[method] | {"input_size": 64, "side": "square"})
    model, decoder = plan.compose(Task(COCO))
    predictor = Predictor(model.eval(), decoder, input_size=64, side="square", score_threshold=0.0)
    read = load(save(tmp_path / "own.pt", plan, model), score_threshold=0.0)
    assert (read.input_size, read.side) == (64, "square")
    assert_same(read, predictor)


def test_a_model_assembled_from_constructors_is_saved_by_its_description(tmp_path: Path) -> None:
    heads = {"heatmap": HeadSpec(partial(Heatmap, sigma=8.0)), "tags": HeadSpec(partial(Tags, dim=2), weight=1e-3)}
    decoder = AssociativeEmbedding(Task(COCO), detection_threshold=0.001)
    model = assemble(Hourglass(stacks=1, levels=2, channels=8, growth=4), Task(COCO), heads, decoder=decoder)
    assert_same(load(save(tmp_path / "own.pt", described(), model)), Predictor(model, decoder, input_size=64))


def test_a_plan_of_another_model_is_refused_and_nothing_written(tmp_path: Path) -> None:
    model, _ = described().compose(Task(COCO))
    for other in (described(heads={"heatmap": {}, "tags": {"dim": 1}}), described(backbone=SMALL | {"channels": 16})):
        with pytest.raises(CheckpointError, match=r"of another model"):
            save(tmp_path / "own.pt", other, model)
    with pytest.raises(ConfigError, match="decoder"):
        save(tmp_path / "own.pt", replace(described(), decoder=None), model)
    assert not list(tmp_path.iterdir())


def test_weights_that_are_not_finite_are_refused_and_nothing_written(tmp_path: Path) -> None:
    model, _ = described().compose(Task(COCO))
    with torch.no_grad():
        next(model.parameters()).fill_(torch.nan)
    with pytest.raises(CheckpointError, match="not finite"):
        save(tmp_path / "own.pt", described(), model)
    assert not list(tmp_path.iterdir())


def test_the_method_may_be_named_or_left_out(tmp_path: Path) -> None:
    weights = untrained(tmp_path)
    assert_same(load(weights, input_size=64), load("associative_embedding", weights=weights, input_size=64))


def test_overrides_change_single_options_of_what_the_file_says(tmp_path: Path) -> None:
    weights = untrained(tmp_path)
    plain, fewer = load(weights), load(weights, overrides=["decoder.max_people=3"])
    assert fewer.decoder.limits == {"max_people": 3} != plain.decoder.limits
    assert fewer.decoder.grouping.detection_threshold == plain.decoder.grouping.detection_threshold


def test_options_of_the_predictor_come_before_the_files(tmp_path: Path) -> None:
    weights = save(tmp_path / "own.pt", described(), described().compose(Task(COCO))[0])
    assert load(weights).input_size == 64
    found = load(weights, input_size=96, side="short", flip=True, scales=[1.0, 0.5], batch_size=2)
    assert (found.input_size, found.side, found.batch_size) == (96, "short", 2)
    assert (found.views.flip, found.views.scales) == (True, (1.0, 0.5))


@pytest.mark.parametrize(
    ("file", "options", "told"),
    [
        ("associative_embedding", {}, r"'associative_embedding' is a method, but no checkpoint; give load\(FILE\)"),
        ("nowhere.pt", {}, "nowhere.pt: no such checkpoint"),
        ("personlba", {"weights": "best.pt"}, "no method named 'personlba'; did you mean 'personlab'"),
        ("personlab", {"weights": "best.pt"}, "the checkpoint holds 'associative_embedding', not 'personlab'"),
        ("best.pt", {"flipp": True}, "load: no option named 'flipp'; did you mean 'flip'"),
        ("best.pt", {"scales": [0.0]}, r"load.scales should be a list of numbers above 0, got \[0.0\]"),
        ("best.pt", {"batch_size": 0}, "load.batch_size should be a whole number from 1 on, got 0"),
        ("best.pt", {"score_threshold": 1.5}, "load.score_threshold should be a number from 0 to below 1"),
        ("best.pt", {"views": "people"}, "load.views: no choice named 'people' .known: maps, instances"),
        ("best.pt", {"side": "wide"}, "load.side: no choice named 'wide'"),
        ("best.pt", {"precision": "fp8"}, "load.precision: no choice named 'fp8'"),
        (
            "best.pt",
            {"head_scales": {"tgas": [2.0]}},
            "head_scales: no head of this model with features named 'tgas'; did you mean 'tags'",
        ),
        ("best.pt", {"input_size": "large"}, "load.input_size should be a whole number.*, got 'large'"),
        ("best.pt", {"decoder": "pose_ae"}, r'load\(FILE, overrides=\["decoder=NAME"\]\)'),
        ("best.pt", {"overrides": "decoder=pose_ae"}, r'load\(FILE, overrides=\["decoder=NAME"\]\)'),
        ("best.pt", {"overrides": ["decoder.windw=5"]}, "windw'.*did you mean.*window"),
    ],
)
def test_mistakes_get_one_sentence(
    file: str, options: dict[str, Any], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    untrained(tmp_path).rename(tmp_path / "best.pt")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BottomupError, match=told):
        load(file, **options)
