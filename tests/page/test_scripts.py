"""What the page does in JavaScript is what ``bottomup.grouping`` and ``bottomup.framing`` do: the same people, the same pixels."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from bottomup.decoders.associative_embedding import AssociativeEmbedding
from bottomup.decoders.personlab import Personlab
from bottomup.decoders.posenet import Posenet
from bottomup.decoders.prn import Prn
from bottomup.framing import inner_size
from bottomup.grid import Grid
from bottomup.grouping.found import Found, Grouping, HostFrame
from bottomup.grouping.shown import shown
from bottomup.page.assembly import SCRIPTS
from bottomup.runtime.contract import Contract
from bottomup.skeletons import COCO
from bottomup.thresholds import Thresholds
from bottomup.types import Task

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="needs node, which runs the page's scripts here")

HERE = Path(__file__).parent
GRID = Grid.centred(4)
SIZE, FILE_SIZE, CONTENT = (96, 128), (150, 240), (0.0, 0.0, 128.0, 80.0)
CELLS = GRID.shape(SIZE)
K = len(COCO)
Random = np.random.Generator
Arrays = dict[str, NDArray[Any]]


def some(random: Random, *shape: int, share: float = 0.5) -> NDArray[np.float32]:
    """Scores, of which a share is 0."""
    return (random.random(shape) * (random.random(shape) < share)).astype(np.float32)


def anywhere(random: Random, *shape: int) -> NDArray[np.float32]:
    """Points in the input and its padding."""
    return (random.random((*shape, 2)) * (140, 100)).astype(np.float32)


def peaks(random: Random) -> Arrays:
    m, d = 6, 2

    def some_peaks(prefix: str) -> Arrays:
        return {
            f"{prefix}scores": -np.sort(-some(random, 1, K, m)),
            f"{prefix}points": anywhere(random, 1, K, m),
            f"{prefix}tags": random.normal(0, 2, (1, K, m, d)).astype(np.float32),
        }

    return some_peaks("") | some_peaks("shared_")


def walked(random: Random) -> Arrays:
    p, near = 8, anywhere(random, 1, 4, 1).repeat(2, 1)  # of two alike one is suppressed
    return {
        "points": (near + random.normal(0, 12, (1, p, K, 2))).astype(np.float32),
        "scores": some(random, 1, p, K) * (random.random((1, p, 1)) < 0.8).astype(np.float32),
        "presence": some(random, 1, p, K, share=0.9),
        "foreground": cv2.GaussianBlur(random.random(CELLS).astype(np.float32), (0, 0), 1.5)[None],
        "distance": random.random((1, p, *CELLS)).astype(np.float32),
    }


def boxes(random: Random) -> Arrays:
    r, m = 7, 5
    corners = anywhere(random, 1, r, 2)
    candidates = np.concatenate((anywhere(random, 1, K, m), some(random, 1, K, m, 1, share=0.9)), axis=-1)
    return {
        "values": some(random, 1, r, K, m),
        "candidates": candidates.astype(np.float32),
        "boxes": np.concatenate((corners.min(2), corners.max(2)), axis=-1),
        "box_scores": some(random, 1, r, share=0.8),
        "highest": np.concatenate((anywhere(random, 1, r, K), some(random, 1, r, K, 1)), axis=-1).astype(np.float32),
    }


TASK = Task(COCO)
CASES: dict[str, tuple[Grouping | None, Callable[[Random], Arrays]]] = {
    "tags": (AssociativeEmbedding(TASK).grouping, peaks),
    "tags, filled": (
        AssociativeEmbedding(
            TASK, max_people=4, detection_threshold=0.4, fill_threshold=0.1, tag_threshold=2.0, instance_score="found",
            nms_threshold=0.3, shared_peaks=False, ties="earlier",
        ).grouping,
        peaks,
    ),
    "walked": (Personlab(TASK).grouping, walked),
    "walked, hard, exclusive": (
        Personlab(TASK, suppression={"nms": "hard"}, masks={"mode": "exclusive", "distance": 0.5}).grouping, walked,
    ),
    "walked, nearest": (Personlab(TASK, masks={"mode": "nearest", "distance": None}).grouping, walked),
    "PoseNet": (Posenet(TASK).grouping, walked),
    "boxes": (Prn(TASK).grouping, boxes),
    "boxes, each its best": (
        Prn(TASK, assignment="independent", missing="none", score="found_and_box", unposed="keep", nms_threshold=0.2).grouping,
        boxes,
    ),
}  # fmt: skip


def run(script: str, cases: list[Any], folder: Path) -> Any:
    """What node makes of cases."""
    (folder / "cases.json").write_text(json.dumps(cases))
    command = ["node", str(HERE / script), str(SCRIPTS), str(folder / "cases.json")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def contract(grouping: Grouping, names: Arrays) -> Contract:
    return Contract(
        skeleton=COCO, categories=("person",), decoder="", grouping=grouping, grids={"segmentation": GRID}, outputs=tuple(names),
        input_size=128, side="long", fits=(GRID,), least=8, sides=None, fill=(0, 0, 0), mean=(0.0,) * 3, std=(1.0,) * 3,
        thresholds=Thresholds(score=0.1, keypoint=0.2, alike=0.4),
    )  # fmt: skip


def in_javascript(arrays: Arrays, said: Contract) -> Any:
    """A case as node reads it."""
    scale = [CONTENT[2] / FILE_SIZE[1], CONTENT[3] / FILE_SIZE[0]]
    plain = {name: {"data": array.ravel().tolist(), "dims": array.shape} for name, array in arrays.items()}
    frame = {"content": CONTENT, "size": SIZE, "toInput": scale, "fileSize": FILE_SIZE}
    return {"contract": json.loads(said.to_json()), "frame": frame, "arrays": plain}


def in_python(arrays: Arrays, said: Contract) -> dict[str, Found]:
    frame = HostFrame(said.grids, SIZE, np.array([CONTENT], np.float32))
    matrix = np.array([[FILE_SIZE[1] / CONTENT[2], 0.0, 0.0], [0.0, FILE_SIZE[0] / CONTENT[3], 0.0]])
    everybody = said.grouping(arrays, frame)[0].people.transform(matrix)
    return {"everybody": everybody, "shown": shown(everybody, FILE_SIZE, said.thresholds, COCO.sigmas)}


def assert_alike(people: list[Any], found: Found) -> None:
    assert len(people) == len(found)
    if not people:
        return
    keypoints = np.array([one["keypoints"] for one in people], float)  # null is NaN
    np.testing.assert_allclose(keypoints, found.keypoints, atol=1e-4)
    for name, ours in (("keypointScores", found.keypoint_scores), ("score", found.scores), ("box", found.boxes)):
        np.testing.assert_allclose([one[name] for one in people], ours, atol=1e-4, err_msg=name)
    for name, theirs in (("presence", found.keypoint_presence), ("tags", found.tags), ("boxScore", found.box_scores)):
        assert (people[0][name] is None) == (theirs is None)
        if theirs is not None:
            np.testing.assert_allclose([one[name] for one in people], theirs, atol=1e-5, err_msg=name)
    assert (people[0]["mask"] is None) == (found.masks is None)
    if found.masks is not None:
        drawn = found.masks.draw(FILE_SIZE)
        for one, mask in zip(people, drawn, strict=True):
            own = one["mask"]
            ours = np.zeros(FILE_SIZE, bool)
            window = np.array(own["inside"], bool).reshape(own["height"], own["width"])
            ours[own["top"] : own["top"] + own["height"], own["left"] : own["left"] + own["width"]] = window
            assert (ours != mask).sum() <= 2  # pixels that lie on the rim to the last digit


@pytest.mark.parametrize("case", CASES)
def test_the_same_people_are_found(case: str, tmp_path: Path) -> None:
    grouping, made = CASES[case]
    assert grouping is not None
    tries = [made(np.random.default_rng(seed)) for seed in range(12)]
    tries = [{name: tries[0][name] * 0 for name in tries[0]}, *tries]  # nobody
    said = [contract(grouping, arrays) for arrays in tries]
    theirs = run("grouped.mjs", [in_javascript(*pair) for pair in zip(tries, said, strict=True)], tmp_path)
    ours = [in_python(*pair) for pair in zip(tries, said, strict=True)]
    assert sum(len(found["shown"]) for found in ours) > 12  # there is something to agree on
    for people, found in zip(theirs, ours, strict=True):
        for kind in ("everybody", "shown"):
            assert_alike(people[kind], found[kind])


def test_pictures_are_resized_as_opencv_does(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    sizes = [
        ((48, 60), (24, 30)),
        ((50, 61), (17, 21)),
        ((45, 90), (15, 30)),
        ((20, 31), (33, 52)),
        ((9, 40), (1, 4)),
        ((5, 5), (5, 5)),
    ]
    images = [random.integers(0, 256, (*size, 3), np.uint8) for size, _ in sizes]
    plain = [{"data": image.ravel().tolist(), "height": size[0], "width": size[1], "to": to}
             for image, (size, to) in zip(images, sizes, strict=True)]  # fmt: skip
    for image, found, (size, to) in zip(images, run("resized.mjs", plain, tmp_path), sizes, strict=True):
        smaller = to < size
        expected = cv2.resize(image, to[::-1], interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
        apart = np.abs(np.array(found).reshape(expected.shape) - expected.astype(int))
        assert apart.max() <= 1 and apart.mean() < 0.01, (size, to, apart.max(), apart.mean())


def test_pictures_are_fitted_as_python_does(tmp_path: Path) -> None:
    cases = [(size, length, side) for size in ((480, 640), (641, 333), (90, 1000), (3, 3))
             for length in (128, 257) for side in ("long", "short", "square", "native")]  # fmt: skip
    plain = [{"height": size[0], "width": size[1], "length": length, "side": side} for size, length, side in cases]
    assert run("resized.mjs", plain, tmp_path) == [list(inner_size(*case)) for case in cases]
