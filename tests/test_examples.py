"""Each example runs as it says, made small."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

import bottomup
from bottomup.checkpoint import Checkpoint, save_checkpoint, versions
from bottomup.cli import main
from bottomup.contracts import HEADS, Level, Source
from bottomup.geometry import Grid
from bottomup.plan.data import DataPlan
from bottomup.plan.groups import Validating
from bottomup.plan.training import train_plan
from bottomup.samples.loader import collate
from bottomup.skeletons import COCO
from bottomup.types import Frame, Task
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


def encoded(number: int) -> bytes:
    pixels = np.random.default_rng(number).integers(0, 255, (48, 64 - 8 * (number % 2), 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return file.getvalue()


EAGER = ["decoder.detection_threshold=0.0001", "decoder.fill_threshold=null"]  # an untrained network finds somebody


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    plan = train_plan(["experiment=demo/associative_embedding", "input_size=64", *TINY[:2], *EAGER]).model
    model, _ = plan.compose(Task(COCO))
    checkpoint = Checkpoint(plan.carried(), Task(COCO), model.state_dict(), None, None, versions())
    return save_checkpoint(tmp_path_factory.mktemp("weights") / "best.pt", checkpoint)


def test_people_of_encoded_images_are_rows(untrained: Path) -> None:
    """What each of Ray's workers does, without Ray."""
    find = example("predict_with_ray.py").FindPeople(str(untrained), score_threshold=0.0)
    names = np.array(["a", "none", "b"], object)
    rows = find({"path": names, "bytes": np.array([encoded(0), b"no picture", encoded(1)], object)})
    assert {len(column) for column in rows.values()} == {len(rows["path"])} and set(rows["path"]) == {"a", "none", "b"}
    (nobody,) = np.flatnonzero(rows["path"] == "none")
    assert np.isnan(rows["score"][nobody]) and "cannot identify" in rows["unreadable"][nobody]
    prediction = bottomup.load(untrained, score_threshold=0.0)(np.asarray(Image.open(io.BytesIO(encoded(0)))))
    expected = [record["keypoints"] for record in prediction.to_coco()]
    np.testing.assert_allclose(np.stack(rows["keypoints"][rows["path"] == "a"]), expected, atol=0.01)


def test_people_are_not_added_to_those_of_an_earlier_run(tmp_path: Path) -> None:
    (tmp_path / "000000_0.parquet").touch()
    with pytest.raises(SystemExit, match="holds people already"):
        example("predict_with_ray.py").main("best.pt", "photos", str(tmp_path))


@pytest.mark.slow
def test_two_workers_of_ray_find_whom_one_process_finds(untrained: Path, tmp_path: Path) -> None:
    """In a folder, in tar shards and in Parquet."""
    pytest.importorskip("ray", reason="needs the extra ray")
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    images = {f"{number:02d}.png": encoded(number) for number in range(20)}
    (tmp_path / "photos").mkdir()
    for name, content in images.items():
        (tmp_path / "photos" / name).write_bytes(content)
    for shard in range(2):
        with tarfile.open(tmp_path / f"{shard}.tar", "w") as tar:
            for name in sorted(images)[shard::2]:
                tar.add(tmp_path / "photos" / name, name)
        own = sorted(images)[shard::2]
        table = arrow.table({"path": own, "bytes": [images[name] for name in own]})
        parquet.write_table(table, tmp_path / f"{shard}.parquet")
    whole = example("predict_with_ray.py")
    find = whole.FindPeople(str(untrained), score_threshold=0.0)
    expected = find({"path": list(images), "bytes": list(images.values())})
    given = {f"{tmp_path}/{name}": f"{tmp_path}/people_of_{name[2:]}" for name in ("photos", "*.tar", "*.parquet")}
    typed = [[str(untrained), *paths, "workers=2", "score_threshold=0.0"] for paths in given.items()]
    calls = f"from predict_with_ray import main; [main(*typed) for typed in {typed!r}]"  # by one start of Ray
    path = os.pathsep.join((str(ROOT), str(EXAMPLES)))
    subprocess.run([sys.executable, "-c", calls], env=os.environ | {"PYTHONPATH": path}, check=True, timeout=600)
    for people in given.values():
        rows = parquet.read_table(people).to_pylist()
        found = sorted((Path(row["path"]).name, row["score"]) for row in rows)
        wanted = sorted(zip(expected["path"], expected["score"].tolist(), strict=True))
        assert [name for name, _ in found] == [name for name, _ in wanted]
        np.testing.assert_allclose([score for _, score in found], [score for _, score in wanted], atol=1e-5)


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
