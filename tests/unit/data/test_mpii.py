"""MPII Human Pose from the release's structure and from peers' JSON: people, heads, groups."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from bottomup.data.mpii import Mpii
from bottomup.errors import ConfigError, DataError
from bottomup.evaluation.measure import measures_of
from bottomup.skeletons import MPII
from tests.unit.evaluation.scenes import annotated

WIDTH, HEIGHT = 640, 360
NAMES = ("015601864.jpg", "015601865.jpg", "015601866.jpg")
Structure = dict[str, Any]


def joints(x: float, y: float) -> np.ndarray:
    """The sixteen places of somebody whose pelvis is at (x, y), as the release counts pixels: from 1."""
    return np.array(
        [(-10, 80), (-10, 40), (-8, 2), (8, 2), (10, 40), (10, 80), (0, 0), (0, -40), (2, -45), (-2, -75), (-30, 10), (-25, -15),
         (-15, -38), (15, -38), (25, -15), (30, 10)], float
    ) + (x, y)  # fmt: skip


def person(x: float, y: float, hidden: tuple[int, ...] = (), absent: tuple[int, ...] = ()) -> Structure:
    """A person as the release has it; the head's box is around the line from neck to head, .8 of the diagonal long."""
    places = joints(x, y)
    middle, length = places[8:10].mean(0), math.dist(places[8], places[9])
    half = length / 0.8 / math.sqrt(2) / 2  # a square's
    points = [
        {"x": px, "y": py, "id": k, "is_visible": np.zeros((0, 0)) if k in (8, 9) else int(k not in hidden)}
        for k, (px, py) in enumerate(places)
        if k not in absent
    ]
    corners = {"x1": middle[0] - half, "y1": middle[1] - half, "x2": middle[0] + half, "y2": middle[1] + half}
    return corners | {"annopoints": {"point": structures(points)}, "scale": 1.0, "objpos": {"x": x, "y": y}}


def structures(entries: list[Structure]) -> np.ndarray:
    """Matlab's array of structures; an empty matrix of none."""
    if not entries:
        return np.zeros((0, 0))
    fields = sorted({field for entry in entries for field in entry})
    array = np.empty((1, len(entries)), dtype=[(field, object) for field in fields])
    for place, entry in enumerate(entries):
        array[0, place] = tuple(entry.get(field, np.zeros((0, 0))) for field in fields)
    return array


