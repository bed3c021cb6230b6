"""Several sets are one: every person as in its own set, but for the skeleton."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from bottomup.data.coco import Coco
from bottomup.data.concat import Concat
from bottomup.dataset import DATASETS
from bottomup.errors import BottomupWarning, ConfigError
from bottomup.evaluation.measure import measures_of
from bottomup.samples.loader import Order
from bottomup.samples.subset import Subset
from bottomup.skeletons import COCO, CROWDPOSE, MPII
from tests.unit.evaluation.scenes import annotated

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*sides without a pair:UserWarning"),
]

H, W = 16, 20
MAPS = frozenset({"crowd", "unannotated", "unmasked", "instances"})
ENTRY = dict[str, Any]


def write(folder: Path, names: list[str], images: int, labelled: int | None = None, category: str = "person") -> ENTRY:
    """A set with one person per image, in images 5, 6, …; its keypoints before ``labelled`` (default: all) are labelled."""
    folder.mkdir()
    ids = range(5, 5 + images)
    labelled = len(names) if labelled is None else labelled
    triples = [[n + 1, n + 2, 2] if n < labelled else [0, 0, 0] for n in range(len(names))]
    keypoints = [value for triple in triples for value in triple]
    data = {
        "images": [{"id": n, "file_name": "a.png", "height": H, "width": W} for n in ids],
        "annotations": [
            {"id": n, "image_id": n, "category_id": 4, "bbox": [1, 2, 3, 4], "area": 12.0, "iscrowd": 0, "keypoints": keypoints}
            for n in ids
        ],
        "categories": [{"id": 4, "name": category, "keypoints": names, "sigmas": [0.05] * len(names)}],
    }
    (folder / "people.json").write_text(json.dumps(data))
    cv2.imwrite(str(folder / "a.png"), np.zeros((H, W, 3), np.uint8))
    return {"name": "coco", "annotations": str(folder / "people.json"), "images": str(folder), "category": category}


@pytest.fixture
def sets(tmp_path: Path) -> list[ENTRY]:
    """COCO's skeleton and CrowdPose's, two images and three."""
    return [write(tmp_path / "a", list(COCO.keypoints), 2), write(tmp_path / "b", list(CROWDPOSE.keypoints), 3)]


def opened(entry: ENTRY) -> Coco:
    return Coco(**{key: value for key, value in entry.items() if key != "name"})


def test_equal_names_map_onto_each_other(sets: list[ENTRY]) -> None:
    both = DATASETS["concat"](sets=sets)
    assert both.task.skeleton == COCO and len(both) == 5
    mapped, source = both.people(3), opened(sets[1]).people(1)
    for name in COCO.keypoints:
        k = COCO.index(name)
        if name in CROWDPOSE.keypoints:
            assert (mapped.keypoints[:, k] == source.keypoints[:, CROWDPOSE.index(name)]).all()
            assert (mapped.visibility[:, k] == 2).all()
        else:
            assert (mapped.visibility[:, k] == 0).all() and (mapped.keypoints[:, k] == 0).all()


def test_own_people_stay_as_they_are(sets: list[ENTRY]) -> None:
    both, alone = Concat(sets=sets), opened(sets[0])
    for index in range(len(alone)):
        people, sample = both.people(index), both.sample(index, MAPS)
        for name in people.__dataclass_fields__:
            assert np.all(getattr(people, name) == getattr(alone.people(index), name))
            assert np.all(getattr(people, name) == getattr(sample.people, name))
        assert sample.ignore.keys() == alone.sample(index, MAPS).ignore.keys()


def test_mapping_by_name(sets: list[ENTRY]) -> None:
    both = Concat(sets=[sets[0], sets[1] | {"keypoints": {"nose": "head"}}])
    people = both.people(4)
    assert people.visibility[0].nonzero()[0].tolist() == [COCO.index("nose")]
    assert (people.keypoints[0, COCO.index("nose")] == opened(sets[1]).people(0).keypoints[0, CROWDPOSE.index("head")]).all()


@pytest.mark.parametrize("skeleton", ["crowdpose", CROWDPOSE.to_dict()])
def test_target_skeleton_may_be_stated(sets: list[ENTRY], skeleton: Any) -> None:
    both = Concat(sets=sets, skeleton=skeleton)
    assert both.task.skeleton == CROWDPOSE
    assert (both.people(2).keypoints == opened(sets[1]).people(0).keypoints).all()


def test_image_ids_are_unique_and_stable(sets: list[ENTRY]) -> None:
    both = Concat(sets=sets)
    assert len(set(both.image_ids)) == len(both) and both.image_ids == Concat(sets=sets).image_ids
    assert [both.sample(index, frozenset()).image_id for index in range(len(both))] == both.image_ids


def test_ground_truth_agrees_with_people(sets: list[ENTRY]) -> None:
    both = Concat(sets=sets)
    truth = both.ground_truth()
    assert [image["id"] for image in truth["images"]] == both.image_ids
    assert len({record["id"] for record in truth["annotations"]}) == 5
    category = truth["categories"][0]
    assert category["keypoints"] == list(COCO.keypoints)
    for record in truth["annotations"]:
        people = both.people(both.image_ids.index(record["image_id"]))
        triples = np.reshape(record["keypoints"], (-1, 3))
        assert record["category_id"] == category["id"]
        assert (triples[:, 2] == people.visibility[0]).all()
        assert (triples[:, :2][triples[:, 2] > 0] + 0.5 == people.keypoints[0][triples[:, 2] > 0]).all()
        assert record["num_keypoints"] == (triples[:, 2] > 0).sum()


def test_people_left_without_keypoints_are_unannotated(tmp_path: Path, sets: list[ENTRY]) -> None:
    """They are there all the same, so heatmaps must not learn that nothing is."""
    lost = write(tmp_path / "c", ["left_knee", "horn"], 1) | {"keypoints": {"left_knee": "horn"}}
    kept = Concat(sets=[sets[0], lost]).sample(2, MAPS)
    assert kept.people.visibility.any() and not kept.ignore["unannotated"].any()
    names = ["tail", "left_knee"]  # only the first is labelled
    sample = Concat(sets=[sets[0], write(tmp_path / "d", names, 1, labelled=1)]).sample(2, MAPS)
    assert not sample.people.visibility.any()
    assert sample.ignore["unannotated"].sum() == 12 and sample.ignore["unannotated"][2:6, 1:4].all()


def test_weights_are_draws_per_image(sets: list[ENTRY]) -> None:
    assert Concat(sets=sets).weights is None
    weighted = Concat(sets=[sets[0] | {"weight": 3}, sets[1]])
    assert weighted.weights == [3, 3, 1, 1, 1]
    drawn = np.bincount(Order(weighted, batch_size=1, seed=0).epoch(0), minlength=5)
    assert drawn.tolist() == [3, 3, 1, 1, 1]
    assert Subset(weighted, [1, 4]).weights == [3, 1]
    assert Concat(sets=[sets[0], {"name": "concat", "sets": [sets[1] | {"weight": 2}], "weight": 2}]).weights == [1, 1, 4, 4, 4]


def test_sets_may_be_nested(sets: list[ENTRY]) -> None:
    flat, nested = Concat(sets=sets), Concat(sets=[{"name": "concat", "sets": sets}])
    for index in range(len(flat)):
        assert (flat.people(index).keypoints == nested.people(index).keypoints).all()


def test_split_reaches_every_set_that_says_none(tmp_path: Path) -> None:
    entry = write(tmp_path / "train", ["a", "b"], 1)
    other = {"name": "coco", "annotations": str(tmp_path / "{split}" / "people.json")}
    assert len(Concat(sets=[entry, other], split="train")) == 2
    assert len(Concat(sets=[entry, other | {"split": "train"}], split="elsewhere")) == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"keypoints": {"nose": "haed"}}, r"sets\[1\].*did you mean 'head'"),
        ({"keypoints": {"noze": "head"}}, r"sets\[1\].*did you mean 'nose'"),
        ({"keypoints": ["head"]}, r"sets\[1\].*target name: source name.*\['head'\]"),
        ({"weight": 0}, r"sets\[1\].*positive"),
        ({"weight": "often"}, r"sets\[1\].*'often'"),
        ({"anotations": "x"}, r"sets\[1\].*'anotations'.*annotations"),
        ({"name": "koko"}, "no data set named 'koko'"),
    ],
)
def test_wrong_entries_are_refused_by_name(sets: list[ENTRY], change: ENTRY, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Concat(sets=[sets[0], sets[1] | change])


def test_sets_that_share_nothing_are_refused(tmp_path: Path, sets: list[ENTRY]) -> None:
    with pytest.raises(ConfigError, match="share no keypoint"):
        Concat(sets=[sets[0], write(tmp_path / "c", ["tail", "horn"], 1)])
    with pytest.raises(ConfigError, match="at least one"):
        Concat(sets=[])
    with pytest.raises(ConfigError, match=r"sets\[0\]: no `name`; known"):
        Concat(sets=[{"root": "x"}])


def test_single_categories_may_have_other_names(tmp_path: Path, sets: list[ENTRY]) -> None:
    both = Concat(sets=[sets[0], write(tmp_path / "c", ["nose", "tail"], 1, category="human")])
    assert both.task.categories == ("person",)
    assert {record["category_id"] for record in both.ground_truth()["annotations"]} == {4}


def test_indices_beyond_the_end_are_refused(sets: list[ENTRY]) -> None:
    both = Concat(sets=sets)
    assert (both.people(-1).keypoints == both.people(4).keypoints).all()
    with pytest.raises(IndexError):
        both.people(5)


def test_ground_truth_of_some_images_is_that_part_of_the_whole(sets: list[ENTRY]) -> None:
    both = Concat(sets=sets)
    chosen = [len(both) - 1, 0]
    ids = {both.image_ids[index] for index in chosen}
    part, whole = both.ground_truth(chosen), both.ground_truth()
    assert {image["id"] for image in part["images"]} == ids and part["categories"] == whole["categories"]
    expected = [record | {"id": 0} for record in whole["annotations"] if record["image_id"] in ids]
    assert [record | {"id": 0} for record in part["annotations"]] == expected


@pytest.mark.parametrize(("stated", "counted"), [(None, 14 - 2), (14, 14 - 2), (3, 14 - 2), (0, 14 - 2)])
def test_mapped_keypoints_are_counted_anew(tmp_path: Path, sets: list[ENTRY], stated: int | None, counted: int) -> None:
    file = tmp_path / "b" / "people.json"
    data = json.loads(file.read_text())
    if stated is not None:
        for record in data["annotations"]:
            record["num_keypoints"] = stated
        file.write_text(json.dumps(data))
    truth = Concat(sets=sets).ground_truth([2])  # COCO has neither head nor neck
    assert [record["num_keypoints"] for record in truth["annotations"]] == [counted]


def test_whom_a_set_leaves_out_stays_so(tmp_path: Path, sets: list[ENTRY]) -> None:
    """CrowdPose's count leaves out head and neck, and so whoever has nothing else."""
    file = tmp_path / "b" / "people.json"
    data = json.loads(file.read_text())
    first, *others = data["annotations"]
    first["keypoints"][: 3 * 12] = [0] * 36
    for record, count in zip((first, *others), (0, 12, 12), strict=True):
        record["num_keypoints"] = count
    file.write_text(json.dumps(data))
    truth = Concat(sets=[sets[1], sets[0]]).ground_truth([0, 1])
    assert [record["num_keypoints"] for record in truth["annotations"]] == [0, 14]


