"""What is written as PoseTrack18's file is read as such: the same people, with their identities."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bottomup.data.posetrack18 import Posetrack18
from bottomup.geometry import from_indices
from bottomup.skeletons import COCO, POSETRACK18, Skeleton
from bottomup.tracking.posetrack import write_posetrack
from bottomup.types import Prediction
from tests.unit.tracking.walkers import SIZE, found, person


def frames(count: int = 5) -> list[dict[str, Any]]:
    """Frames of two people, the second without an identity at first."""
    shown = []
    for frame in range(count):
        prediction = Prediction(found([person(100 + frame), person(300 - frame)]), SIZE, image_id=frame)
        records = prediction.to_coco()
        for record, track in zip(records, (1, 2 if frame > 1 else -1), strict=True):
            record["track_id"] = track
        shown.append({"height": SIZE[0], "width": SIZE[1], "instances": records})
    return shown


def test_people_and_identities_come_back(tmp_path: Path) -> None:
    written = frames()
    file = write_posetrack(tmp_path / "clip.json", lambda: written, COCO, video="clip", video_id=7)
    dataset = Posetrack18(annotations=str(file), images=str(tmp_path))
    truth = dataset.ground_truth()
    assert [image["id"] for image in truth["images"]] == [10000070000 + number for number in range(5)]
    assert {image["nframes"] for image in truth["images"]} == {5} and truth["images"][0]["vid_id"] == "000007"
    tracks = [[one["track_id"] for one in truth["annotations"] if one["image_id"] == image] for image in dataset.image_ids]
    assert tracks == [[1], [1], [1, 2], [1, 2], [1, 2]]
    same = [COCO.index(name) for name in POSETRACK18.keypoints if name in COCO.keypoints]
    ours = [k for k, name in enumerate(POSETRACK18.keypoints) if name in COCO.keypoints]
    first = np.array(written[3]["instances"][1]["keypoints"]).reshape(-1, 3)[same]
    people = dataset.people(3)
    np.testing.assert_allclose(people.keypoints[1][ours], from_indices(first[:, :2]), atol=1e-3)
    assert (people.visibility[1] > 0).sum() == len(ours)  # the ends of the head are nowhere


def test_another_body_keeps_its_own_keypoints(tmp_path: Path) -> None:
    mouse = Skeleton("mouse", ("nose", "tail"), edges=(("nose", "tail"),), sigmas=(0.1, 0.1))
    instance = {"track_id": 3, "keypoints": [1.0, 2.0, 0.5, 0.0, 0.0, 0.0], "bbox": [0.0, 0.0, 2.0, 3.0]}
    file = write_posetrack(tmp_path / "m.json", lambda: [{"height": 9, "width": 9, "instances": [instance]}], mouse, video="m")
    written = json.loads(file.read_text())
    assert written["categories"][0]["keypoints"] == ["nose", "tail"]
    assert written["annotations"][0]["keypoints"] == [1.0, 2.0, 1, 0.0, 0.0, 0] and written["annotations"][0]["scores"] == [
        0.5,
        0.0,
    ]


def test_a_video_without_anybody_is_a_file(tmp_path: Path) -> None:
    file = write_posetrack(tmp_path / "n.json", lambda: [{"height": 9, "width": 9, "instances": []}], COCO, video="n")
    assert json.loads(file.read_text())["annotations"] == []


def test_real_annotations_are_written_as_they_were_read(shared: Path, tmp_path: Path) -> None:
    source = shared / "data/formats/samples/posetrack18/annotations/val/009473_mpii_test.json"
    read = Posetrack18(annotations=str(source), images=str(tmp_path)).ground_truth()
    image = read["images"][0]
    people = [one for one in read["annotations"] if not one["iscrowd"]]
    records = [
        {"keypoints": one["keypoints"], "bbox": one["bbox"], "track_id": one["track_id"] + 1}  # theirs count from 0
        for one in people
    ]
    frame = {"height": image["height"], "width": image["width"], "instances": records}
    file = write_posetrack(tmp_path / "again.json", lambda: [frame], POSETRACK18, video="009473_mpii_test", video_id=9473)
    again = Posetrack18(annotations=str(file), images=str(tmp_path)).ground_truth()
    assert again["images"][0]["id"] == image["id"]
    for one, other in zip(people, again["annotations"], strict=True):
        assert one["track_id"] + 1 == other["track_id"]
        np.testing.assert_allclose(one["keypoints"], other["keypoints"], atol=1e-6)


def test_identities_are_those_of_a_prediction() -> None:
    prediction = Prediction(found([person(100)]), SIZE, image_id=0)
    assert "track_id" not in prediction.to_coco()[0]
    known = replace(prediction, instances=replace(prediction.instances, track_ids=prediction.instances.labels + 5))
    assert known.to_coco()[0]["track_id"] == 5