def cells(entries: list[Any]) -> np.ndarray:
    array = np.empty((1, len(entries)), dtype=object)
    for place, entry in enumerate(entries):
        array[0, place] = entry
    return array


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three images: two people together and one alone; one person of whom only the place is known; one to test on."""
    (tmp_path / "images").mkdir()
    for name in NAMES:
        Image.fromarray(np.full((HEIGHT, WIDTH, 3), 90, np.uint8)).save(tmp_path / "images" / name)
    unknown = {"scale": 1.5, "objpos": {"x": 300, "y": 200}}
    people = [[person(100, 150, hidden=(0,), absent=(5,)), person(160, 150), person(500, 200)], [unknown], [unknown, unknown]]
    images = structures([{"image": {"name": name}, "annorect": structures(own)} for name, own in zip(NAMES, people, strict=True)])
    alone = cells([np.array([[3]]), np.array([[1]]), np.zeros((0, 0))])
    release = {"annolist": images, "img_train": np.array([[1, 1, 0]]), "single_person": alone}
    (tmp_path / "annotations").mkdir()
    savemat(tmp_path / "annotations" / "mpii_human_pose_v1_u12_1.mat", {"RELEASE": release})
    groups = [cells([np.array([[1, 2]]), np.array([[3]])]), cells([np.array([[1]])]), cells([np.array([[1, 2]])])]
    array = np.empty((3, 1), dtype=object)
    array[:, 0] = groups
    savemat(tmp_path / "groups_v12.mat", {"groups": array})
    return tmp_path


def test_the_release_s_people_have_keypoints_heads_and_boxes(root: Path) -> None:
    dataset = Mpii(root=str(root))
    assert dataset.image_ids == [15601864, 15601865] and dataset.image_size(0) == (HEIGHT, WIDTH)
    people = dataset.people(0)
    np.testing.assert_allclose(people.keypoints[1], joints(160, 150) - 0.5)  # pixel 1's centre is at 0.5
    assert people.visibility[0].tolist() == [1, 2, 2, 2, 2, 0, *[2] * 10]
    low, high = people.keypoints[1].min(0), people.keypoints[1].max(0)
    assert (people.boxes[1, :2] <= low).all() and (people.boxes[1, 2:] >= high).all()
    sizes = people.boxes[:, 2:] - people.boxes[:, :2]
    np.testing.assert_allclose(people.areas, 0.53 * sizes.prod(1), rtol=1e-5)


def test_somebody_of_whom_only_the_place_is_known_is_unlabelled_there(root: Path) -> None:
    dataset = Mpii(root=str(root))
    people = dataset.people(1)
    assert not people.visibility.any() and people.boxes.tolist() == [[149.5, 49.5, 449.5, 349.5]]  # 200 px of scale 1.5
    assert dataset.sample(1, frozenset({"unannotated"})).ignore["unannotated"].mean() == pytest.approx(0.39, abs=0.01)
    assert len(Mpii(root=str(root), only_people="keypoints")) == 1


@pytest.mark.parametrize("file", [None, "groups_v12.mat"])
def test_groups_are_those_of_the_toolkit_or_who_does_not_stand_alone(root: Path, file: str | None) -> None:
    dataset = Mpii(root=str(root), groups=file and str(root / file))
    images = dataset.ground_truth()["images"]
    (group,) = images[0]["groups"]
    assert group["people"] == [1, 2] and group["scale"] == 1 and images[1]["groups"] == []
    assert group["region"] == [99.5 - 100, 149.5 - 100, 159.5 + 100, 149.5 + 100]


def test_groups_with_somebody_who_stands_alone_do_not_count(root: Path) -> None:
    for own, expected in (([[1, 3], [2]], [[2]]), ([[1], [2]], [[1], [2]]), ([[1, 2, 3]], [])):
        array = np.empty((3, 1), dtype=object)
        array[:, 0] = [cells([np.array([group]) for group in own]), np.zeros((0, 0)), np.zeros((0, 0))]
        savemat(root / "other.mat", {"groups": array})
        images = Mpii(root=str(root), groups=str(root / "other.mat")).ground_truth()["images"]
        assert [group["people"] for group in images[0]["groups"]] == expected and images[1]["groups"] == []


def test_the_head_is_as_large_by_its_box_as_by_its_keypoints(root: Path) -> None:
    by_box = Mpii(root=str(root)).ground_truth()["annotations"][1]["head_size"]
    places = joints(160, 150)
    entry = {"image": NAMES[0], "joints": places.tolist(), "joints_vis": [1] * 16, "center": [160, 150], "scale": 1.0}
    (root / "annot").mkdir()
    (root / "annot" / "valid.json").write_text(json.dumps([entry]))
    by_keypoints = Mpii(root=str(root), split="valid").ground_truth()["annotations"][0]["head_size"]
    (root / "annot" / "train.json").write_text("[]")
    assert len(Mpii(root=str(root))) == 0 and len(Mpii(root=str(root), groups=str(root / "groups_v12.mat"))) == 2
    assert by_box == pytest.approx(by_keypoints) == pytest.approx(0.75 * math.dist(places[8], places[9]))


def test_images_to_test_on_have_groups_and_no_people(root: Path) -> None:
    dataset = Mpii(root=str(root), split="test")
    truth = dataset.ground_truth()
    assert not dataset.labelled and truth["annotations"] == []
    assert truth["images"][0]["groups"][0]["region"] == [149.5, 49.5, 449.5, 349.5]


def test_the_people_themselves_score_one_in_their_groups(root: Path) -> None:
    truth: Any = Mpii(root=str(root)).ground_truth()
    (measure,) = measures_of(truth, MPII, 20)
    for prediction in annotated(truth):
        measure.add(prediction)
    metrics = measure.metrics
    parts = ("head", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    assert [metrics[f"PCKh_AP_{part}"] for part in parts] == [1.0] * 7 and metrics["PCKh_AP"] == 1.0
    assert len(metrics) == 1 + 7 + 14 and "PCKh_AP/pelvis" not in metrics and "PCKh_AP/thorax" not in metrics


def test_what_is_wrong_is_one_sentence(root: Path) -> None:
    with pytest.raises(ConfigError, match=r"needs `root` \(data.root=\), the folder with annot and images"):
        Mpii()
    with pytest.raises(ConfigError, match="has the splits train and test, got 'val'"):
        Mpii(root=str(root), split="val")
    (root / "broken.mat").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"should be a \.mat file of MPII"):
        Mpii(annotations=str(root / "broken.mat"), images=str(root / "images"))
    with pytest.raises(DataError, match="should hold the variable groups"):
        Mpii(root=str(root), groups=str(root / "annotations" / "mpii_human_pose_v1_u12_1.mat"))
    savemat(root / "few.mat", {"groups": cells([np.array([[1]])])})
    with pytest.raises(DataError, match=r"`groups` should be of the 3 of .*, got those of 1 images"):
        Mpii(root=str(root), groups=str(root / "few.mat"))
    (root / "some.json").write_text("[]")
    with pytest.raises(ConfigError, match="`groups` number people of the release"):
        Mpii(annotations=str(root / "some.json"), images=str(root), groups=str(root / "few.mat"))
    (root / "images" / NAMES[1]).unlink()
    with pytest.raises(DataError, match=r"015601865\.jpg: should be an image of MPII"):
        Mpii(root=str(root))
    for data, words in (
        ({"images": []}, "should be a list of people"),
        ([{"image": NAMES[0], "joints": [[1, 2]], "joints_vis": [1]}], "`joints` should be 16 places"),
    ):
        (root / "bad.json").write_text(json.dumps(data))
        with pytest.raises(DataError, match=words):
            Mpii(annotations=str(root / "bad.json"), images=str(root / "images"))


# ---- what the release's file leaves out ------------------------------------------------------------------------------------


def release(root: Path, people: list[list[Structure]], alone: list[Any], train: list[int]) -> None:
    """The release's file of as many images; what a person lacks Matlab writes as an empty matrix, or as no field at all."""
    images = structures(
        [{"image": {"name": name}, "annorect": structures(own), "vidx": 1} for name, own in zip(NAMES, people, strict=True)]
    )
    written = {"annolist": images, "img_train": np.array([train]), "single_person": cells(alone), "version": "12"}
    savemat(root / "annotations" / "mpii_human_pose_v1_u12_1.mat", {"RELEASE": written})


