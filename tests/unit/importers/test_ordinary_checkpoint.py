"""An imported network is a checkpoint like any other: all that is done with those is done with it, on two images."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from bottomup.checkpoint import load_checkpoint
from bottomup.cli import main
from bottomup.loading import load
from tests.coco_folders import HEIGHT, IMAGES, WIDTH, write_folder
from tests.unit.importers.published import as_pose_ae, small_pose_ae

SIZE = ["input_size=96", "workers=0"]
STEP = ["method=associative_embedding", "backbone.stacks=2", "backbone.channels=8", "backbone.growth=4", "backbone.levels=2"]
STEP += ["backbone.normalisation=none", "augment=none", "engine.batch_size=2", "engine.schedule.warmup=0"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("imported")
    torch.save(as_pose_ae(small_pose_ae()), folder / "checkpoint.pth.tar")
    assert main(["import-weights", "pose_ae", str(folder / "checkpoint.pth.tar"), f"output={folder}"]) == 0
    return folder / "best.pt"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return ["data=coco", f"data.root={write_folder(tmp_path_factory.mktemp('coco'))}"]


def test_it_says_how_it_was_published(weights: Path) -> None:
    predictor = load("associative_embedding", weights=weights)
    assert predictor.input_size == 512 and predictor.model.fill.tolist() == [0, 0, 0]
    assert load(weights).model.task.skeleton == predictor.model.task.skeleton


@pytest.mark.parametrize("views", [[], ["flip=true"], ["scales=[1,0.5]"]], ids=["once", "mirrored", "two scales"])
def test_people_are_found_with_it(views: list[str], weights: Path, data: list[str], tmp_path: Path) -> None:
    images = f"images={data[1].removeprefix('data.root=')}/val"
    given = [f"weights={weights}", images, *SIZE, *views, "score_threshold=0", f"output={tmp_path}"]
    assert main(["predict", *given]) == 0
    found = json.loads((tmp_path / "predictions.json").read_text())
    assert {record["image_id"] for record in found} == set(range(IMAGES))
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for record in found for x, y in placed(record["keypoints"]))


def placed(keypoints: list[float]) -> list[tuple[float, float]]:
    """The points of a record that were found."""
    return [(x + 0.5, y + 0.5) for x, y, seen in zip(*(keypoints[axis::3] for axis in range(3)), strict=True) if seen]


def test_it_is_judged_and_its_decoder_finds_all_of_ideal_maps(weights: Path, data: list[str], tmp_path: Path) -> None:
    given = ["evaluate", f"weights={weights}", *data, *SIZE, "pictures=0"]
    assert main([*given, "flip=true", f"output={tmp_path}/own"]) == 0
    assert main([*given, "oracle=[heatmap,tags]", f"output={tmp_path}/ideal"]) == 0
    own, ideal = (json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("own", "ideal"))
    assert own["AP"] < 0.1 < 0.9 < ideal["AP"]


def test_training_begins_with_it_and_goes_on(weights: Path, data: list[str], tmp_path: Path) -> None:
    given = ["train", *STEP, *data, *SIZE, f"output={tmp_path}"]
    assert main([*given, f"init={weights}", "engine.steps=1", "engine.optimiser.lr=1e-12"]) == 0
    begun, imported = load_checkpoint(tmp_path / "last.pt"), load_checkpoint(weights)
    assert begun.model.keys() == imported.model.keys()
    assert all(torch.allclose(begun.model[name], tensor) for name, tensor in imported.model.items())
    assert main([*given, "resume=true", "engine.steps=2", "engine.optimiser.lr=1e-2"]) == 0
    trained = load_checkpoint(tmp_path / "last.pt")
    assert not all(torch.allclose(trained.model[name], tensor) for name, tensor in imported.model.items())


def test_it_has_a_row_in_a_benchmark(weights: Path, data: list[str], tmp_path: Path) -> None:
    quick = ["measure.runs=1", "measure.batch_sizes=[1]", "measure.training_steps=1", "measure.pictures=1", "engine.batch_size=2"]
    given = [f"weights={weights}", *data, *SIZE, *quick, "augment=none", f"output={tmp_path}"]
    assert main(["benchmark", *given]) == 0
    (row,) = json.loads((tmp_path / "benchmark.json").read_text())["rows"]
    assert row["status"] == "measured"
    assert sum(row["parameters"].values()) == sum(tensor.numel() for tensor in load_checkpoint(weights).model.values())
