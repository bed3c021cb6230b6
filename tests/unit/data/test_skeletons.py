"""Skeletons of users and of files: sides found by name, trees made or refused, nothing swallowed in silence."""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path
from typing import Any

import pytest

from bottomup.coco.skeleton import category_skeleton, read_skeleton, sides
from bottomup.errors import ConfigError, DataError
from bottomup.skeletons import COCO, MHP, MPII, SKELETONS, Skeleton

FILE = Path("people.json")
FORMS = [
    "left_hip right_hip", "Left_Hip Right_Hip", "LEFT_HIP RIGHT_HIP", "hip_left hip_right", "leftHip rightHip", "HipLeft HipRight",
    "lefthip righthip", "l_hip r_hip", "L_hip R_hip", "l-hip r-hip", "hip_l hip_r", "hip.L hip.R", "hipL hipR", "HipL HipR",
    "lHip rHip", "LHip RHip", "Left_hip right_hip", "hip_L right_hip", "L_F_Paw R_F_Paw", "ear2_left ear2_right", "l1 r1",
    "left right",
]  # fmt: skip


def category(names: Any, **fields: Any) -> dict[str, Any]:
    sigmas = {"sigmas": [0.05] * len(names)} if isinstance(names, list) else {}
    return {"id": 1, "name": "dog", "keypoints": names} | sigmas | fields


def made(names: list[str], **fields: Any) -> Skeleton:
    """The skeleton of a category that nothing is wrong with."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return category_skeleton(category(names, **fields), FILE)


# ---- left and right --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_a_pair_is_found_however_its_sides_are_written(form: str) -> None:
    left, right = form.split()
    for names in ([left, "nose", right], [right, left, "tail"]):
        assert sides(names) == ((left, right),)
        skeleton = made(names)
        assert skeleton.flip_order == tuple(names.index({left: right, right: left}.get(name, name)) for name in names)


def test_words_may_be_apart() -> None:
    assert sides(["hip left", "hip right", "Left front paw", "Right front paw", "Right hind paw", "Left hind paw"]) == (
        ("hip left", "hip right"), ("Left front paw", "Right front paw"), ("Left hind paw", "Right hind paw"),
    )  # fmt: skip


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=lambda skeleton: skeleton.name)
def test_sides_of_the_built_in_skeletons_are_their_flip_pairs(skeleton: Skeleton) -> None:
    """But for COCO-WholeBody's points of the face, which have numbers."""
    assert set(sides(skeleton.keypoints)) == {pair for pair in skeleton.flip_pairs if not pair[0].startswith("face-")}


@pytest.mark.parametrize(
    ("names", "alone"),
    [
        (["nose", "left_hip", "right_knee"], "sides without a pair: left_hip, right_knee;"),
        (["left_hip", "hip_left", "right_hip"], "sides without a pair: left_hip, hip_left, right_hip;"),  # whose is the right one?
        (["left_eye", "right_eye", "hip_r"], "sides without a pair: hip_r;"),
        (["nose", "eye1", "eye2"], "left and right in no name.*: eye1, eye2;"),
        (["Auge_links", "ear a", "ear b"], "left and right in no name.*: ear a, ear b;"),
    ],
)
def test_names_that_speak_of_sides_but_have_no_pair_are_said(names: list[str], alone: str) -> None:
    with pytest.warns(
        UserWarning, match=rf"people.json: category 'dog': {alone}.*mirrored images do not swap.*flip_pairs"
    ) as caught:
        category_skeleton(category(names), FILE)
    assert len(caught) == 1
    given = {"name": "mine", "keypoints": names, "sigmas": [0.05] * len(names)}
    with pytest.warns(UserWarning, match=rf"{alone.split(':')[0]}.*: .*{names[-1]};"):
        read_skeleton(given)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_skeleton(given | {"flip_pairs": []}).flip_order == tuple(range(len(names)))  # said to have none


@pytest.mark.parametrize("names", [["nose", "tail"], ["shoulder", "elbow", "wrist"], ["spine1", "spine2"], ["eye", "nose"]])
def test_bodies_without_sides_are_left_in_peace(names: list[str]) -> None:
    assert made(names).flip_order == tuple(range(len(names)))


# ---- the tree --------------------------------------------------------------------------------------------------------------


def test_a_drawing_with_cycles_gives_a_tree_of_all_its_keypoints() -> None:
    names = ["a", "b", "c", "d"]
    skeleton = made(names, skeleton=[[1, 2], [2, 3], [3, 1], [4, 2], [2, 2]])
    assert len(skeleton.edges) == 3
    assert {frozenset(edge) for edge in skeleton.edges} <= {frozenset(edge) for edge in ("ab", "bc", "ca", "db")}
    assert made(names).edges == () == made(names, skeleton=[]).edges  # who draws nothing is not told


