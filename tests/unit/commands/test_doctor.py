"""``bottomup doctor`` says what it found, and fails where what it was asked to check does."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from bottomup.cli import main
from bottomup.commands import doctor
from bottomup.commands.doctor import describe_data
from bottomup.dataset import Dataset
from bottomup.skeletons import COCO
from bottomup.types import People, Sample, Task


@pytest.fixture(autouse=True)
def _no_timing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_gigaflops", lambda precision: 1.0)


class Noted(Dataset):
    """``length`` images without people, and which of them were read."""

    def __init__(self, length: int) -> None:
        self.task, self.image_ids, self.read = Task(COCO), list(range(length)), list[int]()

    def sample(self, index: int, maps: frozenset[str]) -> Sample:
        self.read.append(index)
        image = np.zeros((3, 8, 8), np.uint8)
        return Sample(image, self.people(index), ignore={}, instances=None, image_id=index, file_size=(8, 8), to_input=np.eye(2, 3))

    def people(self, index: int) -> People:
        return People.empty(len(COCO))

    def ground_truth(self, indices: Sequence[int] | None = None) -> dict[str, Any]:
        return {}


@pytest.mark.parametrize("length", [1, 2, 7, 8, 9, 100])
def test_the_images_read_are_few_and_evenly_spread(length: int) -> None:
    dataset = Noted(length)
    describe_data(dataset)
    assert len(dataset.read) == min(8, length) and (dataset.read[0], dataset.read[-1]) == (0, length - 1)
    steps = np.diff(dataset.read)
    assert length == 1 or steps.max() - steps.min() <= 1


def test_a_sound_data_set_is_described(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "data.images=3", "data.size=64", "data.people=[2,2]"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("data ")]
    assert "synthetic, val: 3 images, skeleton coco" in line and "6 people" in line
    assert re.search(r"[1-9]\d* labelled keypoints", line)


def test_without_a_data_set_nothing_is_asked_of_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "data=none"]) == 0
    assert "none chosen" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["data=coco", "data.root=/nonexistent"], "/nonexistent"),
        (["data.images=0"], "no images"),
        (["data.split=nowhere"], "nowhere"),
        (["device=tpu"], "cpu or cuda"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_fails_is_said_below_the_versions(overrides: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", *overrides]) == 1
    printed = capsys.readouterr()
    assert re.search(r"torch +\d", printed.out)  # a bug report needs them all the more
    assert words in printed.err and "Traceback" not in printed.err


def test_a_broken_image_that_is_not_the_first_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = {
        "images": [{"id": n, "file_name": f"{n}.png", "width": 8, "height": 8} for n in range(1, 4)],
        "annotations": [],
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO.keypoints)}],
    }
    (tmp_path / "people.json").write_text(json.dumps(content))
    for n in range(1, 4):
        cv2.imwrite(str(tmp_path / f"{n}.png"), np.zeros((8, 8, 3), np.uint8))
    data = ["data=coco", f"data.annotations={tmp_path}/people.json", f"data.images={tmp_path}"]
    assert main(["doctor", *data]) == 0
    (tmp_path / "2.png").write_bytes(b"")
    assert main(["doctor", *data]) == 1
    assert "2.png" in capsys.readouterr().err
