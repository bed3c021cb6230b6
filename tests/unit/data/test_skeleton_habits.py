"""Skeletons as exporters write them: what is trained, judged and predicted with them."""

from __future__ import annotations

import itertools
import random
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from bottomup import load
from bottomup.coco.skeleton import category_skeleton, read_skeleton, sides
from bottomup.coco.skeleton_tree import tree_of
from bottomup.errors import BottomupWarning, ConfigError, DataError
from bottomup.skeletons import COCO, Skeleton, warn_of_mirroring
from tests.coco_folders import assert_on_dots, ideal_ap, training_batch, untrained, write_folder

FILE = Path("people.json")
SIDELESS = [f"kp{number}" for number in range(17)]
SQUEEZED = [name.replace("left_", "l").replace("right_", "r") for name in COCO.keypoints]
TREE = [[COCO.index(end) + 1 for end in edge] for edge in COCO.edges]

AI_CHALLENGER = (
    "right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist right_hip right_knee right_ankle left_hip "
    "left_knee left_ankle head_top neck",
    "3-2 2-1 1-14 14-4 4-5 5-6 9-8 8-7 7-10 10-11 11-12 13-14 1-7 4-10",
)
AP_10K = (
    "L_Eye R_Eye Nose Neck Root_of_tail L_Shoulder L_Elbow L_F_Paw R_Shoulder R_Elbow R_F_Paw L_Hip L_Knee L_B_Paw R_Hip "
    "R_Knee R_B_Paw",
    "1-2 1-3 2-3 3-4 4-5 4-6 6-7 7-8 4-9 9-10 10-11 5-12 12-13 13-14 5-15 15-16 16-17",
)
ANIMAL_POSE = (
    "L_Eye R_Eye L_EarBase R_EarBase Nose Throat TailBase Withers L_F_Elbow R_F_Elbow L_B_Elbow R_B_Elbow L_F_Knee R_F_Knee "
    "L_B_Knee R_B_Knee L_F_Paw R_F_Paw L_B_Paw R_B_Paw",
    "1-2 1-3 2-4 1-5 2-5 5-6 6-8 7-8 6-9 9-13 13-17 6-10 10-14 14-18 7-11 11-15 15-19 7-12 12-16 16-20",
)
PAIRS_ALONE = ("right_hip left_hip right_knee left_knee right_foot left_foot", "1-2 1-3 2-4 3-4 3-5 4-6")
DRAWINGS = {"AI Challenger": AI_CHALLENGER, "AP-10K": AP_10K, "AnimalPose": ANIMAL_POSE, "pairs alone": PAIRS_ALONE}


def drawing(name: str) -> tuple[list[str], list[list[int]]]:
    names, edges = DRAWINGS[name]
    return names.split(), [list(map(int, edge.split("-"))) for edge in edges.split()]


def made(names: list[str], edges: Any = None) -> Skeleton:
    return category_skeleton({"id": 1, "name": "dog", "keypoints": names, "skeleton": edges, "sigmas": [0.05] * len(names)}, FILE)


# ---- sides -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "form", ["lhip rhip", "LHIP RHIP", "hipl hipr", "lf_paw rf_paw", "paw_lf paw_rf", "lbigtoe rbigtoe", "Lhip Rhip"]
)
def test_a_letter_without_a_gap_is_a_side_where_both_names_exist(form: str) -> None:
    left, right = form.split()
    assert sides(["nose", right, left, "leg"]) == ((left, right),)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert made([right, left, "nose"]).flip_order == (1, 0, 2)


def test_all_of_coco_squeezed_has_coco_s_pairs() -> None:
    pairs = {(SQUEEZED[COCO.index(left)], SQUEEZED[COCO.index(right)]) for left, right in COCO.flip_pairs}
    assert set(sides(SQUEEZED)) == pairs
    assert made(SQUEEZED).flip_order == COCO.flip_order


@pytest.mark.parametrize("names", [["rear", "leg", "root", "tail"], ["lhip", "rknee"], ["lal", "ral", "lar"]])
def test_letters_that_happen_to_stand_there_are_no_sides(names: list[str]) -> None:
    """No partner, or two of which nobody knows whose they are."""
    assert sides(names) == ()


SAID = "no left/right pair.*flip_pairs.*augment.flip=0"