# ---- what the sets are judged by -------------------------------------------------------------------------------------------


def crowded(folder: Path) -> ENTRY:
    """Two images of CrowdPose, as its files have them."""
    entry = write(folder, list(CROWDPOSE.keypoints), 2)
    file = Path(entry["annotations"])
    data = json.loads(file.read_text())
    for image in data["images"]:
        image["crowdIndex"] = 0.9
    file.write_text(json.dumps(data))
    return {"name": "crowdpose", "annotations": str(file), "images": str(folder)}


def test_one_set_is_judged_by_its_own_measures_on_the_skeleton_of_another(tmp_path: Path) -> None:
    one = Concat(sets=[crowded(tmp_path / "c")], skeleton="coco")
    (measure,) = measures_of(one.ground_truth(), COCO, 20)
    assert measure.names == ("AP_easy", "AP_medium", "AP_hard")
    for prediction in annotated(one.ground_truth()):
        measure.add(prediction)
    assert measure.metrics["AP_hard"] == pytest.approx(1.0) and np.isnan(measure.metrics["AP_easy"])


def test_of_several_sets_those_count_whose_images_are_judged(tmp_path: Path, sets: list[ENTRY]) -> None:
    both = Concat(sets=[sets[0], crowded(tmp_path / "c")])
    with pytest.warns(BottomupWarning, match="by COCO's figures alone; for crowd_index judge one set at a time"):
        assert not both.ground_truth()["measures"]
    assert not Subset(both, [0, 1]).ground_truth()["measures"]
    assert set(Subset(both, [2, 3]).ground_truth()["measures"]) == {"crowd_index"}


