"""The preset ``higherhrnet`` beside what the authors' parser makes of the same noisy maps, and what becomes of each difference.

The decoder differs by four rules, which a straight parser has both ways round:

* the authors solve the matching by munkres, and of assignments that cost the same (two people, two peaks, all within half a unit)
  another solver finds another;
* they let tags beyond the threshold, and the columns of 1e10 that make their table square, take part in the matching;
* two equal neighbours are two peaks, the second of which becomes a person of its own, who filling then makes whole;
* people are kept by their first tag, so that two whose first tags are equal become one.

By the authors' rules the straight parser finds all that they find, by ours all that the decoder finds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter
from scipy.optimize import linear_sum_assignment

from bottomup.contracts import Decoder
from bottomup.geometry import Grid
from bottomup.plan.composing import load_config
from bottomup.plan.model import ModelPlan
from bottomup.skeletons import COCO
from bottomup.types import Frame, Task

Array = NDArray[Any]
Solver = Callable[[Array], tuple[Array, Array]]

CELL = Grid.centred(1)  # one px a cell: the middle of cell j is at j + .5, as the authors write it
WAYS = {  # what of the preset a way of the reference leaves out
    "plain": ["decoder.refine=none", "decoder.fill_threshold=null"],
    "adjusted": ["decoder.fill_threshold=null"],
    "refined": [],
}
CASES = [(window, way) for window in (3, 5) for way in WAYS]
NEAR = 0.05  # cells
COUNT, DETECTION, TAG = 30, 0.1, 1.0
PADDING = 1e10  # what the authors' columns of nobody cost


@pytest.fixture(scope="module")
def reference(shared: Path) -> dict[str, Array]:
    path = shared / "reference" / "networks" / "higherhrnet_parser.npz"
    if not path.is_file():
        pytest.skip(f"no {path}")
    with np.load(path) as file:
        return dict(file)


def images(reference: dict[str, Array]) -> Iterator[tuple[int, Array, Array]]:
    """The number of each image, its heatmap (K, h, w) and tags (K, h, w, D)."""
    for n in range(len(reference["image_ids"])):
        yield n, reference[f"heatmap_{n}"].astype(np.float32), reference[f"tags_{n}"].astype(np.float32)


def preset(window: int, way: str) -> Decoder:
    """The decoder of the preset, on the maps' own grid."""
    own = ["backbone=hourglass_tiny", "decoder=higherhrnet", f"decoder.window={window}", "decoder.stride=null"]
    return ModelPlan.of(load_config("evaluate", [*own, *WAYS[way]])).compose(Task(COCO))[1]


def decoded(decoder: Decoder, heatmap: Array, tags: Array, way: str) -> Array:
    """Poses (P, K, 3): x, y in the authors' coordinates, and scores."""
    h, w = heatmap.shape[1:]
    frame = Frame({"heatmap": CELL, "tags": CELL}, (h, w), torch.tensor([[0.0, 0.0, w, h]]))
    outputs = {"heatmap": torch.from_numpy(heatmap)[None], "tags": torch.from_numpy(tags).permute(0, 3, 1, 2)[None]}
    (prediction,) = decoder(outputs, frame)
    found = prediction.instances
    points = found.keypoints.numpy() - (0.5 if way == "plain" else 0.0)  # plain ones are indices of cells
    return np.concatenate((points, found.keypoint_scores.numpy()[..., None]), axis=-1)


def alike(ours: Array, theirs: Array) -> tuple[int, int]:
    """How many of the keypoints of ``theirs`` (P, K, 3) the same person of ``ours`` has, who shares the most; and of how many."""
    there = theirs[..., 2] > 0
    near = np.abs(ours[:, None, :, :2] - theirs[None, ..., :2]).max(-1) <= NEAR
    shared = (near & there & (ours[:, None, :, 2] > 0)).sum(-1)
    return int(shared[linear_sum_assignment(-shared)].sum()), int(there.sum())


