"""Files of public data sets as their authors and peers write them: real samples of each are read, and what is particular."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bottomup.cli import main
from bottomup.data.coco import Coco
from bottomup.data.crowdpose import Crowdpose
from bottomup.data.halpe import Halpe
from bottomup.data.posetrack18 import Posetrack18
from bottomup.data.voc import CATEGORIES
from bottomup.dataset import Dataset
from bottomup.errors import BottomupWarning, ConfigError, DataError
from bottomup.evaluation.measure import measures_of
from bottomup.plan.composing import load_config
from bottomup.plan.data import DataPlan
from bottomup.skeletons import HALPE26, HALPE136, POSETRACK18, Skeleton
from tests.unit.evaluation.scenes import annotated

MAPS = frozenset({"crowd", "unannotated", "unmasked", "instances"})


def samples(shared: Path) -> Path:
    folder = shared / "data" / "formats" / "samples"
    if not folder.is_dir():
        pytest.skip(f"no samples at {folder}")
    return folder


def read(*overrides: str) -> Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BottomupWarning)
        return DataPlan.of(load_config("evaluate", list(overrides))["data"]).dataset("val")


# data=: below the samples: the annotations, the images; people of each image, the skeleton
SAMPLES = {
    "crowdpose": ("crowdpose/test_crowdpose.json", "crowdpose", [3, 2], "crowdpose"),
    "mpii": ("mpii/test_mpii.json", "mpii", [1] * 5, "mpii"),
    "posetrack18": ("posetrack18/annotations/test_posetrack18_val.json", "posetrack18", [11, 2, 1], "posetrack18"),
    "halpe": ("halpe/test_halpe.json", "coco", [1, 3, 5, 5], "halpe26"),
    "ochuman": ("ochuman/test_ochuman.json", "ochuman", [1, 2, 2], "coco"),
    "aic": ("aic/test_aic.json", "aic", [3, 3, 3], "aic"),
    "mhp": ("mhp/test_mhp.json", "mhp", [2, 2], "mhp"),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_real_samples_are_read_with_their_images(name: str, shared: Path) -> None:
    file, images, counts, skeleton = SAMPLES[name]
    dataset = read(f"data={name}", f"data.annotations={samples(shared) / file}", f"data.images={samples(shared) / images}")
    assert dataset.task.skeleton is not None and dataset.task.skeleton.name == skeleton
    found = [dataset.sample(index, MAPS) for index in range(len(dataset))]
    assert [len(sample.people) for sample in found] == counts
    for sample in found:
        people, (height, width) = sample.people, sample.file_size
        assert sample.shape == (height, width) and (people.areas > 0).all()
        labelled = people.keypoints[people.labelled]
        around = (labelled > -0.05 * np.array((width, height))) & (labelled < 1.05 * np.array((width, height)))
        assert len(labelled) and around.mean() > 0.95
    truth: Any = dataset.ground_truth()
    for measure in measures_of(truth, dataset.task.skeleton, 20):
        for prediction in annotated(truth):
            measure.add(prediction)
        figures = [value for figure, value in measure.metrics.items() if "/" not in figure and not np.isnan(value)]
        assert figures and figures == pytest.approx([1.0] * len(figures))


@pytest.mark.parametrize("skeleton", [HALPE26, HALPE136, POSETRACK18], ids=lambda skeleton: skeleton.name)
def test_trees_reach_every_keypoint_and_are_their_own_mirror_images(skeleton: Skeleton) -> None:
    assert len(skeleton.tree) == len(skeleton) - 1
    flipped = skeleton.flipped_directed
    assert [flipped[flipped[edge]] for edge in range(len(flipped))] == list(range(len(flipped)))
    left = [name for name in skeleton.keypoints if name.startswith("left_")]
    assert {name for pair in skeleton.flip_pairs for name in pair if name.startswith("left_")} == set(left)


# ---- CrowdPose -------------------------------------------------------------------------------------------------------------


def test_crowdpose_s_areas_are_a_share_of_boxes_whatever_the_file_says(tmp_path: Path, shared: Path) -> None:
    data = json.loads((samples(shared) / "crowdpose" / "test_crowdpose.json").read_text())
    for annotation in data["annotations"]:
        annotation["area"] = 5000.0
    (tmp_path / "crowdpose_val.json").write_text(json.dumps(data))
    dataset = Crowdpose(root=str(tmp_path))
    people = dataset.people(0)
    np.testing.assert_allclose(people.areas, 0.53 * (people.boxes[:, 2:] - people.boxes[:, :2]).prod(1), rtol=1e-4)
    assert dataset.ground_truth()["measures"] == {"crowd_index": {"easy": 0.1, "hard": 0.8}}
    with pytest.raises(ConfigError, match="data set 'crowdpose' needs `root`"):
        Crowdpose()


# ---- PoseTrack -------------------------------------------------------------------------------------------------------------


def test_posetrack_s_videos_are_one_data_set_without_frames_that_are_not_labelled(shared: Path, tmp_path: Path) -> None:
    root = samples(shared) / "posetrack18"
    with pytest.warns(BottomupWarning, match="labelled out of the image"):
        dataset = Posetrack18(root=str(root))
    assert dataset.image_ids == [10034180000, 10094730000, 10128340000]  # files in order
    assert [len(dataset.people(index)) for index in range(3)] == [1, 2, 11]
    assert dataset.sample(0, MAPS).ignore["crowd"].mean() == pytest.approx(0.4, abs=0.1)  # regions to ignore
    first = json.loads((root / "annotations" / "val" / "009473_mpii_test.json").read_text())
    frame = first["images"][0]
    first["images"].append(frame | {"id": 5, "is_labeled": False})
    (tmp_path / "a.json").write_text(json.dumps(first))
    assert len(Posetrack18(annotations=str(tmp_path), images=str(root))) == 1
    (tmp_path / "a.json").unlink()
    with pytest.raises(DataError, match="a file for each video"):
        Posetrack18(annotations=str(tmp_path), images=str(root))


def test_posetrack_s_heads_are_six_tenths_of_their_boxes_diagonals(shared: Path) -> None:
    file = samples(shared) / "posetrack18" / "annotations" / "val" / "009473_mpii_test.json"
    stated = [person["bbox_head"] for person in json.loads(file.read_text())["annotations"]]
    truth = Posetrack18(annotations=str(file)).ground_truth()
    sizes = [person["head_size"] for person in truth["annotations"] if not person["iscrowd"]]
    assert sizes == pytest.approx([0.6 * np.hypot(*box[2:]) for box in stated])


# ---- Halpe -----------------------------------------------------------------------------------------------------------------


def test_halpe_s_body_is_the_beginning_of_the_whole(shared: Path) -> None:
    file = str(samples(shared) / "halpe" / "test_halpe.json")
    body, whole = Halpe(annotations=file), Halpe(annotations=file, keypoints=136)
    assert whole.task.keypoints == 136 and body.task.keypoints == 26
    for index in range(len(body)):
        np.testing.assert_array_equal(body.people(index).keypoints, whole.people(index).keypoints[:, :26])
    assert body.ground_truth()["annotations"][0]["num_keypoints"] == int((body.people(0).visibility[0] > 0).sum())
    with pytest.raises(ConfigError, match="keypoints should be"):
        Halpe(annotations=file, keypoints=27)  # type: ignore[arg-type]


# ---- COCO for VOC ----------------------------------------------------------------------------------------------------------


def test_categories_are_renamed_for_another_data_set_s_model(shared: Path) -> None:
    file = str(samples(shared) / "coco" / "test_coco.json")
    assert Coco(annotations=file, rename={"person": "human"}).task.categories == ("human",)
    with pytest.raises(DataError, match=r"rename: .*did you mean 'person'"):
        Coco(annotations=file, rename={"persons": "human"})


def test_coco_s_categories_of_voc_are_in_voc_s_order_by_its_names() -> None:
    data = load_config("train", ["data=coco_voc", "data.root=coco"])["data"]
    assert tuple(data["rename"].get(name, name) for name in data["category"]) == CATEGORIES
    assert data["annotations"] == "coco/annotations/instances_{split}.json"


# ---- commands --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "figures"),
    [("crowdpose", ["AP_easy", "AP_medium", "AP_hard"]), ("mpii", ["PCKh_AP", "PCKh_AP_head", "PCKh_AP_ankle"])],
)
def test_evaluate_tells_the_data_set_s_own_figures(
    name: str, figures: list[str], shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, images, _, _ = SAMPLES[name]
    places = [f"data.annotations={samples(shared) / file}", f"data.images={samples(shared) / images}"]
    small = ["oracle=[heatmap,tags]", "backbone=hourglass_tiny", "input_size=256", "workers=0", "pictures=0"]
    assert main(["evaluate", f"data={name}", *places, *small, f"output={tmp_path}"]) == 0
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    printed = capsys.readouterr().out
    for figure in figures:
        assert figure in printed and (metrics[figure] is None or metrics[figure] > 0.8)
    assert metrics["AP50"] > 0.9 and "PCKh_AP/" not in printed


def test_coco_s_objects_of_voc_s_categories_are_read_as_voc_s(tmp_path: Path) -> None:
    names = load_config("train", ["data=coco_voc", "data.root=coco"])["data"]["category"]
    listed = [{"id": number, "name": name} for number, name in enumerate(["toaster", *sorted(names)], 1)]
    ids = {category["name"]: category["id"] for category in listed}
    square = [[10, 10, 50, 10, 50, 50, 10, 50]]
    objects = [
        {"id": number, "image_id": 1, "category_id": ids[name], "bbox": [10, 10, 40, 40], "area": 1600, "segmentation": square}
        for number, name in enumerate(["airplane", "tv", "toaster"], 1)
    ]
    images = [{"id": number, "file_name": f"{number}.jpg", "height": 60, "width": 80} for number in (1, 2)]
    (tmp_path / "annotations").mkdir()
    content = {"images": images, "annotations": objects, "categories": listed}
    (tmp_path / "annotations" / "instances_val.json").write_text(json.dumps(content))
    dataset = read("data=coco_voc", f"data.root={tmp_path}")
    assert dataset.task.categories == CATEGORIES and dataset.task.skeleton is None and dataset.image_ids == [1]
    people = dataset.people(0)
    assert [CATEGORIES[label] for label in people.labels] == ["aeroplane", "tvmonitor"] and people.has_mask.all()
