"""Records as exporters really write them teach and judge what they mean, or are refused by name."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from bottomup.data.coco import Coco
from bottomup.errors import BottomupWarning, DataError
from bottomup.evaluation.coco import evaluate_keypoints
from bottomup.evaluation.run import evaluate_dataset
from bottomup.plan.judging import evaluate_plan
from bottomup.predictor import Predictor
from bottomup.samples.augment import Augment
from bottomup.samples.loader import TrainingSet, collate
from bottomup.skeletons import COCO
from bottomup.types import Batch, Task
from tests.coco_folders import HEIGHT, IMAGES, WIDTH, Record, content, write

K = len(COCO)
Said = dict[str, int]  # words of the warning -> the number before them


class Case(NamedTuple):
    """What an exporter does to each record, and what is right for the file: per image, people and labelled keypoints."""

    edit: Callable[[Record], Record]
    people: int = 1
    labelled: int = K
    said: Said = {}  # noqa: RUF012


def with_keypoints(change: Callable[[list[Any]], list[Any]]) -> Callable[[Record], Record]:
    """Change the keypoints, given as [x, y, visibility] each; what comes back is written flat."""

    def edit(record: Record) -> Record:
        triples = change(np.reshape(record["keypoints"], (-1, 3)).tolist())
        return record | {"keypoints": [value for triple in triples for value in triple]}

    return edit


def without(record: Record, *fields: str) -> Record:
    return {name: value for name, value in record.items() if name not in fields}


def as_text(value: Any) -> Any:
    """Numbers as text, in lists, too."""
    return [as_text(entry) for entry in value] if isinstance(value, list) else str(value)


def outline(record: Record) -> list[float]:
    x, y, width, height = record["bbox"]
    return [x, y, x + width, y, x + width, y + height, x, y + height]


def boxed(*change: float | None) -> Callable[[Record], Record]:
    """Some of x, y, width, height replaced."""
    return lambda r: r | {"bbox": [old if new is None else new for old, new in zip(r["bbox"], change, strict=True)]}


BOX = {"annotations have no `bbox`, or one without extent": IMAGES}
NO_AREA = {"annotations have no `area`": IMAGES}
NO_MASK = {"annotations have a mask without a pixel of the image": IMAGES}
AREA = {"annotations have an `area` that cannot be theirs": IMAGES}
NUMBERS = ("id", "image_id", "category_id", "num_keypoints")

CASES = {
    "plain": Case(lambda r: r),
    # boxes without extent: CVAT, coco-annotator
    "box of zeros": Case(boxed(0, 0, 0, 0), said=BOX),
    "flat box": Case(boxed(None, None, 0, None), said=BOX),
    "low box": Case(boxed(None, None, None, 0), said=BOX),
    "box of null": Case(lambda r: r | {"bbox": [None] * 4}, said=BOX),
    "box in units of the image": Case(
        lambda r: r | {"bbox": [v / side for v, side in zip(r["bbox"], (WIDTH, HEIGHT) * 2, strict=True)]}, said=BOX
    ),
    "box of zeros beside a mask": Case(lambda r: r | {"bbox": [0, 0, 0, 0], "segmentation": [outline(r)]}, said=BOX),
    "box as text": Case(lambda r: r | {"bbox": as_text(r["bbox"])}),
    # areas
    "no area": Case(lambda r: without(r, "area"), said=NO_AREA),
    "area of zero": Case(lambda r: r | {"area": 0}, said=AREA),
    "area of zero beside a mask": Case(lambda r: r | {"area": 0, "segmentation": [outline(r)]}, said=AREA),
    "area in units of the image": Case(lambda r: r | {"area": r["area"] / (WIDTH * HEIGHT)}, said=AREA),
    "area as the root": Case(lambda r: r | {"area": r["area"] ** 0.5}, said=AREA),
    "area of a larger copy": Case(lambda r: r | {"area": r["area"] * 16}, said=AREA),
    "area as text": Case(lambda r: r | {"area": str(r["area"])}),
    # few keypoints, or all on one line, and nothing else
    "one keypoint": Case(
        lambda r: without(
            r | {"keypoints": [*r["keypoints"][:3], *[0] * (3 * K - 3)], "num_keypoints": 1}, "bbox", "area"
        ),
        labelled=1,
        said=NO_AREA | BOX,
    ),
    "a line": Case(
        lambda r: without(with_keypoints(lambda triples: [[96, y, v] for _, y, v in triples])(r), "bbox", "area"),
        said=NO_AREA | BOX,
    ),
    # who is labelled
    "visibility left out": Case(
        with_keypoints(lambda triples: [[x, y, 0] for x, y, _ in triples]),
        labelled=0,
        said={
            "annotations say `num_keypoints` where every visibility is 0": IMAGES,
            "people, all of the file's, have no labelled keypoint": IMAGES,
        },
    ),
    "count of zero": Case(
        lambda r: r | {"num_keypoints": 0}, said={"annotations say `num_keypoints` 0 beside labelled keypoints": IMAGES}
    ),
    "count of zero in some": Case(
        lambda r: r | {"num_keypoints": K * (r["id"] > 1)},
        said={"annotations say `num_keypoints` 0 beside labelled keypoints": 1},
    ),
    "null for an unlabelled one": Case(
        with_keypoints(lambda triples: [[None, None, 0], *triples[1:]]), labelled=K - 1
    ),
    "null throughout an unlabelled one": Case(
        with_keypoints(lambda triples: [[None] * 3, *triples[1:]]), labelled=K - 1
    ),
    "NaN for an unlabelled one": Case(
        with_keypoints(lambda triples: [[float("nan"), float("nan"), 0], *triples[1:]]), labelled=K - 1
    ),
    "null for half of a labelled one": Case(
        with_keypoints(lambda triples: [[None, 5, 2], *triples[1:]]),
        labelled=K - 1,
        said={"keypoints are labelled without coordinates (null)": IMAGES},
    ),
    # numbers, however they are written
    "whole numbers as floats": Case(lambda r: r | {name: float(r[name]) for name in NUMBERS} | {"iscrowd": 0.0}),
    "numbers as text": Case(lambda r: r | {name: str(r[name]) for name in NUMBERS}),
    "padded text": Case(lambda r: r | {"image_id": f"{r['image_id']:012}"}),
    "ids that are no numbers": Case(
        lambda r: r | {"id": f"a-{r['id']}"}),
    "ids from 0": Case(lambda r: r | {"id": r["id"] - 1}),
    "crowd as false": Case(lambda r: r | {"iscrowd": False}),
    "crowd as null": Case(lambda r: r | {"iscrowd": None}),
    "keypoints as text": Case(lambda r: r | {"keypoints": as_text(r["keypoints"])}),
    "nested keypoints": Case(lambda r: r | {"keypoints": np.reshape(r["keypoints"], (-1, 3)).tolist()}),
    "keypoints in one more list": Case(lambda r: r | {"keypoints": [np.reshape(r["keypoints"], (-1, 3)).tolist()]}),
    "a mask of points": Case(lambda r: r | {"segmentation": [np.reshape(outline(r), (-1, 2)).tolist()]}),
    "a mask of numbers alone": Case(lambda r: r | {"segmentation": outline(r)}),
    "a mask in units of the image": Case(
        lambda r: r | {"segmentation": [[v / side for v, side in zip(outline(r), (WIDTH, HEIGHT) * 4, strict=True)]]}, said=NO_MASK
    ),
    "a mask beside the image": Case(lambda r: r | {"segmentation": [[-50, -50, -20, -50, -20, -20]]}, said=NO_MASK),
    "a mask that is a line": Case(lambda r: r | {"segmentation": [[20, 5, 20, 60, 20, 30]]}, said=NO_MASK),
    "empty runs": Case(
        lambda r: r | {"segmentation": {"size": [HEIGHT, WIDTH], "counts": [HEIGHT * WIDTH]}}, said=NO_MASK
    ),
    # absent keypoints that are labelled
    "labelled at the origin": Case(
        with_keypoints(lambda triples: [[0, 0, 2], *triples[1:]]), labelled=K - 1,
        said={"keypoints are labelled at (0, 0)": IMAGES},
    ),
    "labelled at minus one": Case(
        with_keypoints(lambda triples: [[-1, -1, 1], *triples[1:]]), labelled=K - 1,
        said={"keypoints are labelled at (0, 0) or (-1, -1)": IMAGES},
    ),
    "a mask of points alone": Case(lambda r: r | {"segmentation": np.reshape(outline(r), (-1, 2)).tolist()}),
}  # fmt: skip


def read(folder: str, split: str) -> tuple[Coco, str]:
    """The data set, and what was said of its file."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        dataset = Coco(root=folder, split=split)
    said = [str(entry.message) for entry in caught if issubclass(entry.category, BottomupWarning)]
    assert len(said) <= 1  # once for a file
    return dataset, "".join(said)