def mirrored_training(root: Path, *overrides: str) -> None:
    training_batch(root, "augment.flip=0.5", *overrides)


def mirrored_evaluation(root: Path, *overrides: str) -> None:
    assert ideal_ap(root, root / "output", "flip=true", *overrides) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("use", [mirrored_training, mirrored_evaluation])
def test_mirroring_without_sides_is_said_once_wherever_it_is_done(use: Callable[..., None], tmp_path: Path) -> None:
    root = write_folder(tmp_path, SIDELESS)
    with pytest.warns(BottomupWarning, match=SAID) as said:
        use(root)
    assert sum("mirrored" in str(one.message) for one in said) == 1
    own = ", ".join(SIDELESS)
    with warnings.catch_warnings():
        warnings.simplefilter("error", BottomupWarning)
        use(root, f"data.skeleton={{name: mine, keypoints: [{own}], sigmas: {[0.05] * 17}, flip_pairs: []}}")
        assert_on_dots(training_batch(root))  # nothing is mirrored


def test_mirroring_a_photo_without_sides_is_said(tmp_path: Path) -> None:
    skeleton = Skeleton("mine", tuple(SIDELESS), sigmas=(0.05,) * 17)
    weights = untrained(tmp_path, skeleton)  # which keeps that nobody said it
    with pytest.warns(BottomupWarning, match=SAID):
        load("associative_embedding", weights=weights, flip=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error", BottomupWarning)
        load("associative_embedding", weights=weights)
        load("associative_embedding", weights=untrained(tmp_path), flip=True)


def test_python_says_the_same_words_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Training and its validation both mirror."""
    with warnings.catch_warnings():
        warnings.resetwarnings()
        warnings.showwarning = lambda message, *_: print(message)
        for _ in range(3):
            warn_of_mirroring(Skeleton("once", ("a", "b"), sigmas=(0.1, 0.1)))
    assert capsys.readouterr().out.count("skeleton 'once'") == 1


def test_a_body_without_sides_is_one_that_says_so() -> None:
    given = {"name": "mine", "keypoints": ["a", "b"], "sigmas": [0.1, 0.1]}
    unsaid, said = read_skeleton(given), read_skeleton(given | {"flip_pairs": []})
    assert (unsaid.sideless, said.sideless) == (False, True)
    for skeleton in (unsaid, said, COCO):
        assert Skeleton.from_dict(skeleton.to_dict()) == skeleton  # checkpoints keep it
    with pytest.raises(ConfigError, match="sideless"):
        Skeleton("mine", ("a", "b"), flip_pairs=(("a", "b"),), sideless=True)
    with pytest.raises(ConfigError, match="no field named 'sideless'"):
        Skeleton.from_dict(given | {"sideless": True})


def test_squeezed_names_train_and_are_judged_as_pairs(tmp_path: Path) -> None:
    root = write_folder(tmp_path, SQUEEZED, TREE)
    with warnings.catch_warnings():
        warnings.simplefilter("error", BottomupWarning)
        plain, mirrored = training_batch(root), training_batch(root, "augment.flip=1.0")
        mirrored_evaluation(root)
    assert_on_dots(plain)
    expected = plain.keypoints[:, 0, torch.tensor(COCO.flip_order)]
    assert torch.allclose(plain.size[1] - mirrored.keypoints[:, 0, :, 0], expected[..., 0], atol=1e-3)


# ---- edges -----------------------------------------------------------------------------------------------------------------


def test_edges_from_zero_are_read_where_only_that_fits_and_said() -> None:
    plain = made(SQUEEZED, TREE)
    with pytest.warns(BottomupWarning, match="people.json: category 'dog': `skeleton` counts from 0") as said:
        counted = made(SQUEEZED, [[a - 1, b - 1] for a, b in TREE])
    assert len(said) == 1 and counted == plain and len(plain.edges) == 16
    assert made(SQUEEZED, [[float(a), float(b)] for a, b in TREE]) == plain
    assert made(SQUEEZED, [[SQUEEZED[a - 1], SQUEEZED[b - 1]] for a, b in TREE]) == plain


@pytest.mark.parametrize(
    ("edges", "said"),
    [
        ([[0, 1], [2, 3]], "got both 0 and 3; correct the file or set `skeleton`"),
        ([[0, 4]], r"numbers from 1 to 3.*got \[0, 4\]"),
        ([[-1, 2]], r"got \[-1, 2\]"),
        ([[1.5, 2]], r"got \[1.5, 2\]"),
        ([[float("nan"), 2]], "numbers from 1 to 3"),
        ([["a", 2]], r"got \['a', 2\]"),
        ([[True, 2]], r"got \[True, 2\]"),
        ([[1, 2, 3]], r"got \[1, 2, 3\]"),
        ([1, 2], "got 1"),
    ],
)
def test_edges_that_fit_in_no_way_are_refused_with_the_remedy(edges: Any, said: str) -> None:
    with pytest.raises(DataError, match=f"`skeleton` should be .*{said}"):
        made(["a", "b", "c"], edges)


def test_edges_from_zero_train_and_are_judged(tmp_path: Path) -> None:
    root = write_folder(tmp_path, SQUEEZED, [[a - 1, b - 1] for a, b in TREE])
    with pytest.warns(BottomupWarning, match="counts from 0"):
        assert_on_dots(training_batch(root, "method=personlab", "backbone=dilated_resnet10"))
    with pytest.warns(BottomupWarning, match="counts from 0"):
        assert ideal_ap(root, tmp_path / "output", *PERSONLAB) == pytest.approx(1, abs=0.01)


# ---- trees -----------------------------------------------------------------------------------------------------------------

PERSONLAB = [
    "method=personlab", "backbone=dilated_resnet10", "oracle=[heatmap,short_offsets,mid_offsets,long_offsets,segmentation]",
]  # fmt: skip


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_drawing_whose_first_keypoint_has_a_side_gives_a_mirrored_tree(name: str) -> None:
    names, edges = drawing(name)
    skeleton = made(names, edges)
    drawn = {frozenset((names[a - 1], names[b - 1])) for a, b in edges}
    assert {frozenset(edge) for edge in skeleton.edges} <= drawn and len(skeleton.edges) == len(names) - 1
    there = skeleton.flipped_directed  # ConfigError where a mirrored edge is none
    assert [there[edge] for edge in there] == list(range(len(there)))


def test_of_any_drawing_that_has_a_mirrored_tree_one_is_found() -> None:
    """Against all trees of small drawings."""
    names, pairs = ["a", "l1", "r1", "b", "l2", "r2"], [("l1", "r1"), ("l2", "r2")]
    lines = list(itertools.combinations(names, 2))
    mirror = {"l1": "r1", "r1": "l1", "l2": "r2", "r2": "l2"}
    drawn = random.Random(0)
    found = 0
    for _ in range(150):
        edges = drawn.sample(lines, drawn.randint(5, 9))
        trees = [tree for tree in itertools.combinations(edges, 5) if _spans(names, tree)]
        if not trees:
            continue
        chosen = tree_of(names, edges, pairs)
        assert _spans(names, chosen) and {frozenset(edge) for edge in chosen} <= {frozenset(edge) for edge in edges}
        possible = any(_mirrored(tree, mirror) for tree in trees)
        assert _mirrored(chosen, mirror) == possible
        found += possible
        Skeleton("any", tuple(names), tuple(pairs), chosen, (0.1,) * 6)  # from the root outwards
    assert found > 5


def _spans(names: list[str], tree: Any) -> bool:
    reached = {names[0]}
    for _ in names:
        reached |= {end for edge in tree if reached & set(edge) for end in edge}
    return reached == set(names) and len(tree) == len(names) - 1


def _mirrored(tree: Any, mirror: dict[str, str]) -> bool:
    lines = {frozenset(edge) for edge in tree}
    return lines == {frozenset(mirror.get(end, end) for end in edge) for edge in tree}


@pytest.mark.parametrize("name", ["AI Challenger", "AP-10K"])
def test_personlab_mirrors_such_skeletons(name: str, tmp_path: Path) -> None:
    names, edges = drawing(name)
    root = write_folder(tmp_path, names, edges)
    with warnings.catch_warnings():
        warnings.simplefilter("error", BottomupWarning)
        assert_on_dots(training_batch(root, *PERSONLAB[:2]))
        assert ideal_ap(root, tmp_path / "output", *PERSONLAB, "flip=true") == pytest.approx(1, abs=0.01)