@pytest.mark.parametrize(("window", "way"), CASES)
def test_the_preset_finds_what_the_authors_find(reference: dict[str, Array], window: int, way: str) -> None:
    """Of 656, 656, 1260, 628, 628 and 952 keypoints all but 5, 5, 17, 2, 2 and 17: in the refined ways one whole person, who
    exists since two neighbours are equal in float16."""
    decoder = preset(window, way)
    counts = [alike(decoded(decoder, *maps, way), reference[f"poses_{n}_window{window}_{way}"]) for n, *maps in images(reference)]
    found, of = np.sum(counts, axis=0)
    assert found / of >= 0.98


def test_scores_are_the_authors(reference: dict[str, Array]) -> None:
    """Before filling, a missing keypoint counting 0: where everybody is the same, so are the scores."""
    decoder = preset(5, "refined")
    same = 0
    for n, heatmap, tags in images(reference):
        ours, theirs = decoded(decoder, heatmap, tags, "refined"), reference[f"poses_{n}_window5_refined"]
        if len(ours) == len(theirs):
            h, w = heatmap.shape[1:]
            frame = Frame({"heatmap": CELL, "tags": CELL}, (h, w), torch.tensor([[0.0, 0.0, w, h]]))
            outputs = {"heatmap": torch.from_numpy(heatmap)[None], "tags": torch.from_numpy(tags).permute(0, 3, 1, 2)[None]}
            scores = decoder(outputs, frame)[0].instances.scores.numpy()
            np.testing.assert_allclose(scores, np.sort(reference[f"scores_{n}_window5_refined"])[::-1], atol=1e-3)
            same += 1
    assert same >= 5


# ---- a straight parser, one person and one keypoint at a time ----------------------------------------------------------------


@dataclass(frozen=True)
class Rules:
    """What the authors and the decoder do differently."""

    solve: Solver
    far: bool  # whether tags beyond the threshold, and nobody, take part in the matching
    plateaus: bool  # whether equal neighbours are a peak each
    keys: bool  # whether people are known by their first tag


OURS = Rules(linear_sum_assignment, far=False, plateaus=False, keys=False)


def munkres() -> Solver:
    """The authors' solver, where it is installed."""
    solver = pytest.importorskip("munkres", reason="the authors' solver is not installed; pip install munkres").Munkres()

    def solve(cost: Array) -> tuple[Array, Array]:
        rows, columns = np.array(solver.compute(cost.tolist())).T
        return rows, columns

    return solve


class Person:
    """Who is put together: a pose (K, 3) in cells, and the tags of what was found."""

    def __init__(self, key: float) -> None:
        self.key, self.pose, self.tags = key, np.zeros((len(COCO), 3)), list[Array]()

    def add(self, k: int, cell: Array, score: float, tag: Array) -> None:
        self.pose[k] = (*cell, score)
        self.tags.append(tag)


def straight(heatmap: Array, tags: Array, window: int, way: str, rules: Rules) -> Array:
    """Poses (P, K, 3) in the authors' coordinates."""
    people: list[Person] = []
    for k in COCO.grouping:
        cells, scores = peaks(heatmap[k], window, rules.plateaus)
        own = tags[k, cells[:, 1], cells[:, 0]]
        before = list(people)
        pairs = matched(own, scores, [np.mean(person.tags, axis=0) for person in before], rules)
        for row in range(len(cells)):
            if row in pairs:
                before[pairs[row]].add(k, cells[row], scores[row], own[row])
                continue
            twin = next((person for person in people if rules.keys and person.key == own[row][0]), None)
            if twin is None:
                people.append(twin := Person(own[row][0]))
            twin.tags.clear()
            twin.add(k, cells[row], scores[row], own[row])
    return np.array([placed(person.pose, heatmap, tags, way) for person in people])