def assert_said(text: str, said: Said) -> None:
    """Every number with its words, and nothing else."""
    assert all(f"{count} {words}" in text for words, count in said.items()), text
    assert bool(text) == bool(said), text


def training_batch(dataset: Coco) -> Batch:
    """All images as training gets them, unaugmented."""
    augment = Augment((192, 192), (0, 0, 0), COCO.flip_order, rotate=0.0, scale=(1.0, 1.0), translate=0.0, flip=0.0)
    samples = TrainingSet(dataset, augment, frozenset({"crowd", "unannotated", "unmasked"}), 0)
    return collate([samples[(0, index)] for index in range(len(dataset))], 30)


def composed(*options: str) -> Predictor:
    model, decoder = evaluate_plan(options).model.compose(Task(COCO))
    return Predictor(model, decoder, input_size=192)


@pytest.fixture(scope="module")
def grouping() -> Predictor:
    torch.manual_seed(0)
    return composed("method=associative_embedding", "backbone=hourglass_tiny")


@pytest.fixture(scope="module")
def boxes() -> Predictor:
    torch.manual_seed(0)
    return composed("method=multiposenet", "backbone.network=test_resnet", "necks.people.channels=8", "heads.prn.hidden=[8]")


IDEAL = ("heatmap", "tags")


