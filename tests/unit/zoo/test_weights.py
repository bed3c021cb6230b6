"""A published network's name goes wherever a checkpoint does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from bottomup import load
from bottomup.benchmark.results import file_hash, read_result
from bottomup.checkpoint import load_checkpoint, save_checkpoint
from bottomup.cli import main
from bottomup.errors import BottomupError, CheckpointError, ConfigError
from bottomup.zoo.entries import entry_named
from bottomup.zoo.home import checkpoint_path
from bottomup.zoo.weights import checkpoint_file, present_file
from tests.coco_folders import IMAGES, drawn, untrained, write_folder
from tests.published import write_posenet

SIZE = "input_size=65"
SMALL = ["backbone=mobilenet_v1", "backbone.depth=0.25", "~heads.segmentation", "~heads.long_offsets", SIZE, "workers=0"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the files of a small network as posenet's, and images of people."""
    place = tmp_path_factory.mktemp("place")
    write_posenet(place / "home" / "downloads" / "posenet")
    write_folder(place / "people")
    return place


@pytest.fixture(autouse=True)
def home(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOTTOMUP_HOME", str(place / "home"))
    monkeypatch.chdir(tmp_path)


def data(place: Path) -> list[str]:
    return ["data=coco", f"data.root={place / 'people'}", "workers=0"]


def test_predict_and_evaluate_take_a_name(place: Path) -> None:
    assert main(["predict", "weights=posenet", f"images={place / 'people' / 'val'}", SIZE, "output=found"]) == 0
    assert json.loads(Path("found/metrics.json").read_text())["images"] == IMAGES
    assert "weights: posenet\n" in Path("found/config.yaml").read_text()
    assert main(["evaluate", "weights=posenet_075_16", *data(place), SIZE, "pictures=0", "output=judged"]) == 0
    assert "AP" in json.loads(Path("judged/metrics.json").read_text())


def test_benchmark_takes_a_name_and_knows_what_it_measured(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = ["benchmark", "weights=posenet", *data(place), SIZE, "measure.runs=null", "measure.pictures=0", "output=rows"]
    assert main(row) == 0
    (found,) = read_result("rows/benchmark.json")["rows"]
    assert found["weights_hash"] == file_hash(checkpoint_path(entry_named("posenet"))) is not None
    capsys.readouterr()
    assert main(row) == 0
    assert "(was there)" in capsys.readouterr().out


def test_train_starts_from_a_name_and_combine_takes_its_parts(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quick = ["engine.steps=1", "engine.batch_size=1", "engine.validate_every=0", "engine.tensorboard=false", "output=trained"]
    assert main(["train", "method=personlab", "init=posenet", *SMALL, *data(place), *quick]) == 0
    told = capsys.readouterr().err
    assert "the rest start anew: none" in told and told.endswith("\ntrained/last.pt\n")
    assert main(["combine", "method=personlab", "init=[posenet]", *SMALL, "output=combined"]) == 0
    combined, published = (load_checkpoint(path).model for path in ("combined/best.pt", checkpoint_file("posenet")))
    assert combined.keys() == published.keys() and all(torch.equal(combined[name], published[name]) for name in combined)


def test_load_takes_a_name_alone_or_with_its_method() -> None:
    alone, named = load("posenet", input_size=65), load("personlab", weights="posenet", input_size=65)
    image = drawn(0, 17)
    for key, maps in alone.maps(image)[1].items():
        assert torch.equal(maps, named.maps(image)[1][key])
    assert load("posenet").input_size == entry_named("posenet").input_size
    with pytest.raises(ConfigError, match="the checkpoint holds 'personlab', not 'multiposenet'"):
        load("multiposenet", weights="posenet")


def test_a_file_of_that_name_comes_first_and_a_folder_does_not() -> None:
    assert checkpoint_file("posenet") == checkpoint_path(entry_named("posenet"))
    Path("posenet").mkdir()
    assert checkpoint_file("posenet") == checkpoint_path(entry_named("posenet"))
    Path("posenet").rmdir()
    save_checkpoint("posenet", load_checkpoint(untrained(Path("own"))))
    assert checkpoint_file("posenet") == present_file("posenet") == Path("posenet")
    assert load("posenet").input_size == 64


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("posnet", "no such checkpoint, and no network of the zoo is named 'posnet'; did you mean 'posenet'"),
        ("hrnet-w32", "did you mean 'hrnet_w32'"),
        ("zzzz", "give the .pt file of a training run, or a name that `bottomup zoo` lists"),
        ("posnet.pt", "posnet.pt: no such checkpoint; give the .pt file of a training run"),
        ("runs/posenet", "runs/posenet: no such checkpoint"),
    ],
)
def test_a_misspelt_name_is_told_with_the_one_that_was_meant(name: str, told: str) -> None:
    with pytest.raises(CheckpointError, match=told):
        load(name)
    assert present_file(name) is None


def test_what_is_not_there_is_not_fetched_to_be_looked_at() -> None:
    assert present_file("hrnet_w32") is None and present_file(None) is None


def test_images_that_are_not_there_are_told_before_anything_is_fetched(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "weights=hrnet_w32", "images=nowhere"]) == 1
    told = capsys.readouterr().err
    assert "nowhere: no such image" in told and "licence" not in told


def test_a_run_s_folder_is_told_with_the_checkpoint_in_it() -> None:
    path = save_checkpoint("run/best.pt", load_checkpoint(untrained(Path("own"))))
    with pytest.raises(CheckpointError, match=f"run: no such checkpoint; there is {path}; give"):
        load("./run")


def test_a_misspelt_name_is_one_line_of_a_command(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "weights=posnet", f"images={place / 'people' / 'val'}"]) == 1
    assert "did you mean 'posenet'" in capsys.readouterr().err
    with pytest.raises(BottomupError, match="did you mean 'posenet'"):
        load("personlab", weights="posnet")


def test_training_from_a_misspelt_name_leaves_no_folder(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "method=personlab", "init=posnet", *SMALL, *data(place), "output=left"]) == 1
    assert "did you mean 'posenet'" in capsys.readouterr().err and not Path("left").exists()
