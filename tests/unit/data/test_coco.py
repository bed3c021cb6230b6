"""Every quirk of a COCO file is read as meant, or refused by name."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import pickle
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO as PyCoco
from pycocotools.cocoeval import COCOeval

from bottomup.data.coco import Coco
from bottomup.data.concat import Concat
from bottomup.data.synthetic import Synthetic
from bottomup.dataset import DATASETS, Dataset
from bottomup.errors import ConfigError, DataError
from bottomup.geometry import from_indices, to_indices
from bottomup.plan.data import DataPlan
from bottomup.samples.kept import Kept
from bottomup.samples.labels import Labels, Persons
from bottomup.samples.subset import Subset, warn_of_shared_images
from bottomup.skeletons import COCO, CROWDPOSE
from bottomup.types import Instances, Prediction

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*__array__ implementation:DeprecationWarning"),  # pycocotools 2.0.11 under numpy 2
    pytest.mark.filterwarnings("ignore:.*have no `area`:UserWarning"),
]

Record = dict[str, Any]

NAMES = ["head", "left_hand", "right_hand"]
SKELETON = {"name": "small", "keypoints": NAMES, "flip_pairs": [NAMES[1:]], "sigmas": [0.05, 0.05, 0.05]}
H, W = 24, 32
MAPS = frozenset({"crowd", "unannotated", "unmasked", "instances"})
SQUARE = [[2.0, 3.0, 10.0, 3.0, 10.0, 9.0, 2.0, 9.0]]  # 8 x 6 px
LABELLED = [4, 5, 2, 3, 7, 1, 0, 0, 0]
UNLABELLED = [0] * 9


def rle(rows: slice, columns: slice, compressed: bool) -> Record:
    """A rectangle as COCO's run-length code of either kind."""
    pixels = np.zeros((H, W), np.uint8, order="F")
    pixels[rows, columns] = 1
    if compressed:
        encoded = coco_mask.encode(pixels)
        return {"size": [H, W], "counts": encoded["counts"].decode()}
    flat = pixels.flatten("F")  # column by column, the first run is of zeros
    edges = np.flatnonzero(np.diff(flat)) + 1
    return {"size": [H, W], "counts": np.diff([0, *edges, flat.size]).tolist()}


def person(**fields: Any) -> Record:
    """A complete record; fields set to None are left out."""
    whole = {
        "id": 1, "image_id": 7, "category_id": 1, "iscrowd": 0, "bbox": [2.0, 3.0, 8.0, 6.0], "area": 48.0,
        "keypoints": LABELLED, "num_keypoints": 2, "segmentation": SQUARE,
    }  # fmt: skip
    return {name: value for name, value in (whole | fields).items() if value is not None}


def content(*annotations: Record, **fields: Any) -> Record:
    """A whole file of one image."""
    category = {"id": 1, "name": "person", "keypoints": NAMES, "skeleton": [[1, 2], [1, 3]], "sigmas": [0.05] * 3}
    image = {"id": 7, "file_name": "a.png", "width": W, "height": H}
    return {"images": [image], "annotations": list(annotations), "categories": [category]} | fields


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Record]:
    """Write a file and its image; gives the options to read them."""

    def written(data: Any, name: str = "people.json") -> Record:
        text = data if isinstance(data, str) else json.dumps(data)
        path = tmp_path / name
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
        cv2.imwrite(str(tmp_path / "a.png"), np.full((H, W, 3), (10, 20, 30), np.uint8))
        return {"annotations": str(path), "images": str(tmp_path)}

    return written


# ---- the half pixel ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("points", [np.random.default_rng(0).random((5, 3, 2)), torch.rand(5, 3, 2)])
def test_indices_round_trip(points: Any) -> None:
    assert abs(to_indices(from_indices(points)) - points).max() < 1e-6
    assert abs(from_indices(points) - points - 0.5).max() < 1e-6


def test_keypoints_are_pixel_centres_and_boxes_stay(write: Any) -> None:
    people = Coco(**write(content(person()))).people(0)
    assert people.keypoints[0].tolist() == [[4.5, 5.5], [3.5, 7.5], [0, 0]]
    assert people.visibility[0].tolist() == [2, 1, 0]
    assert people.boxes[0].tolist() == [2, 3, 10, 9]


