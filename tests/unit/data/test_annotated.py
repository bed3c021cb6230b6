"""What a data set does not annotate at all is taught nowhere: from the set through augmentation and batch to the heatmap's loss."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from bottomup.contracts import Level, Source
from bottomup.data.concat import Concat
from bottomup.dataset import Dataset
from bottomup.geometry import Grid
from bottomup.heads.heatmap import Heatmap
from bottomup.samples.augment import Augment
from bottomup.samples.kept import Kept
from bottomup.samples.labels import Labels, Persons
from bottomup.samples.letterbox import letterbox
from bottomup.samples.loader import TrainingSet, collate
from bottomup.samples.subset import Subset
from bottomup.skeletons import COCO, CROWDPOSE, Skeleton
from bottomup.types import Batch, Task
from tests.scenes import Scenes, make_batch

pytestmark = pytest.mark.filterwarnings("ignore:.*__array__ implementation:DeprecationWarning")

SIDE = 64
MAPS = frozenset({"crowd", "unannotated"})
LACKING = [k for k, name in enumerate(CROWDPOSE.keypoints) if name not in COCO.keypoints]  # head and neck
ONE_SIDED = {name: name for name in CROWDPOSE.keypoints if name in COCO.keypoints and name != "left_wrist"}


def write(folder: Path, skeleton: Skeleton) -> dict[str, Any]:
    """A set of one image, of one person with all keypoints."""
    folder.mkdir()
    keypoints = [value for k in range(len(skeleton)) for value in (5 + 3 * k, 8 + 2 * k, 2)]
    person = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [4, 4, 56, 56], "area": 3136.0, "keypoints": keypoints}
    data = {
        "images": [{"id": 1, "file_name": "a.png", "height": SIDE, "width": SIDE}],
        "annotations": [person],
        "categories": [{"id": 1, "name": "person", "keypoints": list(skeleton.keypoints)}],
    }
    (folder / "people.json").write_text(json.dumps(data))
    cv2.imwrite(str(folder / "a.png"), np.zeros((SIDE, SIDE, 3), np.uint8))
    return {"name": "coco", "annotations": str(folder / "people.json"), "images": str(folder)}


@pytest.fixture
def both(tmp_path: Path) -> Concat:
    """CrowdPose and COCO, which has no head and neck."""
    return Concat(sets=[write(tmp_path / "a", CROWDPOSE), write(tmp_path / "b", COCO)])


@pytest.fixture
def one_sided(tmp_path: Path) -> Concat:
    """CrowdPose, and COCO without its left wrists."""
    return Concat(sets=[write(tmp_path / "c", CROWDPOSE), write(tmp_path / "d", COCO) | {"keypoints": ONE_SIDED}])


def lacking(annotated: Any) -> list[int]:
    return np.flatnonzero(~np.asarray(annotated)).tolist()


VIEWS: dict[str, Callable[[Dataset], Dataset]] = {
    "itself": lambda dataset: dataset,
    "Subset": lambda dataset: Subset(dataset, [0, 1]),
    "Kept": Kept,
    "Labels": Labels,
    "Persons": lambda dataset: Persons(dataset, 1, 4),
    "Persons of a part": lambda dataset: Persons(Subset(Kept(dataset), [0, 1]), 1, 4),
}


@pytest.mark.parametrize("view", VIEWS)
def test_a_set_says_what_it_annotates_through_every_view_of_it(both: Concat, view: str) -> None:
    dataset = VIEWS[view](both)
    for index, expected in ((0, []), (1, LACKING)):
        assert lacking(dataset.annotated(index)) == lacking(dataset.sample(index, MAPS).annotated) == expected


def test_sets_within_sets_lack_what_they_lack(both: Concat, tmp_path: Path) -> None:
    entries = [write(tmp_path / "e", CROWDPOSE), write(tmp_path / "f", COCO)]
    nested = Concat(sets=[{"name": "concat", "sets": entries}, {"name": "concat", "sets": entries, "keypoints": {"neck": "neck"}}])
    assert [lacking(nested.annotated(index)) for index in range(3)] == [[], LACKING, [k for k in range(14) if k != 13]]
    assert not nested.annotated(3).any()


def test_a_single_set_annotates_all_of_its_keypoints() -> None:
    dataset = Scenes(2)
    assert dataset.annotated(0).all() and dataset.sample(0, MAPS).annotated is None
    batch = collate([dataset.sample(index, MAPS) for index in range(2)])
    assert batch.annotated is not None and batch.annotated.shape == (2, 17) and batch.annotated.all()


@pytest.mark.parametrize("view", ["itself", "Labels"])
@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_augmentation_moves_it_with_the_keypoints(one_sided: Concat, view: str, flip: float) -> None:
    augment = Augment((SIDE, SIDE), (0, 0, 0), CROWDPOSE.flip_order, flip=flip, rotate=10.0)
    samples = TrainingSet(VIEWS[view](one_sided), augment, MAPS, seed=0)
    wrist = CROWDPOSE.index("right_wrist" if flip else "left_wrist")
    assert lacking(samples[(0, 0)].annotated) == []
    assert lacking(samples[(0, 1)].annotated) == sorted([wrist, *LACKING])
    batch = collate([samples[(0, 0)], samples[(0, 1)]])
    assert batch.annotated is not None
    assert not (batch.labelled & ~batch.annotated[:, None]).any()  # a keypoint that is labelled is annotated
    twice = samples[(0, 1)].move_people(np.array([[-1.0, 0.0, SIDE], [0.0, 1.0, 0.0]]), CROWDPOSE.flip_order)
    back = twice.move_people(np.array([[-1.0, 0.0, SIDE], [0.0, 1.0, 0.0]]), CROWDPOSE.flip_order)
    assert lacking(twice.annotated) != lacking(back.annotated) == lacking(samples[(0, 1)].annotated)


def test_it_survives_letterbox_crowded_images_and_moves(both: Concat) -> None:
    fitted = letterbox(both.sample(1, MAPS), 96, lambda side: side, (0, 0, 0))
    batch = collate([letterbox(both.sample(0, MAPS), 96, lambda side: side, (0, 0, 0)), fitted], max_people=1)
    moved = batch.to("meta")
    assert batch.annotated is not None and lacking(batch.annotated[1]) == LACKING
    assert moved.annotated is not None and moved.annotated.is_meta


# ---- the heatmap's loss ----------------------------------------------------------------------------------------------------

CRITERIA = pytest.mark.parametrize("criterion", ["mse", "logistic"])


def make_head(criterion: str, skeleton: Skeleton = CROWDPOSE) -> Heatmap:
    return Heatmap(Source({"stack": Level(8, Grid.centred(4))}), Task(skeleton), criterion=criterion)  # type: ignore[arg-type]


def gradient(head: Heatmap, batch: Batch) -> tuple[Tensor, Tensor]:
    """The loss (B,) of a constant map and its gradient (B, K, h, w)."""
    h, w = head.grids[head.key].shape(batch.size)
    maps = torch.full((len(batch), head.task.keypoints, h, w), 0.3, requires_grad=True)
    ((_, loss),) = head.loss({head.key: maps}, head.encode(batch, {})).items()
    loss.sum().backward()
    assert maps.grad is not None
    return loss.detach(), maps.grad


@CRITERIA
def test_a_map_is_taught_where_its_keypoint_is_annotated_and_nowhere_else(both: Concat, criterion: str) -> None:
    _, taught = gradient(make_head(criterion), collate([both.sample(index, MAPS) for index in range(2)]))
    taught = taught.abs().amax((2, 3)) > 0  # (B, K)
    assert taught[0].all()
    assert lacking(taught[1]) == LACKING


@CRITERIA
def test_without_any_annotated_keypoint_the_loss_is_a_connected_zero(criterion: str) -> None:
    batch = make_batch([2])
    batch = Batch(**{**batch.__dict__, "annotated": torch.zeros(1, 17, dtype=torch.bool)})
    loss, taught = gradient(make_head(criterion, COCO), batch)
    assert loss.item() == 0 and not taught.any()


@CRITERIA
def test_where_all_are_annotated_nothing_changes(criterion: str) -> None:
    batch, head = make_batch([2, 1]), make_head(criterion, COCO)
    unsaid = Batch(**{**batch.__dict__, "annotated": None})
    for one, other in zip(gradient(head, batch), gradient(head, unsaid), strict=True):
        assert torch.equal(one, other)


def test_logistic_loss_is_the_mean_over_what_counts() -> None:
    """A set with fewer keypoints teaches those as strongly: the mean of each map alone, averaged."""
    batch, head = make_batch([2]), make_head("logistic", COCO)
    kinds = torch.eye(17, dtype=torch.bool)
    each = [gradient(head, Batch(**{**batch.__dict__, "annotated": kinds[k : k + 1]}))[0] for k in range(17)]
    torch.testing.assert_close(torch.stack(each).mean(0), gradient(head, batch)[0])
