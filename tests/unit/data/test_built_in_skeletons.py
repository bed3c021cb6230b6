"""The built-in skeletons: trees over all keypoints that mirror themselves, and files of their data sets that read."""

from __future__ import annotations

import warnings
from itertools import chain
from pathlib import Path

import pytest
import torch

from bottomup.coco.people import people_by_image
from bottomup.errors import DataError
from bottomup.ops.walk import strides, walk
from bottomup.plan.data import DataPlan
from bottomup.skeletons import COCO, COCO_WHOLEBODY, SKELETONS, Skeleton

SAMPLES = {  # of each skeleton's data set: folder, file, how many people have keypoints
    "aic": ("aic", "test_aic.json", 9),
    "mhp": ("mhp", "test_mhp.json", 4),
    "coco_wholebody": ("coco", "test_coco_wholebody.json", 12),
    "crowdpose": ("crowdpose", "test_crowdpose.json", None),
}
every = pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=lambda skeleton: skeleton.name)


@every
def test_mirroring_twice_changes_nothing_and_maps_the_tree_onto_itself(skeleton: Skeleton) -> None:
    count = len(skeleton)
    assert [skeleton.flip_order[other] for other in skeleton.flip_order] == list(range(count))
    assert [skeleton.flipped_directed[other] for other in skeleton.flipped_directed] == list(range(2 * count - 2))
    assert sorted(skeleton.grouping) == list(range(count)) and len(skeleton.sigmas) == count


@every
def test_from_every_keypoint_a_walk_along_true_offsets_reaches_them_all(skeleton: Skeleton) -> None:
    """PersonLab's decoding: each edge leads to where its end truly is."""
    pose = torch.rand(len(skeleton), 2)
    ends = torch.tensor([end for _, end in skeleton.directed])
    seeds = pose[None, :, None]  # (1, K, 1, 2)
    poses = walk(seeds, strides(skeleton), lambda _, edges: pose[ends[edges]].expand(1, *edges.shape, 2))
    assert torch.equal(poses[0, :, 0], pose.expand(len(skeleton), -1, -1))


def test_parts_of_a_whole_body_hang_on_what_they_are_part_of() -> None:
    """No hand, foot or face is farther from its wrist, ankle or nose than it has joints."""
    steps, index = COCO_WHOLEBODY.steps, COCO_WHOLEBODY.index
    for name in COCO_WHOLEBODY.keypoints[len(COCO) :]:
        side, _, part = name.partition("_")
        if name.startswith("face-"):
            assert steps[index("nose")][index(name)] <= 9
        elif part in ("big_toe", "small_toe", "heel"):
            assert steps[index(f"{side}_ankle")][index(name)] == 1
        else:
            assert steps[index(f"{side}_wrist")][index(name)] <= 5
    assert COCO_WHOLEBODY.edges[: len(COCO.edges)] == COCO.edges and COCO_WHOLEBODY.sigmas[: len(COCO)] == COCO.sigmas


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SAMPLES)
def test_files_of_their_data_sets_read(name: str, shared: Path) -> None:
    folder, file, people = SAMPLES[name]
    place = shared / "data" / "formats" / "samples" / folder
    if not place.is_dir():
        pytest.skip(f"no samples at {place}")
    plan = DataPlan.of({"name": "coco", "annotations": str(place / file), "images": str(place), "skeleton": name, "split": "val"})
    dataset = plan.dataset("val")
    found = [dataset.people(index) for index in range(len(dataset))]
    assert dataset.task.skeleton is SKELETONS[name]
    assert people is None or sum(int((one.visibility > 0).any(1).sum()) for one in found) == people
    sample = dataset.sample(0, frozenset())
    points = sample.people.keypoints[sample.people.visibility > 0]
    h, w = sample.pixels.shape[1:]
    assert len(points) and (points >= 0).all() and (points <= (w, h)).all()


def whole_body(**fields: object) -> dict[str, object]:
    """A record as COCO-WholeBody writes it, all keypoints at their own index."""
    at = [[float(k + 1), float(k + 1), 2] for k in range(133)]
    flat = {name: list(chain.from_iterable(at[start:stop])) for name, start, stop in PARTS}
    return {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 140, 140], "area": 9000.0, **flat, **fields}


PARTS = (
    ("keypoints", 0, 17), ("foot_kpts", 17, 23), ("face_kpts", 23, 91), ("lefthand_kpts", 91, 112), ("righthand_kpts", 112, 133),
)  # fmt: skip


def read(record: dict[str, object], skeleton: Skeleton = COCO_WHOLEBODY) -> list[float]:
    image = {"id": 1, "file_name": "1.jpg", "width": 200, "height": 200}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ((found,),) = people_by_image(
            {"categories": [{"id": 1}], "annotations": [record]}, {1: image}, [{"id": 1}], skeleton, Path("people.json")
        ).values()
    return found["keypoints"]


def test_lists_of_feet_face_and_hands_follow_the_body() -> None:
    assert read(whole_body())[::3] == [k + 1 for k in range(133)]
    assert read(whole_body(), COCO)[::3] == [k + 1 for k in range(17)]  # a body alone is still one


def test_a_share_as_visibility_is_labelled_and_nothing_is_not() -> None:
    hand = [5.0, 6.0, 0.3, *[0.0, 0.0, 0.0] * 20]
    assert read(whole_body(lefthand_kpts=hand))[3 * 91 : 3 * 94] == [5.0, 6.0, 1, 0, 0, 0, 0, 0, 0]


def test_a_list_that_is_missing_is_said_as_too_few_keypoints() -> None:
    record = whole_body()
    del record["face_kpts"]
    with pytest.raises(DataError, match=r"399 numbers.*coco_wholebody.*got 51"):
        read(record)