def test_results_of_what_was_read_are_what_was_written(write: Any) -> None:
    people = Coco(**write(content(person()))).people(0)
    scores = torch.from_numpy(people.visibility > 0).float()
    instances = Instances.of_keypoints(torch.from_numpy(people.keypoints), scores, torch.ones(1))
    record = Prediction(instances, (H, W), image_id=7).to_coco()[0]
    assert record["keypoints"] == [4, 5, 1, 3, 7, 1, 0, 0, 0]


def test_unlabelled_keypoints_lie_at_the_origin(write: Any) -> None:
    people = Coco(**write(content(person(keypoints=[4, 5, 2, 9, 9, 0, 0, 0, 0])))).people(0)
    assert people.keypoints[0, 1].tolist() == [0, 0]


def test_whoever_writes_into_people_writes_into_copies(write: Any) -> None:
    dataset = Coco(**write(content(person())))
    dataset.people(0).keypoints[:] = -1
    dataset.sample(0, frozenset()).people.boxes[:] = -1
    people = dataset.people(-1)
    assert people.keypoints.min() == 0 and people.boxes[0].tolist() == [2, 3, 10, 9]


# ---- reading -------------------------------------------------------------------------------------------------------------


def test_sample_has_the_stored_pixels_as_rgb(write: Any) -> None:
    sample = Coco(**write(content(person()))).sample(0, frozenset())
    assert sample.image.shape == (3, H, W) and sample.image.transpose(1, 2, 0).flags.c_contiguous
    assert sample.image[:, 0, 0].tolist() == [30, 20, 10]
    assert sample.ignore == {} and sample.instances is None and sample.content is None
    assert (sample.to_input == np.eye(2, 3)).all() and sample.file_size == (H, W) and sample.image_id == 7


def test_orientation_tag_is_ignored(write: Any, tmp_path: Path) -> None:
    """Annotations refer to stored pixels; cameras' EXIF says how to turn them for a viewer."""
    options = write(content(person()))
    encoded = cv2.imencode(".jpg", np.zeros((H, W, 3), np.uint8))[1].tobytes()
    tiff = b"II*\0\x08\0\0\0" + b"\x01\0" + b"\x12\x01\x03\0\x01\0\0\0\x06\0\0\0" + b"\0\0\0\0"  # orientation 6: turn by 90 degrees
    exif = b"\xff\xe1" + (len(tiff) + 8).to_bytes(2, "big") + b"Exif\0\0" + tiff
    path = tmp_path / "a.png"
    path.write_bytes(encoded[:2] + exif + encoded[2:])
    assert cv2.imread(str(path)).shape[:2] == (W, H)
    assert Coco(**options).sample(0, frozenset()).image.shape == (3, H, W)


@pytest.mark.parametrize("zipped", [False, True])
def test_root_and_split_find_both(tmp_path: Path, zipped: bool) -> None:
    (tmp_path / "annotations").mkdir()
    (tmp_path / "tiny").mkdir()
    path = tmp_path / "annotations" / "person_keypoints_tiny.json"
    text = json.dumps(content(person())).encode()
    if zipped:
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(text))
    else:
        path.write_bytes(text)
    cv2.imwrite(str(tmp_path / "tiny" / "a.png"), np.zeros((H, W, 3), np.uint8))
    dataset = DATASETS["coco"](root=str(tmp_path), split="tiny")
    assert len(dataset.sample(0, MAPS).people) == 1
    stated = str(tmp_path / "annotations" / path.name) + (".gz" if zipped else "")
    labels = Coco(annotations=stated.replace("tiny", "{split}"), split="tiny")
    assert len(labels.people(0)) == 1
    with pytest.raises(DataError, match=r"set the data set's `images` \(data.images=\)"):
        labels.sample(0, frozenset())


def test_survives_pickling(write: Any) -> None:
    dataset = Coco(**write(content(person())))
    assert (pickle.loads(pickle.dumps(dataset)).people(0).keypoints == dataset.people(0).keypoints).all()