@pytest.mark.parametrize("name", CASES)
def test_records_mean_what_they_should(tmp_path: Path, grouping: Predictor, name: str) -> None:
    case = CASES[name]
    folder = write(tmp_path, content(case.edit))
    (train, told), (val, _) = read(folder, "train"), read(folder, "val")
    assert_said(told, case.said)
    batch = training_batch(train)
    assert batch.present.sum(1).tolist() == [case.people] * IMAGES
    assert batch.labelled.sum((1, 2)).tolist() == [case.labelled] * IMAGES
    found = evaluate_dataset(grouping, val, oracle=IDEAL)
    assert found.metrics["AP"] == pytest.approx(1) if case.labelled else np.isnan(found.metrics["AP"])
    assert [len(prediction.instances) for prediction in found.predictions] == [case.people * (case.labelled > 0)] * IMAGES
    assert all(prediction.image_id in (1, 2, 3) for prediction in found.predictions)


@pytest.mark.parametrize("name", [name for name in CASES if "`bbox`" in str(CASES[name].said) and CASES[name].labelled > 1])
def test_derived_boxes_enclose_the_people(tmp_path: Path, name: str) -> None:
    people = read(write(tmp_path, content(CASES[name].edit)), "val")[0].people(0)
    low, high = people.keypoints.min(1), people.keypoints.max(1)
    assert (people.boxes[:, :2] <= low + 1).all() and (people.boxes[:, 2:] >= high - 1).all()  # but for a pixel of the mask's


@pytest.mark.parametrize("name", [name for name in CASES if "`area`" in str(CASES[name].said)])
def test_derived_areas_are_those_of_people(tmp_path: Path, name: str) -> None:
    """Of the mask where there is one; nobody fills less than a third of their box, and none more than all of it."""
    people = read(write(tmp_path, content(CASES[name].edit)), "val")[0].people(0)
    sides = people.boxes[:, 2:] - people.boxes[:, :2]
    assert ((people.areas > 0.33 * sides.prod(1)) & (people.areas < 1.1 * sides.prod(1))).all()
    assert people.has_mask.all() == ("mask" in name)


@pytest.mark.parametrize("name", ["one keypoint", "a line"])
def test_where_a_size_is_not_told_one_pixel_off_is_still_a_find(tmp_path: Path, grouping: Predictor, name: str) -> None:
    dataset, _ = read(write(tmp_path, content(CASES[name].edit)), "val")
    moved = Coco(root=write(tmp_path / "moved", _moved(content(CASES[name].edit))), split="val")
    found = evaluate_dataset(grouping, moved, oracle=IDEAL).predictions
    assert evaluate_keypoints(found, dataset.ground_truth(), COCO)["AP50"] == 1


def _moved(data: Record) -> Record:
    """Every labelled keypoint one pixel off along x and y."""
    shift = with_keypoints(lambda triples: [[x + bool(v), y + bool(v), v] for x, y, v in triples])
    return data | {"annotations": [shift(record) for record in data["annotations"]]}


def outside_its_range(record: Record) -> Record:
    """Of a track's two people the second is outside: CVAT."""
    return record if record["id"] % 2 else record | {"keypoints": [], "num_keypoints": 0, "bbox": [0, 0, 0, 0], "area": 0}