def peaks(heat: Array, window: int, plateaus: bool) -> tuple[Array, Array]:
    """The cells (M, 2) of the highest peaks of a map, best first, and their scores (M,)."""
    highest = maximum_filter(heat, window, mode="constant", cval=-np.inf) == heat
    scores, index = torch.from_numpy(np.where(highest, heat, 0.0)).flatten().topk(COUNT)  # in its order of those that tie
    cells = np.stack((index % heat.shape[1], index // heat.shape[1]), axis=1)
    found = scores.numpy() > DETECTION
    if not plateaus:
        reach = window // 2
        for row, (x, y) in enumerate(cells):
            beside = np.abs(cells - (x, y)).max(1) <= reach
            earlier = (cells[:, 1] < y) | ((cells[:, 1] == y) & (cells[:, 0] < x))
            found[row] &= not (beside & earlier & (scores.numpy() == scores[row].item())).any()
    return cells[found], scores.numpy()[found]


def matched(tags: Array, scores: Array, means: list[Array], rules: Rules) -> dict[int, int]:
    """Which of the peaks are whose."""
    if not len(tags) or not means:
        return {}
    apart = np.linalg.norm(tags[:, None] - np.array(means)[None], axis=2)
    cost, near = np.round(apart) * 100 - scores[:, None], apart < TAG
    if rules.far:
        cost = np.pad(cost, ((0, 0), (0, max(0, len(tags) - len(means)))), constant_values=PADDING)
    elif near.any():
        cost = np.where(near, cost, cost[near].max() + 1)
    rows, columns = rules.solve(cost)
    return {int(row): int(column) for row, column in zip(rows, columns, strict=True) if column < len(means) and near[row, column]}


def placed(pose: Array, heatmap: Array, tags: Array, way: str) -> Array:
    """A pose with keypoints between the cells, and what it lacks from the whole map, as far as the ``way`` says."""
    if way == "plain":
        return pose
    found = [(k, int(x), int(y)) for k, (x, y, score) in enumerate(pose) if score > 0]
    whole = pose.copy()
    for k, x, y in found:
        whole[k, :2] = quarter(heatmap[k], x, y)
    mean = np.mean([tags[k, y, x] for k, x, y in found], axis=0)
    for k in np.flatnonzero(pose[:, 2] == 0) if way == "refined" else ():
        fit = heatmap[k] - np.round(np.linalg.norm(tags[k] - mean, axis=2))
        y, x = np.unravel_index(fit.argmax(), fit.shape)
        whole[k] = (*quarter(heatmap[k], int(x), int(y)), heatmap[k, y, x]) if heatmap[k, y, x] > 0 else 0
    return whole


def quarter(heat: Array, x: int, y: int) -> tuple[float, float]:
    """A quarter cell towards the higher neighbour; beyond the border there is the cell itself."""
    padded = np.pad(heat, 1, mode="edge")
    row, column = padded[y + 1], padded[:, x + 1]
    across, down = (np.sign(line[at + 2] - line[at]) for line, at in ((row, x), (column, y)))
    return x + 0.5 + 0.25 * float(across), y + 0.5 + 0.25 * float(down)


@pytest.mark.parametrize(("window", "way"), CASES)
def test_by_the_authors_rules_a_straight_parser_finds_all_that_they_find(
    reference: dict[str, Array], window: int, way: str
) -> None:
    authors = Rules(munkres(), far=True, plateaus=True, keys=True)
    for n, *maps in images(reference):
        theirs = reference[f"poses_{n}_window{window}_{way}"]
        ours = straight(*maps, window, way, authors)
        assert len(ours) == len(theirs) and alike(ours, theirs)[0] == alike(ours, theirs)[1]


@pytest.mark.parametrize(("window", "way"), CASES)
def test_by_our_rules_it_finds_all_that_the_decoder_finds(reference: dict[str, Array], window: int, way: str) -> None:
    decoder = preset(window, way)
    for n, *maps in images(reference):
        plain, ours = straight(*maps, window, way, OURS), decoded(decoder, *maps, way)
        assert len(ours) == len(plain) and alike(ours, plain)[0] == alike(ours, plain)[1], n