@pytest.mark.parametrize("kind", ["polygons", "runs", "string"])
def test_every_kind_of_mask_is_the_same_mask(write: Any, kind: str) -> None:
    masks = {"polygons": SQUARE, "runs": rle(slice(3, 9), slice(2, 10), False), "string": rle(slice(3, 9), slice(2, 10), True)}
    sample = Coco(**write(content(person(segmentation=masks[kind], area=None)))).sample(0, MAPS)
    expected = np.zeros((H, W), bool)
    expected[3:9, 2:10] = True
    assert ((sample.instances == 1) == expected).all()
    assert sample.people.areas.tolist() == [48] and sample.people.has_mask.tolist() == [True]
    assert not any(ignored.any() for ignored in sample.ignore.values())


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (3, 5)])
def test_compressed_masks_with_many_runs_are_accepted(write: Any, shape: tuple[int, int]) -> None:
    """The string holds differences, of either sign, from the fourth run on."""
    noise = np.random.default_rng(0).random((H // shape[0] + 1, W // shape[1] + 1)) < 0.4
    pixels = np.asfortranarray(np.kron(noise, np.ones(shape))[:H, :W], np.uint8)
    code = {"size": [H, W], "counts": coco_mask.encode(pixels)["counts"].decode()}
    sample = Coco(**write(content(person(segmentation=code)))).sample(0, MAPS)
    assert (sample.instances == pixels).all()


@pytest.mark.parametrize(
    "segmentation", [None, [], [[1.0, 2.0, 3.0, 4.0]], SQUARE], ids=["absent", "empty", "two points", "an estimated area"]
)
def test_people_without_a_mask(write: Any, segmentation: Any) -> None:
    fields = {"area_is_estimate": True} if segmentation == SQUARE else {}
    dataset = Coco(**write(content(person(segmentation=segmentation, bbox=[2.5, 3.0, 7.0, 5.5], **fields))))
    sample = dataset.sample(0, MAPS)
    assert sample.people.has_mask.tolist() == [False]
    touched = np.zeros((H, W), bool)
    touched[3:9, 2:10] = True
    assert (sample.ignore["unmasked"] == touched).all()
    assert sample.instances is not None and not sample.instances.any()
    assert "segmentation" not in dataset.ground_truth()["annotations"][0]


@pytest.mark.parametrize("segmentation", [None, SQUARE])
def test_crowds_are_ignored_and_nobody(write: Any, segmentation: Any) -> None:
    dataset = Coco(**write(content(person(iscrowd=1, keypoints=UNLABELLED, num_keypoints=0, segmentation=segmentation))))
    sample = dataset.sample(0, MAPS)
    assert len(sample.people) == 0 == len(dataset.people(0))
    assert sample.ignore["crowd"].sum() == 48 and not sample.ignore["unannotated"].any() and not sample.ignore["unmasked"].any()
    assert dataset.ground_truth()["annotations"][0]["iscrowd"] == 1


@pytest.mark.parametrize("segmentation", [None, SQUARE])
@pytest.mark.parametrize("keypoints", [None, [], UNLABELLED])
def test_people_without_keypoints_stay_people(write: Any, segmentation: Any, keypoints: Any) -> None:
    dataset = Coco(**write(content(person(keypoints=keypoints, num_keypoints=None, segmentation=segmentation))))
    sample = dataset.sample(0, MAPS)
    assert sample.people.visibility.tolist() == [[0, 0, 0]]
    assert sample.ignore["unannotated"].sum() == 48
    record = dataset.ground_truth()["annotations"][0]
    assert record["num_keypoints"] == 0 and record["keypoints"] == UNLABELLED


def test_visibility_decides_who_has_keypoints(write: Any) -> None:
    """CrowdPose's num_keypoints leaves out head and neck; the ground truth keeps it, as evaluation goes by it."""
    whole = person(id=2, keypoints=[*LABELLED[:6], 5, 5, 2], num_keypoints=1)  # the same two are in nobody's count
    dataset = Coco(**write(content(person(num_keypoints=0), whole)))
    assert not dataset.sample(0, MAPS).ignore["unannotated"].any()
    assert [record["num_keypoints"] for record in dataset.ground_truth()["annotations"]] == [0, 1]


def test_imputed_keypoints_teach_where_asked_for_and_never_count(write: Any) -> None:
    large = person(id=2, imputed=True, area=5000.0, bbox=[0, 0, 80, 90], segmentation=None)
    options = write(content(person(imputed=True), large, person(id=3)))
    for imputed, labelled in (([], [0, 0, 2]), (["small"], [2, 0, 2]), (["small", "medium"], [2, 2, 2])):
        data = Coco(**options, imputed=imputed)
        assert (data.people(0).visibility > 0).sum(1).tolist() == labelled
        assert [record["num_keypoints"] for record in data.ground_truth()["annotations"]] == [0, 0, 2]
    with pytest.raises(ConfigError, match="did you mean 'small'"):
        Coco(**options, imputed=["smal"])


def test_instances_mark_who_is_alone(write: Any) -> None:
    other = [[6.0, 3.0, 14.0, 3.0, 14.0, 9.0, 6.0, 9.0]]
    third = person(id=3, segmentation=None)
    instances = Coco(**write(content(person(), third, person(id=2, segmentation=other)))).sample(0, MAPS).instances
    assert instances is not None and instances.dtype == np.int16 and instances.flags.c_contiguous
    assert [(instances == value).sum() for value in (1, 2, 3, -1)] == [24, 0, 24, 24]


@pytest.mark.parametrize("gone", [{}, {"keypoints": UNLABELLED}, {"segmentation": None}])
def test_missing_fields_are_derived(write: Any, gone: Record) -> None:
    given = person(bbox=None, area=None, id=None, num_keypoints=None, iscrowd=None, **gone)
    if gone == {"segmentation": None}:
        side = (2 / (2 * 0.05) ** 2 / 0.53) ** 0.5  # about the labelled pixels, in which a pixel off in x and y is one deviation
        box, area = pytest.approx([4 - side / 2, 6.5 - side / 2, side, side]), 0.53 * side**2
    else:
        box, area = [2, 3, 8, 6], 48
    with pytest.warns(UserWarning, match="1 annotations have no `area`") as caught:
        dataset = Coco(**write(content(given)))
    assert len(caught) == 1
    record = dataset.ground_truth()["annotations"][0]
    assert record["bbox"] == box and record["area"] == pytest.approx(area)
    assert record["id"] == 1 and record["iscrowd"] == 0
    assert record["num_keypoints"] == sum(v > 0 for v in record["keypoints"][2::3])


def test_ids_become_unique_and_known_ones_stay(write: Any) -> None:
    dataset = Coco(**write(content(person(id=5), person(id=5, area=47), person(id=None, area=46), person(id=2, area=45))))
    assert [record["id"] for record in dataset.ground_truth()["annotations"]] == [5, 6, 7, 2]


def test_other_categories_are_left_out(write: Any) -> None:
    data = content(person(), person(id=2, category_id=3, bbox=None, segmentation=None, keypoints=None))
    data["categories"].append({"id": 3, "name": "dog"})
    dataset = Coco(**write(data))
    assert dataset.task.categories == ("person",) and len(dataset.people(0)) == 1
    assert [category["name"] for category in dataset.ground_truth()["categories"]] == ["person"]


def test_ground_truth_has_the_files_own_category(write: Any) -> None:
    category = content()["categories"][0] | {"id": 9, "name": "monkey"}
    truth = Coco(**write(content(person(category_id=9), categories=[category])), category="monkey").ground_truth()
    assert truth["categories"] == [category] and [record["category_id"] for record in truth["annotations"]] == [9]


def test_only_people_drops_images_without_them_or_without_their_keypoints(write: Any) -> None:
    images = [{"id": n, "file_name": "a.png", "width": W, "height": H} for n in (1, 2, 3, 4)]
    crowd = person(id=2, image_id=2, iscrowd=1)
    people = [person(image_id=1), crowd, person(id=3, image_id=3, keypoints=UNLABELLED)]
    options = write(content(*people, images=images))
    assert Coco(**options).image_ids == [1, 2, 3, 4]
    for only_people, kept in ((True, [1, 3]), ("keypoints", [1]), (False, [1, 2, 3, 4])):
        dataset = Coco(**options, only_people=only_people)
        assert dataset.image_ids == kept
        assert {record["image_id"] for record in dataset.ground_truth()["annotations"]} == {*kept} - {4}
    with pytest.raises(ConfigError, match="did you mean 'keypoints'"):
        Coco(**options, only_people="keypoint")


@pytest.mark.parametrize("as_file", [False, True])
def test_images_are_chosen_by_id(write: Any, tmp_path: Path, as_file: bool) -> None:
    images = [{"id": n, "file_name": "a.png", "width": W, "height": H} for n in (1, 2, 3)]
    options = write(content(person(image_id=1), person(id=2, image_id=3), images=images))
    (tmp_path / "ids.json").write_text("[3, 2]")
    dataset = Coco(**options, image_ids=str(tmp_path / "ids.json") if as_file else [3, 2])
    assert dataset.image_ids == [2, 3]
    assert [record["id"] for record in dataset.ground_truth()["annotations"]] == [2]


@pytest.mark.parametrize(("written", "said"), [(None, "should be a JSON file"), ("{}", "holds a dict"), ("[8]", "`image_ids`")])
def test_wrong_image_ids_are_refused(write: Any, tmp_path: Path, written: str | None, said: str) -> None:
    if written is not None:
        (tmp_path / "ids.json").write_text(written)
    with pytest.raises(DataError, match=said):
        Coco(**write(content(person())), image_ids=str(tmp_path / "ids.json"))


def test_images_are_left_out_by_id(write: Any, tmp_path: Path) -> None:
    """Of the chosen ones; ids of other splits are none of them."""
    images = [{"id": n, "file_name": "a.png", "width": W, "height": H} for n in (1, 2, 3)]
    options = write(content(person(image_id=1), images=images))
    (tmp_path / "held_out.json").write_text("[2, 99]")
    assert Coco(**options, exclude_ids=str(tmp_path / "held_out.json")).image_ids == [1, 3]
    assert Coco(**options, image_ids=[2, 3], exclude_ids=[3]).image_ids == [2]


# ---- images alone --------------------------------------------------------------------------------------------------------


def image_info() -> Record:
    """A file as COCO publishes it for its test splits: no annotations, and categories without keypoints."""
    return {name: part for name, part in content(categories=[{"id": 1, "name": "person"}]).items() if name != "annotations"}


def test_a_file_without_annotations_has_images_and_nobody(write: Any) -> None:
    dataset = Coco(**write(image_info()))
    assert dataset.task.skeleton == COCO and not dataset.labelled and len(dataset.people(0)) == 0
    assert dataset.sample(0, MAPS).image_id == 7 and dataset.ground_truth()["annotations"] == []
    assert not Subset(Kept(dataset), [0]).labelled and Coco(**write(content(person()))).labelled


def test_nothing_is_trained_on_images_alone(write: Any) -> None:
    config = {"data": {"name": "coco", **write(image_info()), "train_split": "test-dev2017", "train_only_people": "keypoints"}}
    assert len(DataPlan.of(config["data"]).dataset("val")) == 1
    with pytest.raises(DataError, match="test-dev2017 lists images without annotations"):
        DataPlan.of(config["data"]).dataset("train")


def test_a_folder_of_a_test_split_is_read(tmp_path: Path) -> None:
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "image_info_test2017.json").write_text(json.dumps(image_info()))
    assert Coco(root=str(tmp_path), split="test2017").image_ids == [7]


# ---- skeletons -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["mapping", "yaml", "none"])
def test_skeleton_of_one_s_own(write: Any, tmp_path: Path, how: str) -> None:
    (tmp_path / "small.yaml").write_text(json.dumps(SKELETON))  # JSON is YAML
    given = {"mapping": SKELETON, "yaml": str(tmp_path / "small.yaml"), "none": None}[how]
    dataset = Coco(**write(content(person())), skeleton=given)
    assert dataset.task.skeleton is not None
    assert dataset.task.skeleton.keypoints == tuple(NAMES) and dataset.task.skeleton.flip_order == (0, 2, 1)


@pytest.mark.parametrize("skeleton", [COCO, CROWDPOSE])
def test_built_in_skeletons_are_recognised(write: Any, skeleton: Any) -> None:
    """CrowdPose's own `skeleton` is COCO's and points beyond its keypoints."""
    category = {"id": 1, "name": "person", "keypoints": list(skeleton.keypoints), "skeleton": [[16, 14]]}
    options = write(content(person(keypoints=None), categories=[category]))
    assert Coco(**options).task.skeleton == Coco(**options, skeleton=skeleton.name).task.skeleton == skeleton


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"skeleton": "coko"}, "did you mean 'coco'"),
        ({"skeleton": "missing.yaml"}, "missing.yaml"),
        ({"skeleton": {"name": "x"}}, "keypoints"),
    ],
)
def test_wrong_skeletons_are_refused(write: Any, options: Record, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Coco(**write(content(person())), **options)


# ---- refusals ------------------------------------------------------------------------------------------------------------

NAN = float("nan")
REFUSED = {
    "unknown image": (person(image_id=8), "`image_id`", "got 8"),
    "unlisted category": (person(category_id=9), "`category_id`", "got 9"),
    "negative size": (person(bbox=[1, 1, -2, 3]), "`bbox`", "not negative"),
    "nan box": (person(bbox=[1, NAN, 2, 3]), "`bbox`", "finite"),
    "short box": (person(bbox=[1, 2, 3]), "`bbox`", r"\[1, 2, 3\]"),
    "negative area": (person(area=-1.0), "`area`", "got -1.0"),
    "nan area": (person(area=NAN), "`area`", "got nan"),
    "word as area": (person(area="big"), "`area`", "'big'"),
    "negative count": (person(num_keypoints=-1), "`num_keypoints`", "got -1"),
    "word as count": (person(num_keypoints="two"), "`num_keypoints`", "'two'"),
    "nan keypoint": (person(keypoints=[NAN, *LABELLED[1:]]), "`keypoints`", "finite"),
    "too few keypoints": (person(keypoints=LABELLED[:6]), "`keypoints`", "9 numbers.*got 6 numbers"),
    "unknown visibility": (person(keypoints=[*LABELLED[:2], 3, *LABELLED[3:]]), "`keypoints`", "visibility 0, 1 or 2"),
    "odd polygon": (person(segmentation=[[1, 2, 3, 4, 5, 6, 7]]), "`segmentation`", "polygons"),
    "nan polygon": (person(segmentation=[[NAN, *SQUARE[0][1:]]]), "`segmentation`", "polygons"),
    "far polygon": (person(segmentation=[[1e12, *SQUARE[0][1:]]]), "`segmentation`", "px of the image"),
    "mask of another size": (person(segmentation={"size": [W, H], "counts": [H * W]}), "`size`", rf"\[{H}, {W}\]"),
    "short runs": (person(segmentation={"size": [H, W], "counts": [5, 5]}), "`counts`", str(H * W)),
    "negative run": (person(segmentation={"size": [H, W], "counts": [5, -5, H * W]}), "`counts`", str(H * W)),
    "broken string": (person(segmentation={"size": [H, W], "counts": "hello"}), "`counts`", "hello"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_wrong_records_are_refused_by_name(write: Any, case: str) -> None:
    record, field, said = REFUSED[case]
    with pytest.raises(DataError, match=f"people.json: annotation 1: .*{field} should be .*, got .*; ") as caught:
        Coco(**write(content(record)))
    assert re.search(said, str(caught.value))


FILES = {
    "broken JSON": ('{"images": [', "should be JSON"),
    "empty": ("", "should be JSON"),
    "results": ([{"image_id": 1}], "a COCO annotation file"),
    "another format": ({"images": [], "annotations": []}, "`categories`"),
    "wrong type": (content(annotations={"1": {}}), "`annotations`"),
    "image without size": (content(images=[{"id": 7, "file_name": "a.png"}]), "image 7: `height`"),
    "image without name": (content(images=[{"id": 7, "width": W, "height": H}]), "image 7: `file_name`"),
    "image of an empty name": (content(images=[{"id": 7, "file_name": "", "width": W, "height": H}]), "image 7: `file_name`"),
    "zero byte in a name": (
        content(images=[{"id": 7, "file_name": "a\0", "width": W, "height": H}]),
        "image 7: `file_name`",
    ),
    "image twice": (content(images=content()["images"] * 2), "image 7: `id`"),
    "no such category": (content(categories=[{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]), "'person'.*cat, dog"),
    "no category name": (content(categories=[{"id": 1}]), "no category named 'person'"),
    "no keypoint names": (content(person(), categories=[{"id": 1, "name": "person"}]), "set `skeleton`"),
    "a number of keypoints": (content(categories=[content()["categories"][0] | {"keypoints": 3}]), "'person'.*`keypoints`.*got 3"),
    "edge beyond": (content(categories=[content()["categories"][0] | {"skeleton": [[1, 4]]}]), "numbers from 1 to 3"),
    "edge of names": (content(categories=[content()["categories"][0] | {"skeleton": [["head", "neck"]]}]), "numbers from 1 to 3"),
    "edges as a number": (content(categories=[content()["categories"][0] | {"skeleton": 2}]), "numbers from 1 to 3"),
    "words as sigmas": (content(categories=[content()["categories"][0] | {"sigmas": ["a", "b", "c"]}]), "'person'.*sigmas"),
}


@pytest.mark.parametrize("case", FILES)
def test_wrong_files_are_refused_by_name(write: Any, case: str) -> None:
    data, said = FILES[case]
    with pytest.raises(DataError, match=f"people.json.*{said}"):
        Coco(**write(data))


def test_half_a_zipped_file_is_refused(write: Any) -> None:
    options = write(content(person()), "people.json.gz")
    path = Path(options["annotations"])
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="downloaded whole"):
        Coco(**options)


def test_missing_file_says_what_is_there(write: Any, tmp_path: Path) -> None:
    write(content(person()))
    with pytest.raises(DataError, match=r"other.json: no such file \(its folder has people.json\)"):
        Coco(annotations=str(tmp_path / "other.json"))
    with pytest.raises(ConfigError, match="`root`"):
        Coco()


def test_category_none_means_the_only_one(write: Any) -> None:
    data = content(person())
    data["categories"][0]["name"] = "horse"
    options = write(data)
    assert Coco(**options, category=None).task.categories == ("horse",)
    data["categories"].append({"id": 2, "name": "dog"})
    write(data)
    with pytest.raises(DataError, match="one of horse, dog"):
        Coco(**options, category=None)
    write(data | {"categories": [{"id": 1, "keypoints": NAMES}]})
    with pytest.raises(DataError, match="category 1: `name`"):
        Coco(**options, category=None)


def test_skeleton_in_another_order_is_refused(write: Any) -> None:
    turned = SKELETON | {"keypoints": NAMES[::-1]}
    with pytest.raises(DataError, match="in the order of skeleton 'small'"):
        Coco(**write(content(person())), skeleton=turned)


@pytest.mark.parametrize(
    ("fault", "said"), [("gone", "no such file"), ("text", "should be an image"), ("size", "24 x 32.*32 x 24|32 x 24.*24 x 32")]
)
def test_wrong_images_are_refused_by_name(write: Any, tmp_path: Path, fault: str, said: str) -> None:
    dataset, path = Coco(**write(content(person()))), tmp_path / "a.png"
    if fault == "gone":
        path.unlink()
    elif fault == "text":
        path.write_text("not an image")
    else:
        cv2.imwrite(str(path), np.zeros((W, H, 3), np.uint8))
    with pytest.raises(DataError, match=f"a.png: .*({said})"):
        dataset.sample(0, frozenset())
    assert len(dataset.people(0)) == 1


# ---- evaluation and subsets ----------------------------------------------------------------------------------------------


def average_precision(ground_truth: Record) -> float:
    """pycocotools' AP of the annotated keypoints given as results."""
    truth = PyCoco()
    truth.dataset = ground_truth
    people = [record for record in ground_truth["annotations"] if record["num_keypoints"]]
    results = [{key: one[key] for key in ("image_id", "category_id", "keypoints")} | {"score": 1.0} for one in people]
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), "keypoints")
        sigmas = ground_truth["categories"][0].get("sigmas")
        if sigmas:
            evaluation.params.kpt_oks_sigmas = np.array(sigmas)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[0])


