"""A picture that is cut teaches what the whole one does there, and nothing on padding."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from bottomup.contracts import HEADS, Head, Level, Source
from bottomup.geometry import Grid
from bottomup.heads.heatmap import Heatmap
from bottomup.heads.mid_offsets import MidOffsets
from bottomup.heads.short_offsets import ShortOffsets
from bottomup.samples.augment import Augment
from bottomup.samples.loader import collate
from bottomup.skeletons import COCO
from bottomup.types import OUTSIDE, Batch, Sample, Task
from tests.scenes import make_sample

GRID = Grid.centred(4)
WHOLE, CUT = 256, 128  # px of the canvases, about the same middle
WINDOW = np.s_[(WHOLE - CUT) // 8 : (WHOLE + CUT) // 8]  # the cells of the larger that the smaller has


def make_batch(canvas: int, seed: int) -> Batch:
    """A sample of 128 x 160 px at twice its size, of which the canvas shows the middle."""
    still: dict[str, Any] = {"rotate": 0.0, "scale": (1.0, 1.0), "translate": 0.0, "flip": 0.0}
    augment = Augment((canvas, canvas), (0, 0, 0), COCO.flip_order, 320, **still)
    return collate([augment(crowd(seed), seed)])


def crowd(seed: int) -> Sample:
    """Small people all over the image, whose boxes are those around their keypoints."""
    sample = make_sample(seed, (128, 160), people=12)
    rng = np.random.default_rng(seed)
    keypoints = rng.uniform((10, 10), (150, 118), (12, 1, 2)) + rng.uniform(-9, 9, (12, 17, 2))
    boxes = np.concatenate((keypoints.min(1), keypoints.max(1)), axis=1)
    people = replace(sample.people, keypoints=keypoints.astype(np.float32), boxes=boxes.astype(np.float32))
    return replace(sample, people=people)


def make_head(name: str, **options: object) -> Head:
    torch.manual_seed(0)
    return HEADS[name](Source({"C2": Level(4, GRID)}), Task(COCO), **options)  # type: ignore[call-arg]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("head", "counted"),
    [
        (make_head("heatmap", shape="disk", radius=10.0), None),
        (make_head("heatmap", shape="gaussian", sigma=3.0), None),
        (make_head("short_offsets", radius=10.0), "inside"),
        (make_head("mid_offsets", radius=10.0, refine=0), "counted"),
    ],
    ids=["disk", "gaussian", "short", "mid"],
)
def test_a_crop_teaches_what_the_whole_does_there(head: Head, counted: str | None, seed: int) -> None:
    whole, cut = (head.encode(make_batch(canvas, seed), {}) for canvas in (WHOLE, CUT))
    if counted is None:
        torch.testing.assert_close(cut["heatmap"], whole["heatmap"][..., WINDOW, WINDOW])
        return
    there, expected = cut[counted], whole[counted][..., WINDOW, WINDOW]
    far = "mid" in type(head).__name__.lower()  # of an edge whose end lies far out of the picture nothing is taught
    assert not (there & ~expected).any() and (far or torch.equal(there, expected))
    both = there[:, :, None].expand_as(cut["target"])
    torch.testing.assert_close(cut["target"][both], whole["target"][..., WINDOW, WINDOW][both])


def test_the_scene_has_keypoints_just_out_of_the_picture() -> None:
    """Of people in it and of people beside it; none of them is a label."""
    batch = make_batch(CUT, 0)
    outside = batch.visibility == OUTSIDE
    assert (outside & batch.present[..., None]).any() and (outside & ~batch.present[..., None]).any()
    assert not (batch.labelled & outside).any() and batch.labelled.any()
    head = make_head("heatmap", shape="disk", radius=10.0)
    alone = replace(batch, visibility=torch.where(outside, 0, batch.visibility))
    assert (head.encode(batch, {})["heatmap"] > head.encode(alone, {})["heatmap"]).any()


@pytest.mark.parametrize(
    "head", [make_head("heatmap", shape="disk", radius=10.0, ignore=()), make_head("short_offsets", radius=10.0)]
)
def test_what_lies_on_padding_teaches_nothing_there(head: Heatmap | ShortOffsets | MidOffsets) -> None:
    """A keypoint out of the picture by 6 px: its disk is taught on the picture, not on the padding about it."""
    sample = make_sample(0, (64, 64), people=1)
    keypoints = np.full((1, 17, 2), 70.0, np.float32) * (1.0, 0.5)
    people = replace(sample.people, keypoints=keypoints.astype(np.float32), visibility=np.full((1, 17), 2, np.uint8))
    still: dict[str, Any] = {"rotate": 0.0, "scale": (1.0, 1.0), "translate": 0.0, "flip": 0.0}
    augment = Augment((128, 128), (0, 0, 0), COCO.flip_order, 64, **still)
    batch = collate([augment(replace(sample, people=people), 0)])
    targets = head.encode(batch, {})
    disk = targets["heatmap"] > 0 if "heatmap" in targets else targets["inside"]
    x = GRID.centres(32, batch.keypoints)
    assert disk.any() and not disk[..., x > 96].any()
