"""Several categories of the same keypoints are one data set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bottomup.cli import main
from bottomup.data.coco import Coco
from bottomup.data.concat import Concat
from bottomup.errors import DataError
from bottomup.evaluation.run import evaluate_dataset
from bottomup.plan.judging import evaluate_plan
from bottomup.predictor import Predictor
from bottomup.skeletons import COCO
from bottomup.types import Task
from tests.coco_folders import IMAGES, Record, content, write

BOTH = ["rider", "walker"]


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """A rider, a walker and another rider in each image."""
    return write(tmp_path, content(people=3, categories=BOTH))


@pytest.mark.parametrize(("chosen", "labels"), [(BOTH, [0, 1, 0]), (BOTH[::-1], [1, 0, 1]), (["walker"], [0]), ("rider", [0, 0])])
def test_people_are_labelled_by_category_and_images_listed_once(folder: str, chosen: Any, labels: list[int]) -> None:
    dataset = Coco(root=folder, category=chosen)
    assert dataset.task.categories == ((chosen,) if isinstance(chosen, str) else tuple(chosen))
    assert dataset.image_ids == [1, 2, 3] and dataset.task.skeleton == COCO
    for index in range(IMAGES):
        assert dataset.people(index).labels.tolist() == dataset.sample(index, frozenset()).people.labels.tolist() == labels
        assert dataset.number_of_people(index) == len(labels)
    truth = dataset.ground_truth()
    assert [category["name"] for category in truth["categories"]] == list(dataset.task.categories)
    assert len(truth["annotations"]) == IMAGES * len(labels) and len(truth["images"]) == IMAGES


@pytest.mark.parametrize(
    ("options", "oracle"),
    [
        (["method=associative_embedding", "backbone=hourglass_tiny"], ("heatmap", "tags")),
        (
            ["method=multiposenet", "backbone.network=test_resnet", "necks.people.channels=8", "heads.prn.hidden=[8]"],
            ("retinanet", "candidates", "proposals", "prn"),
        ),
    ],
    ids=["associative embedding", "multiposenet"],
)
def test_people_of_all_categories_are_judged_together(folder: str, options: list[str], oracle: tuple[str, ...]) -> None:
    dataset = Coco(root=folder, category=BOTH)
    model, decoder = evaluate_plan(options).model.compose(dataset.task)
    metrics = evaluate_dataset(Predictor(model, decoder, input_size=192), dataset, oracle=oracle).metrics
    assert [metrics[name] for name in ("AP", "box_AP") if name in metrics] == pytest.approx([1, 1][: 1 + ("retinanet" in oracle)])


@pytest.mark.parametrize("method", ["associative_embedding", "personlab", "multiposenet"])
def test_every_method_trains_on_them_from_the_command_line(folder: str, tmp_path: Path, method: str) -> None:
    small = {
        "associative_embedding": ["backbone=hourglass_tiny"],
        "personlab": ["backbone=mobilenet_v1", "backbone.depth=0.5"],
        "multiposenet": [
            "backbone.network=test_resnet",
            "backbone.pretrained=false",
            "necks.people.channels=8",
            "heads.prn.hidden=[8]",
        ],
    }[method]
    options = ["data=coco", f"data.root={folder}", "data.category=[rider,walker]", f"method={method}", *small, "input_size=96"]
    training = ["engine.steps=1", "engine.batch_size=2", "engine.tensorboard=false", "engine.validate_every=0", "workers=0"]
    assert main(["train", *options, *training, "device=cpu", f"output={tmp_path / 'run'}"]) == 0


def test_different_keypoints_are_refused_with_both_lists(tmp_path: Path) -> None:
    data = content(people=2, categories=BOTH)
    data["categories"][1]["keypoints"] = ["saddle", "bar"]
    with pytest.raises(DataError, match=r"same keypoints.*'rider' has nose, left_eye.*'walker' has saddle, bar; .*data=concat"):
        Coco(root=write(tmp_path, data), category=BOTH)
    del data["categories"][1]["keypoints"]
    with pytest.raises(DataError, match="'walker' has none"):
        Coco(root=write(tmp_path, data), category=BOTH)


def test_objects_without_keypoints_are_objects_beside_people_or_alone(tmp_path: Path) -> None:
    def without_keypoints(annotation: Record) -> Record:
        kept = {key: value for key, value in annotation.items() if "keypoints" not in key}
        return kept if annotation["category_id"] == 2 else annotation

    data = content(without_keypoints, people=3, categories=["person", "bicycle"])
    del data["categories"][1]["keypoints"]
    mixed = Coco(root=write(tmp_path / "mixed", data), category=["person", "bicycle"])
    people, sample = mixed.people(0), mixed.sample(0, frozenset({"unannotated"}))
    assert mixed.task == Task(COCO, ("person", "bicycle")) and people.labels.tolist() == [0, 1, 0]
    assert people.labelled.any(1).tolist() == [True, False, True]
    assert not sample.ignore["unannotated"].any()  # a bicycle is no person without keypoints
    assert ["keypoints" in category for category in mixed.ground_truth()["categories"]] == [True, False]
    alone = Coco(root=str(tmp_path / "mixed"), category="bicycle")
    assert alone.task == Task(None, ("bicycle",)) and alone.people(0).keypoints.shape == (1, 0, 2)
    assert alone.sample(0, frozenset()).people.boxes.shape == (1, 4) and len(alone.ground_truth()["annotations"]) == IMAGES


def test_a_folder_with_instances_alone_is_read(tmp_path: Path) -> None:
    folder = Path(write(tmp_path, content()))
    for path in (folder / "annotations").iterdir():
        path.rename(path.with_name(path.name.replace("person_keypoints", "instances")))
    assert len(Coco(root=str(folder)).ground_truth()["annotations"]) == IMAGES


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        (["rider", "walkre"], "did you mean 'walker'"),
        (["rider", "rider"], "different ones"),
        ([], "different ones"),
        (None, "one of"),
    ],
)
def test_wrong_choices_are_refused(folder: str, chosen: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        Coco(root=folder, category=chosen)


def test_sets_of_the_same_categories_are_joined(folder: str) -> None:
    entry = {"name": "coco", "root": folder, "category": BOTH}
    both = Concat(sets=[entry, entry])
    assert both.task.categories == tuple(BOTH) and both.people(IMAGES).labels.tolist() == [0, 1, 0]
    truth = both.ground_truth()
    assert [record["category_id"] for record in truth["annotations"]] == [1, 2, 1] * 2 * IMAGES
    assert [category["name"] for category in truth["categories"]] == BOTH