def test_ground_truth_scores_perfectly_against_itself(write: Any) -> None:
    bare = person(id=None, area=None, num_keypoints=None, iscrowd=None, segmentation=None, keypoints=[9, 9, 2, 20, 20, 1, 0, 0, 0])
    nobody = person(id=4, keypoints=None, num_keypoints=None)
    scaled = person(area=4800.0)
    assert average_precision(Coco(**write(content(scaled, bare | {"bbox": [0, 0, 90, 90]}, nobody))).ground_truth()) == 1


def test_subset_is_its_images_alone(write: Any) -> None:
    images = [{"id": n, "file_name": "a.png", "width": W, "height": H} for n in (3, 1, 2)]
    whole = Coco(**write(content(*(person(id=n, image_id=n, area=float(n)) for n in (1, 2, 3)), images=images)))
    part = Subset(whole, [2, 0])
    assert part.image_ids == [2, 3] and len(part) == 2 and part.task == whole.task and part.weights is None
    assert part.people(0).areas.tolist() == [2.0] and part.sample(1, MAPS).image_id == 3
    truth = part.ground_truth()
    assert {image["id"] for image in truth["images"]} == {record["image_id"] for record in truth["annotations"]} == {2, 3}


def parts(options: Record, *splits: str) -> list[Dataset]:
    return [DataPlan.of({"name": "coco", **options} | {"split": split}).dataset("val") for split in splits]


