"""Each example runs as it says, made small."""

from __future__ import annotations

import importlib.util
import json
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

from bottomup.cli import main
from bottomup.contracts import HEADS, Level, Source
from bottomup.geometry import Grid
from bottomup.plan.data import DataPlan
from bottomup.plan.groups import Validating
from bottomup.samples.loader import collate
from bottomup.types import Frame
from bottomup.views import make_view
from bottomup.workflows.train import train
from tests.pages import PAGES, ROOT, commands, section

EXAMPLES = ROOT / "examples"
TINY = ("backbone.channels=8", "backbone.growth=4", "engine.tensorboard=false", "workers=0")
SHORT = ("engine.steps=2", "engine.batch_size=2", "engine.validate_every=2", "validation.limit=2", "engine.precision=fp32")


def example(name: str) -> ModuleType:
    """A file of the examples as a module."""
    spec = importlib.util.spec_from_file_location(f"examples_{Path(name).stem}", EXAMPLES / name)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_there_is_a_test_of_each_example() -> None:
    here = Path(__file__).read_text()
    assert all(path.name in here for path in EXAMPLES.rglob("*.py"))


def test_training_from_python_makes_a_checkpoint_that_predicts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert len((EXAMPLES / "train.py").read_text().splitlines()) <= 40
    plan = example("train.py").plan(f"{tmp_path}/run", steps=1)
    plan = replace(plan, validation=Validating(limit=1), place=replace(plan.place, workers=0), limit=8)
    assert "AP" in train(plan)
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (96, 64, 3), np.uint8)).save(tmp_path / "photo.jpg")
    example("predict.py").main(f"{tmp_path}/run/best.pt", f"{tmp_path}/photo.jpg", f"{tmp_path}/found.png")
    assert Image.open(tmp_path / "found.png").size == (64, 96)
    assert "found.png" in capsys.readouterr().out


@pytest.fixture(scope="module")
def height() -> Iterator[ModuleType]:
    before = dict(HEADS._classes)
    yield example("own_head.py")
    HEADS._classes.clear()
    HEADS._classes.update(before)


def test_the_own_head_trains_beside_others(height: ModuleType, tmp_path: Path) -> None:
    height.main(str(tmp_path), *TINY, *SHORT, "limit=8")
    assert "loss/height/l1" in json.loads((tmp_path / "metrics.json").read_text())["last"]


def test_the_own_head_keeps_the_laws_of_heads(height: ModuleType) -> None:
    dataset = DataPlan(name="synthetic", options={"size": 96, "people": [1, 3]}).dataset("val", 4)
    batch = collate([dataset.sample(index, frozenset()) for index in range(4)])
    head = height.Height(Source({"C2": Level(8, Grid.centred(4))}), dataset.task)
    ideal, targets = head.ideal(batch), head.encode(batch, {})
    assert (head.loss(ideal, targets)["l1"] == 0).all() and targets["there"].sum() == batch.present.sum()
    tallest = (batch.boxes[..., 3] - batch.boxes[..., 1]).amax(1)
    torch.testing.assert_close(ideal["height"].exp().mul(64).where(targets["there"] > 0, 0).amax((1, 2, 3)), tallest)
    mirrored = make_view(batch, batch.size, 1.0, True, torch.zeros(3, dtype=torch.uint8), dataset.task.skeleton.flip_order)
    undone = head.unflip(head.ideal(mirrored), Frame(head.grids, batch.size, mirrored.content))
    torch.testing.assert_close(undone["height"].amax((1, 2, 3)), ideal["height"].amax((1, 2, 3)))


@pytest.fixture
def mice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The example's folder elsewhere, with a few mice: what make_mice.py writes."""
    folder = tmp_path / "own_data"
    shutil.copytree(EXAMPLES / "own_data", folder, ignore=shutil.ignore_patterns("mice", "outputs"))
    monkeypatch.chdir(folder)
    example("own_data/make_mice.py").main("mice", "8")
    return folder


@pytest.mark.parametrize(("page", "title"), [("README.md", "My own data"), ("docs/your-data.md", "Train, judge, predict")])
def test_own_data_goes_from_json_to_a_judged_model(page: str, title: str, mice: Path) -> None:
    more = {"train": (*TINY, *SHORT), "evaluate": ("workers=0", "pictures=1"), "predict": ("limit=2",)}
    for command in commands(section(PAGES[page], title)):
        program, name, *overrides = shlex.split(command)
        if program == "bottomup":
            kept = [text for text in overrides if not text.startswith("limit=")]
            assert main([name, *kept, *more[name]]) == 0
    assert "AP" in json.loads((mice / "outputs/mice/evaluate/metrics.json").read_text())
    assert len(list((mice / "outputs/mice/predict/pictures").glob("*.png"))) == 2


def test_mice_are_read_where_they_were_drawn(mice: Path) -> None:
    own = ["hydra.searchpath=[configs]", "experiment=mice", "workers=0"]
    assert main(["evaluate", *own, "oracle=[heatmap,tags]", "pictures=0", "output=outputs/oracle"]) == 0
    assert json.loads((mice / "outputs/oracle/metrics.json").read_text())["AP"] == pytest.approx(1)
    assert main(["show_targets", *own, "limit=1", "output=outputs/targets"]) == 0
    assert list((mice / "outputs/targets/pictures").glob("*_heatmap.png"))