def test_a_drawing_in_parts_is_said_with_its_parts() -> None:
    with pytest.warns(UserWarning, match=r"`skeleton` falls into 3 parts \(a, c; b, d; e\) and gives no tree") as caught:
        assert category_skeleton(category(list("abcde"), skeleton=[[1, 3], [4, 2]]), FILE).edges == ()
    assert len(caught) == 1


@pytest.mark.parametrize(
    ("edges", "said"),
    [
        ([["a", "b"], ["c", "d"]], r"\(c, d\) starts at a keypoint not reached"),
        ([["a", "b"], ["b", "c"]], "the tree does not reach d"),
        ([["a", "b"], ["b", "c"], ["c", "d"], ["d", "a"]], r"\(d, a\) closes a cycle"),
        ([["a", "b"], ["b", "e"]], "no keypoint named 'e'"),
    ],
)
def test_a_tree_of_ones_own_must_be_one(edges: list[list[str]], said: str) -> None:
    with pytest.raises(ConfigError, match=f"skeleton 'mine': .*{said}"):
        Skeleton.from_dict({"name": "mine", "keypoints": list("abcd"), "sigmas": [0.05] * 4, "edges": edges})


# ---- fields ----------------------------------------------------------------------------------------------------------------

WRONG = {
    "a number of keypoints": ({"keypoints": 3}, "keypoints should be a list of keypoint names, got 3"),
    "keypoints as text": ({"keypoints": "nose"}, "keypoints should be a list of keypoint names, got 'nose'"),
    "YAML's no": ({"keypoints": [False, "b"]}, "keypoints should hold keypoint names, got False; quote"),
    "no list": ({"keypoints": None}, "at least one"),
    "sigmas as text": ({"sigmas": "0.1"}, "sigmas should be a list of numbers, got '0.1'"),
    "a word as sigma": ({"sigmas": ["small", 0.1]}, "sigmas should hold numbers, got 'small'"),
    "PyYAML's 1e-1": ({"sigmas": ["1e-1", 0.1]}, "sigmas should hold numbers, got '1e-1'"),
    "nan": ({"sigmas": [math.nan, 0.1]}, r"sigmas should be 2 positive numbers.*nan"),
    "infinity": ({"sigmas": [0.1, math.inf]}, r"sigmas should be 2 positive numbers.*inf"),
    "a negative sigma": ({"sigmas": [0.1, -1]}, "sigmas should be 2 positive numbers"),
    "too few sigmas": ({"sigmas": [0.1]}, r"sigmas should be 2 positive numbers.*got \[0.1\]"),
    "a pair of three": ({"flip_pairs": [["a", "b", "c"]]}, "flip_pairs should hold pairs"),
    "pairs as text": ({"flip_pairs": "ab"}, "flip_pairs should be a list of pairs"),
    "a flat pair": ({"edges": ["a", "b"]}, "edges should be a list of keypoint names, got 'a'"),
    "a number as order": ({"order": 2}, "order should be a list"),
    "a misspelt field": ({"keypoint": ["a"]}, "did you mean 'keypoints'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_fields_are_refused_by_name(case: str, tmp_path: Path) -> None:
    fields, said = WRONG[case]
    given = {"name": "mine", "keypoints": ["a", "b"], "sigmas": [0.1, 0.1]} | fields
    with pytest.raises(ConfigError, match=said):
        Skeleton.from_dict(given)
    with pytest.raises(ConfigError, match=f"^skeleton.*{said}"):
        read_skeleton(given)
    file = tmp_path / "mine.yaml"
    file.write_text(json.dumps(given).replace("Infinity", ".inf").replace("NaN", ".nan"))  # JSON is YAML, but for these
    with pytest.raises(ConfigError, match=f"skeleton .*mine.yaml: .*{said}"):
        read_skeleton(str(file))


@pytest.mark.parametrize("given", [3, ["a"], True])
def test_what_is_no_skeleton_at_all_is_refused(given: Any) -> None:
    with pytest.raises(ConfigError, match="a built-in name, a YAML file or a mapping"):
        read_skeleton(given)


@pytest.mark.parametrize("sigmas", [[math.nan, 0.1], ["a", 0.1], 0.1])
def test_wrong_sigmas_of_a_file_are_refused_with_its_name(sigmas: Any) -> None:
    with pytest.raises(DataError, match=r"people.json: category 'dog': .*sigmas should"):
        category_skeleton(category(["a", "b"], sigmas=sigmas), FILE)


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=lambda skeleton: skeleton.name)
def test_a_skeleton_is_what_its_plain_data_say(skeleton: Skeleton) -> None:
    assert Skeleton.from_dict(json.loads(json.dumps(skeleton.to_dict()))) == skeleton
    of_file = category_skeleton({"name": "x", "keypoints": list(skeleton.keypoints), "skeleton": [[90, 91]]}, FILE)
    assert of_file is (MPII if skeleton is MHP else skeleton)  # of one set of names the more common one
    assert read_skeleton(skeleton.name) is skeleton and COCO in SKELETONS.values()
