"""Images with more people than a limit lets be found, counted or trained on are said, with the option to raise."""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path

import pytest

from bottomup.cli import main
from bottomup.data.coco import Coco
from bottomup.data.concat import Concat
from bottomup.data.synthetic import Synthetic
from bottomup.errors import BottomupWarning
from bottomup.evaluation.limits import warn_of_limits
from bottomup.samples.kept import Kept
from bottomup.samples.labels import Labels
from bottomup.samples.subset import Subset
from tests.coco_folders import HEIGHT, IMAGES, WIDTH, Record, content, record, write

CROWDED = 42  # people of the first image; the others have one


def small_figure(place: int) -> list[float]:
    """Somebody of 21 x 21 px with a place of their own."""
    x, y = 2 + 26 * (place % 7), 2 + 23 * (place // 7)
    return [value for k in range(17) for value in (x + 5 * (k % 5), y + 5 * (k // 5), 2)]


@pytest.fixture
def folder(tmp_path: Path) -> str:
    data = content()
    crowded = [record(100 + place, 1, small_figure(place)) for place in range(CROWDED)]
    return write(tmp_path / "data", data | {"annotations": crowded + data["annotations"][1:]})


def said(command: list[str]) -> str:
    """What a command says of people beyond its limits."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert main(command) == 0
    return " ".join(str(entry.message) for entry in caught if "more people" in str(entry.message))


@pytest.mark.parametrize(
    ("method", "oracle", "options", "raised"),
    [
        ("associative_embedding", "heatmap,tags", ["backbone=hourglass_tiny"], ["max_people", "decoder.max_people"]),
        (
            "personlab",
            "heatmap,segmentation,short_offsets,mid_offsets,long_offsets",
            ["backbone=mobilenet_v1", "backbone.output_stride=8"],
            ["max_people", "decoder.max_people", "decoder.voting.max_peaks"],
        ),
    ],
)
def test_evaluation_names_the_options_that_find_everybody(
    folder: str, tmp_path: Path, method: str, oracle: str, options: list[str], raised: list[str]
) -> None:
    run = ["evaluate", "data=coco", f"data.root={folder}", f"method={method}", f"oracle=[{oracle}]", *options, "input_size=768"]
    run += ["device=cpu", "workers=0", "pictures=0", f"output={tmp_path / 'out'}"]
    text = said(run)
    assert f"1 of {IMAGES} images have more people, up to {CROWDED}" in text
    advice = re.findall(r"\S+=42", text.split("; give ")[1])
    assert advice == [f"{option}={CROWDED}" for option in raised]
    before = json.loads((tmp_path / "out/metrics.json").read_text())["AP"]
    assert not said([*run, *advice])
    after = json.loads((tmp_path / "out/metrics.json").read_text())["AP"]
    assert before < 0.7 and after > 0.98


def test_training_says_whom_it_leaves_out(folder: str, tmp_path: Path) -> None:
    run = ["train", "data=coco", f"data.root={folder}", "backbone=hourglass_tiny", "input_size=64", "engine.steps=1", "workers=0"]
    run += ["engine.batch_size=2", "engine.tensorboard=false", "device=cpu", "overwrite=true", f"output={tmp_path / 'out'}"]
    text = said(run)
    assert "are trained on by data.max_people=30; give data.max_people=42" in text
    assert "validation finds and counts by validation.max_people=20, decoder.max_people=30" in text
    assert not said([*run, "data.max_people=42", "validation.max_people=42", "decoder.max_people=42"])


def test_numbers_are_known_through_all_that_wraps_a_file(folder: str) -> None:
    coco = Coco(root=folder)
    wrapped = [coco, Subset(coco, [2, 0]), Kept(coco), Labels(coco), Concat(sets=[{"name": "coco", "root": folder}])]
    assert [max(d.number_of_people(index) or 0 for index in range(len(d))) for d in wrapped] == [CROWDED] * 5
    for dataset in wrapped:
        with pytest.warns(BottomupWarning, match=f"1 of {len(dataset)} images have more people, up to 42, than are seen by a=41"):
            warn_of_limits(dataset, {"a": 41, "b": 42}, "are seen")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_limits(coco, {"a": 42}, "are seen")
        warn_of_limits(Synthetic(images=2), {"a": 0}, "are seen")  # which would have to draw them


def test_crowds_are_nobody(tmp_path: Path) -> None:
    def crowd(given: Record) -> Record:
        return given | {"iscrowd": int(given["id"] % 2 == 0), "bbox": [0, 0, WIDTH, HEIGHT]}

    coco = Coco(root=write(tmp_path, content(crowd, people=2)))
    assert [coco.number_of_people(index) for index in range(IMAGES)] == [1] * IMAGES