def test_groups_are_of_the_people_by_their_new_numbers(tmp_path: Path, sets: list[ENTRY]) -> None:
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "7.png"), np.zeros((120, 160, 3), np.uint8))
    joints = [[20.0 + 5 * (k % 4), 20.0 + 20 * (k // 4)] for k in range(16)]
    entry = {"image": "7.png", "joints": joints, "joints_vis": [1] * 16, "center": [60, 60], "scale": 0.5}
    (tmp_path / "two.json").write_text(json.dumps([entry, entry | {"joints": [[x + 60, y] for x, y in joints]}]))
    mpii = {"name": "mpii", "annotations": str(tmp_path / "two.json"), "images": str(tmp_path / "images")}
    with pytest.warns(BottomupWarning, match="for pckh judge one set"):
        truth = Concat(sets=[sets[0], mpii], skeleton="mpii").ground_truth()
    ids = [annotation["id"] for annotation in truth["annotations"] if annotation["image_id"] == 3]
    alone = Concat(sets=[mpii]).ground_truth()
    assert len(ids) == 2 and all(set(group["people"]) <= set(ids) for group in truth["images"][2]["groups"])
    (measure,) = measures_of(alone, MPII, 20)
    for prediction in annotated(alone):
        measure.add(prediction)
    assert measure.metrics["PCKh_AP"] == 1.0


def test_a_measure_of_keypoints_that_the_skeleton_has_not_judges_nothing_and_says_so(tmp_path: Path, sets: list[ENTRY]) -> None:
    truth = Concat(sets=[crowded(tmp_path / "c")], skeleton="coco").ground_truth()
    pckh = {**truth, "measures": {"pckh": {"parts": {"head": ["head_top"]}}}}
    with pytest.warns(BottomupWarning, match="pckh judges nothing here: it is of head_top, which these people do not have"):
        assert not measures_of(pckh, COCO, 20)  # type: ignore[arg-type]