@pytest.mark.parametrize(
    "edit",
    [
        outside_its_range,
        lambda r: without(outside_its_range(r), "bbox"),
        lambda r: r if r["id"] % 2 else outside_its_range(r) | {"keypoints": [0] * 3 * K, "segmentation": []},
    ],
    ids=["zeros", "no box", "keypoints of zeros"],
)
def test_nobody_is_neither_trained_on_nor_judged(tmp_path: Path, boxes: Predictor, edit: Any) -> None:
    folder = write(tmp_path, content(edit, people=2))
    (train, told), (val, _) = read(folder, "train"), read(folder, "val")
    assert_said(told, {"annotations have neither extent nor mask nor labelled keypoints; they are nobody": IMAGES})
    batch = training_batch(train)
    assert batch.present.sum(1).tolist() == [1] * IMAGES and not batch.ignored(frozenset({"unannotated"})).any()
    metrics = evaluate_dataset(boxes, val, oracle=("candidates", "proposals", "prn")).metrics
    assert metrics["box_AP"] == pytest.approx(1) and metrics["AP"] == pytest.approx(1)


APART = {"people have most of their labelled keypoints beside their box or mask": IMAGES}
BOX_OUT = {"boxes reach out of the image": IMAGES}
UNFIT = {
    "corners for a box": (lambda r: r | {"bbox": [r["bbox"][0] + 8, r["bbox"][1], *outline(r)[4:6]]}, BOX_OUT),
    "a box by its centre": (
        lambda r: r | {"bbox": [r["bbox"][0] + r["bbox"][2] / 2, r["bbox"][1] + r["bbox"][3] / 2, *r["bbox"][2:]]}, BOX_OUT | APART
    ),
    "a box in per cent": (
        lambda r: r | {"bbox": [100 * v / side for v, side in zip(r["bbox"], (WIDTH, HEIGHT) * 2, strict=True)]}, APART
    ),
    "a mask in per cent": (
        lambda r: r | {"segmentation": [[100 * v / side for v, side in zip(outline(r), (WIDTH, HEIGHT) * 4, strict=True)]]}, APART
    ),
    "keypoints of a larger copy": (
        with_keypoints(lambda triples: [[4 * x, 4 * y, v] for x, y, v in triples]),
        {"people have keypoints labelled out of the image": IMAGES} | APART
    ),
    "people as crowds": (
        lambda r: r | {"iscrowd": 1}, {"annotations with labelled keypoints have `iscrowd` 1": IMAGES}
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", UNFIT)
def test_what_does_not_fit_together_is_said(tmp_path: Path, name: str) -> None:
    edit, said = UNFIT[name]
    assert_said(read(write(tmp_path, content(edit)), "val")[1], said)


@pytest.mark.parametrize("number", [0, 100])
def test_a_record_that_stands_twice_is_one_person(tmp_path: Path, number: int) -> None:
    data = content()
    data["annotations"] += [record | {"id": record["id"] + number} for record in data["annotations"]]
    dataset, told = read(write(tmp_path, data), "val")
    assert [len(dataset.people(index)) for index in range(IMAGES)] == [1] * IMAGES
    assert_said(told, {"annotations stand twice": IMAGES})


def test_a_file_that_is_several_images_is_said(tmp_path: Path) -> None:
    data = content()
    data["images"].append(data["images"][0] | {"id": 9})
    assert_said(read(write(tmp_path, data), "val")[1], {"images have the file of another one": 1})


def test_file_names_of_windows_are_read(tmp_path: Path) -> None:
    data = content()
    for image in data["images"]:
        image["file_name"] = f"night/{image['file_name']}"
    folder = write(tmp_path, data)
    path = tmp_path / "annotations" / "person_keypoints_val.json"
    path.write_text(path.read_text().replace("night/", r"night\\"))
    assert Coco(root=folder, split="val").sample(0, frozenset()).file_size == (HEIGHT, WIDTH)


def test_of_categories_of_one_name_the_one_with_keypoints_is_read(tmp_path: Path) -> None:
    data = content()
    data["categories"].insert(0, {"id": 0, "name": "person", "supercategory": "none"})
    assert len(read(write(tmp_path / "group", data), "val")[0].people(0)) == 1
    data["annotations"][0]["category_id"] = 0
    with pytest.raises(DataError, match="`categories` should be of different names, got 2 named 'person'; rename or join"):
        Coco(root=write(tmp_path / "used", data), split="val")
    data["categories"] = [data["categories"][1] | {"id": number} for number in (0, 1)]
    with pytest.raises(DataError, match="2 named 'person'"):
        Coco(root=write(tmp_path / "twins", data), split="val")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_is_read(tmp_path: Path, encoding: str) -> None:
    data = content(categories=["persönchen"])
    dataset = Coco(annotations=str(Path(write(tmp_path, data, encoding)) / "annotations/person_keypoints_val.json"), category=None)
    assert dataset.task.categories == ("persönchen",) and len(dataset.people(0)) == 1


def test_images_numbers_are_read_however_they_are_written(tmp_path: Path, grouping: Predictor) -> None:
    data = content(lambda r: r | {"image_id": r["image_id"], "category_id": 1.0})
    for image, write_as in zip(data["images"], (str, float, "{:08}".format), strict=True):
        image |= {name: write_as(image[name]) for name in ("id", "width", "height")}
    data["categories"][0]["id"] = "1"
    dataset, said = read(write(tmp_path, data), "val")
    assert dataset.image_ids == [1, 2, 3] and not said
    assert evaluate_dataset(grouping, dataset, oracle=IDEAL).metrics["AP"] == pytest.approx(1)
    assert Coco(root=str(tmp_path), image_ids=["2", 3.0]).image_ids == [2, 3]  # type: ignore[list-item]


REFUSED = {
    "text as crowd": ({"iscrowd": "0"}, "`iscrowd` should be 0 or 1.*got '0'.*write 1"),
    "text as imputed": ({"imputed": "false"}, "`imputed` should be 0 or 1, or true or false, got 'false'"),
    "a box beyond all images": ({"bbox": [0, 0, 1e300, 1e300]}, "`bbox` should be .* in px"),
    "two as crowd": ({"iscrowd": 2}, "`iscrowd` should be 0 or 1.*got 2"),
    "half an image": ({"image_id": 1.5}, "`image_id`.*got 1.5"),
    "a word as an image": ({"image_id": "first"}, "`image_id`.*got 'first'"),
    "half a count": ({"num_keypoints": 1.5}, "`num_keypoints`.*whole number.*got 1.5"),
    "no visibility": ({"keypoints": [1.0] * 2 * K}, f"`keypoints` should be a flat list of {3 * K} numbers.*got {2 * K} numbers"),
    "keypoints by name": ({"keypoints": {"nose": [1, 2, 2]}}, f"`keypoints` should be a flat list of {3 * K} numbers"),
    "a word as a keypoint": ({"keypoints": ["left", 1, 2] * K}, "`keypoints`.*left"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_refused_by_name(tmp_path: Path, name: str) -> None:
    fields, said = REFUSED[name]
    with pytest.raises(DataError, match=f"person_keypoints_val.json: annotation 1: .*{said}"):
        Coco(root=write(tmp_path, content(lambda record: record | fields)), split="val")


def test_keypoints_in_units_of_the_image_are_refused(tmp_path: Path) -> None:
    fractions = with_keypoints(lambda triples: [[x / WIDTH, y / HEIGHT, v] for x, y, v in triples])
    with pytest.raises(DataError, match=r"`keypoints` should be px of the image, got fractions.*multiply x by its width"):
        Coco(root=write(tmp_path, content(fractions)), split="val")
    corner = with_keypoints(lambda triples: [[1, 0, 2], *([0, 0, 0] for _ in triples[1:])])
    assert len(Coco(root=write(tmp_path, content(corner)), split="val").people(0)) == 1


RIGHT = {  # of the shared cases: people and labelled keypoints in all four images; None: refused
    "plain": (4, 68), "box_zero": (4, 68), "box_flat": (4, 68), "area_zero": (4, 68), "area_normalised": (4, 68),
    "one_keypoint": (4, 4), "all_unseen": (4, 0), "count_zero": (4, 68), "crowd_text": None, "whole_as_float": (4, 68),
    "ids_as_text": (4, 68), "nested": (4, 68), "null_unseen": (4, 64), "track_gaps": (4, 68), "bom": (4, 68),
}  # fmt: skip


@pytest.fixture(scope="session")
def cases(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    maker = shared / "cases" / "make.py"
    if not maker.is_file():
        pytest.skip(f"no {maker}")
    spec = importlib.util.spec_from_file_location("make_cases", maker)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    folder = tmp_path_factory.mktemp("cases")
    module.main(folder)
    return folder


@pytest.mark.parametrize("name", RIGHT)
def test_the_shared_cases_are_right(cases: Path, grouping: Predictor, name: str) -> None:
    right = RIGHT[name]
    if right is None:
        with pytest.raises(DataError, match="`iscrowd` should be 0 or 1"):
            Coco(root=str(cases / name), split="val")
        return
    (train, _), (val, _) = read(str(cases / name), "train"), read(str(cases / name), "val")
    batch = training_batch(train)
    assert (int(batch.present.sum()), int(batch.labelled.sum())) == right
    ap = evaluate_dataset(grouping, val, oracle=IDEAL).metrics["AP"]
    assert ap == pytest.approx(1) if right[1] else np.isnan(ap)