EMPTY = np.zeros((0, 0))


def test_images_without_annotations_are_images_of_nobody(root: Path) -> None:
    release(root, [[], [person(100, 150)], []], [EMPTY, EMPTY, EMPTY], [1, 1, 0])
    dataset, truth = Mpii(root=str(root)), Mpii(root=str(root)).ground_truth()
    assert [len(dataset.people(index)) for index in range(2)] == [0, 1]
    assert truth["images"][0]["groups"] == [] and [group["people"] for group in truth["images"][1]["groups"]] == [[1]]
    assert len(Mpii(root=str(root), split="test")) == 1


def test_somebody_alone_without_a_scale_has_a_box_around_the_keypoints_and_no_group(root: Path) -> None:
    lone = {key: value for key, value in person(400, 200).items() if key not in ("scale", "objpos")}
    release(root, [[person(100, 150), person(160, 150), lone], [], []], [np.array([[3]]), EMPTY, EMPTY], [1, 1, 0])
    dataset = Mpii(root=str(root))
    people, image = dataset.people(0), dataset.ground_truth()["images"][0]
    assert people.visibility[2].all() and (people.boxes[2, 2:] > people.boxes[2, :2]).all()
    assert [group["people"] for group in image["groups"]] == [[1, 2]]
    assert dataset.ground_truth()["annotations"][2]["head_size"] == pytest.approx(
        dataset.ground_truth()["annotations"][0]["head_size"]
    )


@pytest.mark.parametrize("points", [None, EMPTY, {"point": EMPTY}], ids=["no field", "empty", "no points"])
def test_somebody_without_keypoints_keeps_the_place_among_the_people(root: Path, points: Any) -> None:
    unknown = person(160, 150) | ({} if points is None else {"annopoints": points})
    if points is None:
        del unknown["annopoints"]
    release(root, [[person(100, 150), unknown, person(220, 150)], [], []], [EMPTY, EMPTY, EMPTY], [1, 1, 0])
    dataset = Mpii(root=str(root))
    assert dataset.people(0).labelled.sum(1).tolist() == [16, 0, 16]
    assert dataset.ground_truth()["images"][0]["groups"][0]["people"] == [1, 2, 3]


def test_somebody_of_whom_nothing_is_said_is_nobody(root: Path) -> None:
    """The release has a few people with neither keypoints, head, place nor scale; they still count where people are numbered."""
    nothing = {"scale": EMPTY, "objpos": EMPTY, "annopoints": EMPTY}
    release(root, [[nothing, person(100, 150), person(160, 150)], [], []], [np.array([[1]]), EMPTY, EMPTY], [1, 1, 0])
    dataset = Mpii(root=str(root))
    assert dataset.people(0).labelled.sum(1).tolist() == [16, 16]
    truth = dataset.ground_truth()
    kept = [annotation["id"] for annotation in truth["annotations"]]
    assert [group["people"] for group in truth["images"][0]["groups"]] == [kept]


@pytest.mark.parametrize(("word", "seen"), [("1", 2), ("0", 1), (1, 2), (0, 1), (EMPTY, 2)])
def test_visibility_is_a_number_or_a_letter_or_not_said(root: Path, word: Any, seen: int) -> None:
    own = person(100, 150)
    own["annopoints"] = {"point": structures([{"x": 100.0, "y": 150.0, "id": 6, "is_visible": word}])}
    release(root, [[own], [], []], [EMPTY, EMPTY, EMPTY], [1, 1, 0])
    people = Mpii(root=str(root)).people(0)
    assert people.visibility[0, 6] == seen and people.labelled.sum() == 1
    np.testing.assert_allclose(people.keypoints[0, 6], (99.5, 149.5))  # Matlab's pixel 100 has its centre at 99.5
