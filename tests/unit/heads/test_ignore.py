"""Which ignore maps a loss leaves out is each head's option."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import torch

from bottomup.contracts import Level, Source
from bottomup.data.coco import Coco
from bottomup.errors import ConfigError
from bottomup.geometry import Grid, at_cells
from bottomup.heads.heatmap import Heatmap
from bottomup.heads.segmentation import Segmentation
from bottomup.ops.sampling import gather_maps
from bottomup.samples.letterbox import letterbox
from bottomup.samples.loader import collate
from bottomup.skeletons import COCO
from bottomup.types import IGNORE_MAPS, Batch, Task
from tests.scenes import make_batch

HEADS: dict[str, Callable[..., Heatmap | Segmentation]] = {"heatmap": Heatmap, "segmentation": Segmentation}
DEFAULTS = {"heatmap": {"crowd", "unannotated", "padding"}, "segmentation": {"crowd", "unmasked", "padding"}}
heads = pytest.mark.parametrize("name", HEADS)


def make_head(name: str, **options: Any) -> Heatmap | Segmentation:
    return HEADS[name](Source({"stack": Level(8, Grid.centred(4))}), Task(COCO), **options)


def quarters() -> Batch:
    """A batch with each ignore map on a quarter of the image of its own, and nobody's keypoints."""
    batch = make_batch([1], (64, 64))
    batch.visibility[:] = 0
    for place, name in enumerate(IGNORE_MAPS):
        batch.ignore[name] = torch.zeros(1, 64, 64, dtype=torch.bool)
        batch.ignore[name][:, 32 * (place // 2) :, 32 * (place % 2) :][:, :32, :32] = True
    return batch


@heads
def test_the_defaults_are_what_the_head_cannot_be_taught(name: str) -> None:
    assert make_head(name).ignores == DEFAULTS[name]


@heads
@pytest.mark.parametrize("ignore", [chosen for count in range(5) for chosen in combinations(IGNORE_MAPS, count)], ids="+".join)
def test_each_map_is_switched_by_itself(name: str, ignore: tuple[str, ...]) -> None:
    head, batch = make_head(name, ignore=list(ignore)), quarters()
    assert head.ignores == {*ignore}
    targets = head.encode(batch, {})
    ((key, ideal),) = head.ideal(batch).items()
    for place, other in enumerate(IGNORE_MAPS):
        wrong = ideal.detach().clone()
        wrong[..., 8 * (place // 2) :, 8 * (place % 2) :][..., :8, :8] = 30.0
        perfect, faulty = (next(iter(head.loss({key: maps}, targets).values())) for maps in (ideal, wrong))
        assert (faulty == perfect).all() == (other in ignore)


@pytest.mark.parametrize("criterion", ["mse", "logistic"])
def test_labelled_keypoints_are_taught_among_people_without_keypoints_but_not_in_crowds(criterion: str) -> None:
    """Each on its own map: the others' are left out there, as the people without may have those."""
    head, batch = make_head("heatmap", criterion=criterion), make_batch([1], (64, 64))
    batch.visibility[0, 0, 1:] = 0
    for name in ("unannotated", "crowd"):
        batch.ignore[name] = torch.zeros(1, 64, 64, dtype=torch.bool)
    batch.ignore["unannotated"][:] = True
    taught = head.encode(batch, {})["counted"][0]
    near = head.grids[head.key].to_input(taught[0].nonzero()[:, [1, 0]]) - batch.keypoints[0, 0, 0]
    assert not taught[1:].any() and taught[0].any() and near.norm(dim=1).max() <= 4 * head.sigma
    batch.ignore["crowd"][:] = True
    assert not head.encode(batch, {})["counted"].any()


def test_no_labelled_keypoint_of_real_people_is_left_out(shared: Path) -> None:
    """Boxes of people without keypoints or mask lie over those of others: over one in seven labelled keypoints."""
    dataset = Coco(root=str(shared / "data" / "coco_person"), split="train", only_people="keypoints")
    head, grid = make_head("heatmap", ignore=["unannotated"]), Grid.centred(4)
    left_out = []
    for index in range(0, len(dataset), 50):
        sample = dataset.sample(index, frozenset({"unannotated"}))
        batch = collate([letterbox(sample, 256, lambda side: -(-side // 4) * 4, (0, 0, 0))])
        cells = grid.nearest(batch.keypoints.clamp(min=0.0)).transpose(1, 2)  # (1, K, N, 2)
        counted = gather_maps(head.encode(batch, {})["counted"], cells).transpose(1, 2)[batch.labelled]
        ignored = at_cells(batch.ignore["unannotated"], grid)[:, None].expand(-1, len(COCO), -1, -1)
        left_out.append(gather_maps(ignored, cells).transpose(1, 2)[batch.labelled])
        assert counted.all()
    assert torch.cat(left_out).float().mean() > 0.05  # were it not for that


@heads
@pytest.mark.parametrize(
    ("ignore", "said"),
    [
        (["crowds"], "ignore: no choice named 'crowds'; did you mean 'crowd'"),
        (["crowd", None], "ignore should be a list"),
        ("crowd", "ignore should be a list"),
        (None, "ignore should be a list"),
    ],
)
def test_what_names_no_map_is_refused(name: str, ignore: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=f"head {name}: {said}"):
        make_head(name, ignore=ignore)
