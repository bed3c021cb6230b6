"""``bottomup evaluate``: what it writes is read by pycocotools against the file that was judged on."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO as CocoFile
from pycocotools.cocoeval import COCOeval

from bottomup.cli import main

NAMES = ["head", "tail", "left_paw", "right_paw"]
SIZE = 128
DOG, PERSON = 7, 1


def annotation(number: int, image_id: int, category: int) -> dict[str, Any]:
    x, y = np.random.default_rng(number).integers(24, 64, 2).tolist()
    points = [(x, y), (x + 36, y + 4), (x + 6, y + 30), (x + 30, y + 34)]
    return {
        "id": number, "image_id": image_id, "category_id": category, "iscrowd": 0, "bbox": [x, y, 37, 35], "area": 1295.0,
        "keypoints": [value for point in points for value in (*point, 2)], "num_keypoints": 4,
    }  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A person and a dog in each of three images, both with keypoints."""
    content = {
        "images": [{"id": n, "file_name": f"{n}.png", "width": SIZE, "height": SIZE} for n in (3, 5, 8)],
        "annotations": [annotation(10 * n + c, n, c) for n in (3, 5, 8) for c in (PERSON, DOG)],
        "categories": [{"id": c, "name": name, "keypoints": NAMES} for c, name in ((PERSON, "person"), (DOG, "dog"))],
    }
    (tmp_path / "animals.json").write_text(json.dumps(content))
    for image in content["images"]:
        cv2.imwrite(str(tmp_path / image["file_name"]), np.zeros((SIZE, SIZE, 3), np.uint8))
    return tmp_path


def average_precision(truth: Path, results: Path, category: int) -> float:
    """What pycocotools says of one category."""
    with contextlib.redirect_stdout(io.StringIO()):
        annotated = CocoFile(str(truth))
        evaluation = COCOeval(annotated, annotated.loadRes(str(results)), "keypoints")
        evaluation.params.catIds, evaluation.params.kpt_oks_sigmas = [category], np.full(len(NAMES), 0.05)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[0])


@pytest.mark.filterwarnings("ignore:skeleton")  # it has no sigmas of its own
@pytest.mark.parametrize(("name", "category"), [("dog", DOG), ("person", PERSON)])
def test_results_carry_the_category_of_the_file(name: str, category: int, folder: Path) -> None:
    data = ["data=coco", f"data.annotations={folder}/animals.json", f"data.images={folder}", f"data.category={name}"]
    oracle = ["oracle=[heatmap,tags]", "input_size=128", "backbone=hourglass_tiny", "workers=0", "pictures=0"]
    assert main(["evaluate", *data, *oracle, f"output={folder}/{name}"]) == 0
    results = folder / name / "predictions.json"
    assert {record["category_id"] for record in json.loads(results.read_text())} == {category}
    assert average_precision(folder / "animals.json", results, category) > 0.9  # ideal maps: nearly everything is found


@pytest.mark.filterwarnings("ignore:skeleton")
def test_a_checkpoint_is_judged_on_the_data_of_its_run_and_that_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["data=coco", "data.annotations=animals.json", "data.images=.", "data.category=dog", "data.val_split=all"]
    small = ["backbone=hourglass_tiny", "input_size=64", "workers=0", "engine.validate_every=0", "engine.tensorboard=false"]
    steps = ["engine.steps=1", "engine.batch_size=1", "device=cpu", "output=run"]
    monkeypatch.chdir(folder)
    assert main(["train", *data, *small, *steps]) == 0
    for more, told in (
        ([], "3 images of coco, all, 64 px"),
        (["limit=2", "flip=true"], "2 images of coco, all, 64 px, mirrored too"),
    ):
        assert main(["evaluate", "weights=run/last.pt", "workers=0", "pictures=0", "output=judged", *more]) == 0
        assert f"{told}; in %:" in capsys.readouterr().out.splitlines()
        assert json.loads((folder / "judged" / "metrics.json").read_text())["judged"] == told
    assert main(["evaluate", "weights=run/last.pt", "data=synthetic", "data.images=2", "workers=0"]) == 1  # of other keypoints
    assert "data=concat" in capsys.readouterr().err
    (folder / "animals.json").rename(folder / "moved.json")
    assert main(["evaluate", "weights=run/last.pt", "workers=0"]) == 1
    assert "give data.annotations= where they lie now" in capsys.readouterr().err
    assert main(["evaluate", "weights=run/last.pt", "data.annotations=moved.json", "limit=1", "workers=0"]) == 0
