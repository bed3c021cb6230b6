"""``data=concat`` composes, from the command line and from a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bottomup.errors import ConfigError
from bottomup.plan.composing import load_config
from bottomup.plan.data import DataPlan
from bottomup.plan.files import config_folder
from bottomup.skeletons import COCO, CROWDPOSE


def write(folder: Path, names: tuple[str, ...], images: int) -> Path:
    """Annotations of one person with the keypoints ``names`` in each image, in train.json and val.json."""
    folder.mkdir()
    person = {"category_id": 1, "bbox": [1, 2, 3, 4], "area": 12.0, "keypoints": [3, 4, 2] * len(names)}
    for split, count in (("train", images), ("val", 1)):
        ids = range(1, count + 1)
        data = {
            "images": [{"id": n, "file_name": "a.png", "height": 9, "width": 9} for n in ids],
            "annotations": [person | {"id": n, "image_id": n} for n in ids],
            "categories": [{"id": 1, "name": "person", "keypoints": list(names)}],
        }
        (folder / f"{split}.json").write_text(json.dumps(data))
    return folder


@pytest.fixture
def sets(tmp_path: Path) -> str:
    """Two sets as the command line says them."""
    coco, crowdpose = write(tmp_path / "a", COCO.keypoints, 2), write(tmp_path / "b", CROWDPOSE.keypoints, 3)
    first = f"{{name: coco, annotations: '{coco}/{{split}}.json'}}"
    second = f"{{name: coco, annotations: '{crowdpose}/{{split}}.json', weight: 2, keypoints: {{nose: head, left_hip: left_hip}}}}"
    return f"data.sets=[{first}, {second}]"


def test_it_composes_from_the_command_line(sets: str) -> None:
    config = load_config("train", ["data=concat", sets])
    training, validation = (DataPlan.of(config["data"]).dataset(purpose) for purpose in ("train", "val"))
    assert (len(training), len(validation)) == (5, 2)
    assert training.task.skeleton == COCO and training.weights == [1, 1, 2, 2, 2]
    assert training.annotated(0).all()
    assert {COCO.keypoints[k] for k in training.annotated(4).nonzero()[0]} == {"nose", "left_hip"}


def test_its_options_are_options_like_others(sets: str) -> None:
    parts = ["data.train_split='train[1:]'", "data.skeleton=crowdpose", "data.max_people=3", "data.curriculum=true"]
    dataset = DataPlan.of(
        load_config("train", ["data=concat", sets.replace(", keypoints: {nose: head, left_hip: left_hip}", ""), *parts])["data"]
    ).dataset("train")
    assert dataset.image_ids == [2, 3, 4, 5] and dataset.task.skeleton == CROWDPOSE


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "at least one of `sets`"),
        (["data.sets=coco"], "at least one of `sets`|data.sets should be a list"),
        (["data.sets=[coco]"], "at least one of `sets`|data.sets should be a list"),
        (["data.sets=[{name: cocoo}]"], "did you mean 'coco'"),
        (["data.set=[{name: coco}]"], "did you mean data.sets"),
    ],
)
def test_what_is_no_list_of_sets_is_refused_in_one_sentence(given: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        DataPlan.of(load_config("train", ["data=concat", *given])["data"]).dataset("train")


def test_the_example_of_its_file_is_true() -> None:
    text = (config_folder() / "data" / "concat.yaml").read_text()
    (command,) = (line for line in text.splitlines() if "bottomup train" in line)
    overrides = command.split("bottomup train ")[1].split(" ", 1)
    config = load_config("train", [override.strip('"') for override in overrides])
    assert [entry["root"] for entry in config["data"]["sets"]] == ["coco", "crowdpose"]
    assert config["data"]["sets"][1]["keypoints"] == {"nose": "head"}
