"""The benchmark of PersonLab's decoder on flawless fields."""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.ideal import measure, read_at_cells
from bottomup.geometry import Grid
from bottomup.types import People, Sample


def test_a_mask_is_read_at_the_cells_centres() -> None:
    to_input = np.array([[0.5, 0.0, 2.0], [0.0, 0.5, 0.0]])  # an image of half the size, 2 px further right
    sample = Sample(np.zeros((3, 8, 16), np.uint8), People.empty(17), {}, None, 1, (16, 24), to_input)
    mask = np.zeros((16, 24), bool)
    mask[:8, 12:] = True  # from x = 8 in input px on, above y = 4
    level = read_at_cells(mask, sample, Grid.centred(4))  # centres at 2, 6, 10, 14 and 2, 6; the image ends at x = 14
    assert torch.equal(level, torch.tensor([[-1.0, -1.0, 1.0, -1.0], [-1.0, -1.0, -1.0, -1.0]], dtype=level.dtype))


def test_ideal_fields_find_everybody_and_nearly_all_of_their_masks() -> None:
    drawn = ["backbone=mobilenet_v1", "backbone.output_stride=8", "data=synthetic_standard", "workers=0"]
    ideal, uncarried, masks = measure([*drawn, "experiment=synthetic_standard/personlab", "input_size=385", "limit=3"])
    assert ideal["AP"] >= max(0.95, uncarried["AP"])  # some keypoints lie outside the picture
    assert masks["AP"] is None and ideal["mask_AP"] > 0.95 * masks["mask_AP"] > 0.5
