"""Folders in PASCAL VOC's layout, made of real masks and of drawn ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco_mask

from bottomup.checkpoint import Checkpoint, save_checkpoint, versions
from bottomup.cli import main
from bottomup.coco.masks import mask_rle
from bottomup.data.coco import Coco
from bottomup.data.voc import CATEGORIES, Voc
from bottomup.errors import ConfigError, DataError
from bottomup.evaluation.measure import measures_of
from bottomup.geometry import Grid
from bottomup.masks import Masks
from bottomup.plan.training import train_plan
from bottomup.samples.subset import Subset
from bottomup.skeletons import COCO
from bottomup.types import Instances, Prediction, Task
from tests.voc_folders import PERSON, bordered, write

DOG, CAR = CATEGORIES.index("dog") + 1, CATEGORIES.index("car") + 1
SIZE = (60, 100)
GREY = np.full((*SIZE, 3), 90, np.uint8)
MAPS = frozenset({"crowd", "unannotated", "unmasked", "instances"})


def block(top: int, left: int, height: int = 30, width: int = 20) -> NDArray[np.bool_]:
    mask = np.zeros(SIZE, bool)
    mask[top : top + height, left : left + width] = True
    return mask


SCENE = [(block(10, 10), PERSON), (block(10, 40), DOG), (block(10, 70), PERSON)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "VOC2012", {"2007_000032": (GREY, SCENE), "2007_000039": (GREY, SCENE[1:2])})


def test_objects_have_their_pixels_category_box_and_area_without_the_border(folder: Path) -> None:
    dataset = Voc(root=str(folder))
    assert dataset.image_ids == [2007000032, 2007000039] and dataset.task.skeleton is None and dataset.image_size(0) == SIZE
    people = dataset.people(0)
    assert [dataset.task.categories[label] for label in people.labels] == ["person", "dog", "person"]
    assert people.has_mask.all() and people.keypoints.shape == (3, 0, 2)
    assert people.boxes.tolist() == [[x + 2, 12, x + 18, 38] for x in (10, 40, 70)]  # borders of 5 px take two of each side
    assert people.areas.tolist() == [16 * 26] * 3


def test_maps_say_whose_a_pixel_is_and_what_counts_nowhere(folder: Path) -> None:
    sample = Voc(root=str(folder)).sample(0, MAPS)
    owners, _ = bordered(SCENE)
    np.testing.assert_array_equal(sample.ignore["crowd"], owners == 255)
    np.testing.assert_array_equal(sample.instances, np.where(owners == 255, 0, owners))
    assert not sample.ignore["unmasked"].any() and sample.file_size == SIZE and sample.pixels.shape == (3, *SIZE)


def test_objects_of_other_categories_are_background(folder: Path) -> None:
    dataset = Voc(root=str(folder.parent), category=["dog", "car"])  # the folder above will do
    assert dataset.task.categories == ("dog", "car") and [len(dataset.people(i)) for i in range(2)] == [1, 1]
    sample = dataset.sample(0, MAPS)
    assert sample.instances is not None and sample.instances.max() == 1 and sample.people.labels.tolist() == [0]
    assert [category["id"] for category in dataset.ground_truth()["categories"]] == [DOG, CAR]
    assert len(Voc(root=str(folder), category="person").people(1)) == 0


def test_ground_truth_has_every_object_and_the_borders(folder: Path) -> None:
    truth = Voc(root=str(folder)).ground_truth()
    assert [entry["id"] for entry in truth["annotations"]] == [1, 2, 3, 4] and truth["measures"] == {"voc": {}}
    assert [entry["category_id"] for entry in truth["annotations"]] == [PERSON, DOG, PERSON, DOG]
    void = coco_mask.decode(mask_rle(truth["images"][0]["void"], truth["images"][0]))
    np.testing.assert_array_equal(void > 0, bordered(SCENE)[0] == 255)


def test_images_are_chosen_by_id_and_part(folder: Path) -> None:
    assert Voc(root=str(folder), image_ids=[2007000039]).image_ids == [2007000039]
    assert Voc(root=str(folder), exclude_ids=[2007000039]).image_ids == [2007000032]
    part = Subset(Voc(root=str(folder)), [1]).ground_truth()
    assert len(part["annotations"]) == 1 and "measures" in part


def test_a_split_without_masks_has_images_alone(folder: Path) -> None:
    (folder / "ImageSets" / "Segmentation" / "test.txt").write_text("2008_000001\n")
    Image.fromarray(GREY).save(folder / "JPEGImages" / "2008_000001.jpg")
    dataset = Voc(root=str(folder), split="test")
    assert not dataset.labelled and len(dataset.people(0)) == 0 and dataset.sample(0, MAPS).image_id == 2008000001


def test_what_is_wrong_is_one_sentence(folder: Path) -> None:
    with pytest.raises(ConfigError, match="needs `root`"):
        Voc()
    with pytest.raises(DataError, match=r"train\.txt: no such file; .* val"):
        Voc(root=str(folder), split="train")
    with pytest.raises(ConfigError, match="did you mean 'motorbike'"):
        Voc(root=str(folder), category="motorbikes")
    with pytest.raises(ConfigError, match="different categories"):
        Voc(root=str(folder), category=["dog", "dog"])
    Image.fromarray(GREY).save(folder / "SegmentationObject" / "2007_000032.png")
    with pytest.raises(DataError, match=r"2007_000032\.png: should hold a number .* the indexed PNG, not its colours"):
        Voc(root=str(folder)).people(0)
    Image.fromarray(GREY[:50]).save(folder / "JPEGImages" / "2007_000039.jpg")
    with pytest.raises(DataError, match=r"2007_000039\.jpg: is 50 x 100 px .* masks are 60 x 100"):
        Voc(root=str(folder)).sample(1, MAPS)
    (folder / "SegmentationClass" / "2007_000039.png").unlink()
    with pytest.raises(DataError, match=r"SegmentationClass.*2007_000039\.png: should be a PNG"):
        Voc(root=str(folder)).people(1)


# ---- real masks --------------------------------------------------------------------------------------------------------------


def test_a_folder_of_real_people_reads_as_it_was_made_and_their_masks_score_one(shared: Path, tmp_path: Path) -> None:
    coco = Coco(root=str(shared / "data" / "coco_person"))
    images: dict[str, tuple[NDArray[np.uint8], Any]] = {}
    for index in range(len(coco)):
        people = coco.people(index)
        if len(people) > 1 and people.has_mask.all() and people.areas.min() > 1000 and len(images) < 5:
            sample = coco.sample(index, frozenset({"instances"}))
            assert sample.instances is not None
            objects = [(sample.instances == n, PERSON) for n in range(1, len(people) + 1)]
            images[f"{coco.image_ids[index]:012d}"] = (sample.pixels.transpose(1, 2, 0), objects)
    dataset = Voc(root=str(write(tmp_path, images)), category="person")
    (measure,) = measures_of(dataset.ground_truth(), None, 100)
    for index, (name, (_, objects)) in enumerate(images.items()):
        owners, _ = bordered(objects)
        kept = [n for n in range(1, len(objects) + 1) if (owners == n).any()]
        people, sample = dataset.people(index), dataset.sample(index, MAPS)
        assert len(people) == len(kept) and people.areas.tolist() == [(owners == n).sum() for n in kept]
        np.testing.assert_array_equal(sample.ignore["crowd"], owners == 255)
        measure.add(whole(np.array([objects[n - 1][0] for n in kept]), int(name)))
    metrics = measure.metrics
    assert sum(len(dataset.people(i)) for i in range(len(dataset))) >= 10
    for figure in ("voc_AP50", "voc_AP70", "voc_AP50_11", "voc_AP70_11", "voc_IoU", "voc_mIoU"):
        assert metrics[figure] == pytest.approx(1.0)


def whole(masks: NDArray[np.bool_], image_id: int) -> Prediction:
    """The masks as they were before borders were drawn: those count nowhere."""
    count = len(masks)
    levels = Masks.of_levels(torch.tensor(2.0 * masks - 1), Grid.centred(1))
    nothing, labels = torch.zeros(count, 0, 2), torch.zeros(count, dtype=torch.int64)
    instances = Instances(nothing, nothing[..., 0], torch.linspace(0.9, 0.1, count), torch.zeros(count, 4), labels, levels)
    return Prediction(instances, (masks.shape[1], masks.shape[2]), image_id=image_id)


# ---- commands ----------------------------------------------------------------------------------------------------------------


def test_a_pose_model_s_foreground_is_judged_by_voc_s_people(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """MultiPoseNet §4.4: no keypoints are annotated, and none are needed."""
    small = ["backbone.channels=8", "backbone.growth=4", "input_size=64"]
    plan = train_plan(["experiment=demo/personlab", *small]).model
    model, _ = plan.compose(Task(COCO))
    checkpoint = Checkpoint(plan.carried(), Task(COCO), model.state_dict(), None, None, versions())
    weights = save_checkpoint(tmp_path / "best.pt", checkpoint)
    command = ["evaluate", "data=voc", f"data.root={folder}", f"weights={weights}", "workers=0", f"output={tmp_path}/judged"]
    assert main([*command, "data.category=person", "scales=[1.0,1.5]", "flip=true"]) == 0
    printed = capsys.readouterr().out
    metrics = json.loads((tmp_path / "judged" / "metrics.json").read_text())
    assert "voc_IoU" in printed and 0 <= metrics["voc_IoU"] <= 1 and metrics["voc_IoU"] == metrics["segmentation_IoU"]
    assert "voc_IoU/person" in metrics and metrics["images"] == 2 and "errors" not in metrics
    assert main(command) == 1
    assert "the model finds person, the data set has aeroplane" in capsys.readouterr().err


def test_masks_from_true_tags_score_one_by_category(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Associative Embedding §4.2's table, from what the data set says: three scales apart, twenty categories."""
    command = ["evaluate", "method=associative_embedding_segmentation", "data=voc", f"data.root={folder}", "workers=0"]
    oracle = ["oracle=[segmentation,instance_tags]", "backbone=hourglass_tiny", "pictures=1", f"output={tmp_path}/judged"]
    assert main([*command, *oracle]) == 0
    metrics = json.loads((tmp_path / "judged" / "metrics.json").read_text())
    assert metrics["voc_AP50"] == metrics["voc_AP50/dog"] == metrics["voc_AP50_11"] == 1 and metrics["voc_AP70"] == 1
    assert metrics["voc_IoU"] > 0.85 and metrics["voc_AP50/cat"] is None
    assert "voc_AP50" in capsys.readouterr().out
    records = json.loads((tmp_path / "judged" / "predictions.json").read_text())
    assert {record["category_id"] for record in records} == {PERSON, DOG}


def test_a_network_of_masks_trains_a_step_on_voc_and_is_judged_by_its_figures(folder: Path, tmp_path: Path) -> None:
    small = ["backbone=hourglass_tiny", "input_size=64", "heads.segmentation.sizes=[4,60]", "engine.steps=1", "engine.batch_size=1"]
    splits = ["data.train_split='val[:1]'", "data.val_split='val[1:]'"]
    data = ["data=voc", f"data.root={folder}", "data.category=[person,dog]", *splits]
    judged = ["engine.best=voc_AP50", "engine.validate_every=1", "engine.tensorboard=false", "workers=0", f"output={tmp_path}/run"]
    assert main(["train", "method=associative_embedding_segmentation", *data, *small, *judged]) == 0
    trained, validated = map(json.loads, (tmp_path / "run" / "log.jsonl").read_text().splitlines())
    assert trained["loss/segmentation/mask"] > 1e-3 and trained["loss/instance_tags/push"] > 0
    assert 0 <= validated["val/voc_AP50"] <= 1 and "val/voc_AP50/dog" in validated
    assert main(["train", "method=associative_embedding_segmentation", *data, *small, *judged, "engine.best=voc_AP60"]) == 1
