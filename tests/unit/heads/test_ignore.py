"""Which ignore maps a loss leaves out is each head's option."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import pytest
import torch

from bottomup.errors import ConfigError
from bottomup.geometry import Grid
from bottomup.heads.heatmap import Heatmap
from bottomup.heads.segmentation import Segmentation
from bottomup.skeletons import COCO
from bottomup.stages import Level, Source
from bottomup.types import IGNORE_MAPS, Batch, Task
from tests.scenes import make_batch

HEADS: dict[str, Callable[..., Heatmap | Segmentation]] = {"heatmap": Heatmap, "segmentation": Segmentation}
DEFAULTS = {"heatmap": {"crowd", "unannotated", "padding"}, "segmentation": {"crowd", "unmasked", "padding"}}
heads = pytest.mark.parametrize("name", HEADS)


def make_head(name: str, **options: Any) -> Heatmap | Segmentation:
    return HEADS[name](Source({"stack": Level(8, Grid.centred(4))}), Task(COCO), **options)


def quarters() -> Batch:
    """A batch with each ignore map on a quarter of the image of its own."""
    batch = make_batch([1], (64, 64))
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


@heads
@pytest.mark.parametrize(
    ("ignore", "said"),
    [
        (["crowds"], "no ignore option named 'crowds'; did you mean 'crowd'"),
        (["crowd", None], "no ignore option named 'None'"),
        ("crowd", "ignore should be a list"),
        (None, "ignore should be a list"),
    ],
)
def test_what_names_no_map_is_refused(name: str, ignore: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=f"head {name}: {said}"):
        make_head(name, ignore=ignore)
