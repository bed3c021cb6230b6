"""The benchmark of assignments on labels alone."""

from __future__ import annotations

from typing import Any

from benchmarks.assignment import chosen, isolated, measure, without

PERSON: dict[str, Any] = {"image_id": 1, "bbox": [0, 0, 10, 10], "iscrowd": 0}


def test_people_are_alone_whose_boxes_overlap_little() -> None:
    boxes = ([0, 0, 10, 10], [4, 0, 10, 10], [9, 0, 10, 10], [50, 50, 5, 5])
    people = [PERSON | {"id": n, "bbox": box} for n, box in enumerate(boxes)]
    elsewhere = PERSON | {"id": 9, "image_id": 2}
    assert isolated([*people, elsewhere]) == {3, 9}
    truth = without({"annotations": people}, {3})
    assert [person["iscrowd"] for person in truth["annotations"]] == [0, 0, 0, 1]
    assert chosen(people, lambda person: person["bbox"][0] > 5) == {2, 3}


def test_people_apart_need_no_network() -> None:
    drawn = ["experiment=multiposenet/prn", "data=synthetic", "data.size=64", "data.people=[1,3]", "limit=6", "workers=0"]
    own = ["heads.prn.relation=max", "decoder.assignment=one_to_one"]
    figures = measure([*drawn, *own])
    assert set(figures) == {"AP", "AR", "AP_overlapping", "AP_true_areas"} and figures["AP"] > 0.5
