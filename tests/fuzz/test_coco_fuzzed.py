"""COCO files with changed fields, and run-length codes of any characters: judged and drawn as they are, or one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from bottomup.coco.masks import has_pixels, mask_rle, read_mask
from bottomup.data.coco import Coco
from bottomup.evaluation.boxes import evaluate_boxes
from bottomup.evaluation.coco import evaluate_keypoints
from bottomup.evaluation.masks import evaluate_masks
from bottomup.evaluation.segmentation import SegmentationOverlap
from bottomup.samples.labels import Labels
from bottomup.types import Instances, Prediction
from tests.coco_folders import HEIGHT, WIDTH, content
from tests.fuzz.outcomes import outcome
from tests.fuzz.strategies import JUNK, changed

SQUARE = [10.0, 10.0, 60.0, 10.0, 60.0, 90.0, 10.0, 90.0]
CODE = coco_mask.encode(np.asfortranarray(np.eye(HEIGHT, WIDTH, dtype=np.uint8)))["counts"].decode()


def whole() -> dict[str, object]:
    """A file with a polygon, two kinds of run-length codes, a crowd and somebody without a mask."""
    data = content(people=2)
    masks = (
        [SQUARE],
        {"size": [HEIGHT, WIDTH], "counts": [100, 50, HEIGHT * WIDTH - 150]},
        {"size": [HEIGHT, WIDTH], "counts": CODE},
    )
    for annotation, mask in zip(data["annotations"], masks, strict=False):
        annotation["segmentation"] = mask
    data["annotations"][3]["iscrowd"] = 1
    return json.loads(json.dumps(data))  # type: ignore[no-any-return]


def judged(path: Path) -> None:
    """Read a file, its people and its maps, and judge somebody in each image by it."""
    dataset = Coco(annotations=str(path), images=str(path.parent))
    labels = Labels(dataset)
    for index in range(len(dataset)):
        labels.sample(
            index,
            frozenset({"crowd", "unannotated", "unmasked", "instances"}) if max(dataset.image_size(index)) < 4000 else frozenset(),
        )
    truth = dataset.ground_truth()
    skeleton = dataset.task.skeleton
    if skeleton is None:
        return
    points = torch.full((1, len(skeleton), 2), 20.0)
    ones = torch.ones(1, len(skeleton))
    found = Instances(points, ones, torch.ones(1), torch.tensor([[10.0, 10.0, 50.0, 50.0]]), torch.zeros(1, dtype=torch.int64))
    predictions = [Prediction(found, dataset.image_size(i), image_id=n) for i, n in enumerate(dataset.image_ids)]
    evaluate_keypoints(predictions, truth, skeleton)
    evaluate_boxes(predictions, truth)
    if all(max(prediction.size) < 4000 for prediction in predictions):  # whose masks take memory for every pixel
        evaluate_masks([], truth)
        overlap = SegmentationOverlap()
        for prediction in predictions:
            seen = Prediction(found, prediction.size, torch.zeros(prediction.size), prediction.image_id)
            overlap.add(seen, [entry for entry in truth["annotations"] if entry["image_id"] == prediction.image_id])


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzzed")


def test_the_whole_file_is_read(place: Path) -> None:
    file = place / "whole.json"
    file.write_text(json.dumps(whole()))
    judged(file)


@given(data=changed(whole()))
def test_changed_fields_of_coco_files(data: object, place: Path) -> None:
    file = place / "people.json"
    file.write_text(json.dumps(data))
    outcome("JSON", lambda: judged(file))


@given(text=st.text(max_size=60) | st.text(alphabet='[]{},:"0129eE.+-nulltruefasN \\u\\d', max_size=60))
def test_text_that_is_no_coco_file(text: str, place: Path) -> None:
    file = place / "text.json"
    file.write_bytes(text.encode(errors="surrogatepass"))
    outcome("JSON", lambda: judged(file))


COUNTS = (
    st.text(alphabet=[chr(code) for code in range(40, 120)], max_size=12)
    | st.text(max_size=6)
    | JUNK
    | st.lists(st.integers(-5, 60))
)


@given(counts=COUNTS, size=st.sampled_from([[6, 8], [6.0, 8], [8, 6], [0, 0], None, [48, 1]]))
def test_codes_of_any_characters(counts: object, size: object) -> None:
    image = {"height": 6, "width": 8}
    mask = outcome("RLE", lambda: read_mask({"size": size, "counts": counts}, image, "here"))
    if mask is not None:
        pixels = coco_mask.decode(mask_rle(mask, image))
        assert pixels.shape == (6, 8) and bool(pixels.any()) == has_pixels(mask, image)


@given(runs=st.lists(st.integers(0, 9), min_size=1, max_size=12))
def test_codes_that_c_wrote_are_read_as_it_reads_them(runs: list[int]) -> None:
    image = {"height": sum(runs) or 1, "width": 1}
    runs = runs if sum(runs) else [1]
    code = coco_mask.frPyObjects({"size": [image["height"], 1], "counts": runs}, image["height"], 1)
    assert outcome("RLE", lambda: read_mask({**code, "counts": code["counts"].decode()}, image, "here")) is not None