def test_one_file_is_parted_whatever_its_split_is_called(write: Any) -> None:
    images = [{"id": n, "file_name": "a.png", "width": W, "height": H} for n in (3, 1, 2)]
    options = write(content(*(person(id=n, image_id=n) for n in (1, 2, 3)), images=images))
    training, validation = parts(options, "all[1:]", "any[:1]")
    assert (training.image_ids, validation.image_ids) == ([1, 2], [3])
    assert [dataset.image_ids for dataset in parts(options, "train", "val")] == [[3, 1, 2]] * 2


def test_validation_on_what_is_trained_is_said(write: Any) -> None:
    images = [{"id": n, "file_name": "a.png", "width": W, "height": H} for n in (3, 1, 2)]
    options = write(content(*(person(id=n, image_id=n) for n in (1, 2, 3)), images=images))
    training, validation = parts(options, "all[1:]", "all[:2]")
    with pytest.warns(UserWarning, match=r"share 1 images of .*people.json.*data.val_split") as caught:
        warn_of_shared_images(Labels(Kept(training)), validation)
    assert len(caught) == 1
    with pytest.warns(UserWarning, match="share 2 images"):
        warn_of_shared_images(Persons(Concat(sets=[{"name": "coco", **options}]), 1, 9), Subset(validation, [0, 1]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", ".*have the file of another one")  # all three images are one file
        warn_of_shared_images(*parts(options, "all[1:]", "all[:1]"))
        warn_of_shared_images(training, parts(write(content(person()), "other.json"), "val")[0])
        warn_of_shared_images(Synthetic(images=2), Synthetic(images=2))  # of no file


# ---- real files ----------------------------------------------------------------------------------------------------------


def real(shared: Path, *path: str) -> str:
    found = shared.joinpath("data", *path)
    if not found.exists():
        pytest.skip(f"no {found}")
    return str(found)


@pytest.fixture
def val(shared: Path) -> Coco:
    return Coco(root=real(shared, "coco_person"), split="val")


def test_real_masks_have_the_recorded_area(val: Coco) -> None:
    """A polygon's area and its pixels differ by its border, at most a few per cent of people of some size."""
    ratios = []
    for index in range(0, len(val), 8):
        sample = val.sample(index, MAPS)
        assert sample.instances is not None
        if not (sample.instances == -1).any():
            counts = np.bincount(sample.instances.ravel(), minlength=len(sample.people) + 1)[1:]
            ratios += [count / area for count, area in zip(counts, sample.people.areas, strict=True) if area > 1000]
    assert len(ratios) > 5 and np.abs(np.array(ratios) - 1).max() < 0.1


def test_real_visible_keypoints_lie_in_their_boxes(val: Coco) -> None:
    """The visible ones; hidden ones are guessed outside too."""
    inside = []
    for people in map(val.people, range(len(val))):
        low, high = people.boxes[:, None, :2], people.boxes[:, None, 2:]
        within = ((people.keypoints > low - 2) & (people.keypoints < high + 2)).all(2)
        inside += within[people.visibility == 2].tolist()
    assert inside and all(inside)


def test_real_ground_truth_scores_perfectly_against_itself(val: Coco) -> None:
    assert average_precision(Subset(val, range(60)).ground_truth()) == pytest.approx(1)


@pytest.mark.parametrize("split", ["train", "val"])
def test_real_samples_are_read(shared: Path, split: str) -> None:
    dataset = Coco(root=real(shared, "coco_person"), split=split)
    for index in range(0, len(dataset), len(dataset) // 20):
        sample = dataset.sample(index, MAPS)
        assert sample.image.shape[1:] == sample.file_size == sample.ignore["crowd"].shape
        for name in sample.people.__dataclass_fields__:
            assert np.all(getattr(sample.people, name) == getattr(dataset.people(index), name))


def test_real_labels_without_images(shared: Path) -> None:
    path = real(shared, "coco_keypoint_labels", "person_keypoints_val2017.json.gz")
    dataset = Coco(annotations=path)
    people = [dataset.people(index) for index in range(len(dataset))]
    assert sum(int((one.visibility > 0).any(1).sum()) for one in people) == 6352
    ids = [record["id"] for record in dataset.ground_truth()["annotations"]]
    assert len(set(ids)) == len(ids)


def test_real_crowdpose_is_read(shared: Path) -> None:
    with warnings.catch_warnings(record=True):
        dataset = Coco(annotations=real(shared, "formats", "crowdpose_val.json"))
    assert len(dataset) == 2000 and dataset.task.skeleton == CROWDPOSE
    assert all((dataset.people(index).areas > 0).all() for index in range(0, 2000, 50))
    people = [record for record in dataset.ground_truth()["annotations"] if not record["iscrowd"]]
    counts = [person["num_keypoints"] for person in people if any(person["keypoints"][2::3])]
    assert counts.count(0) == 888  # of whom head and neck alone are labelled: CrowdPose judges nobody by those
