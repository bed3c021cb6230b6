"""What the host does on arrays is what the graph, or PyTorch, does on tensors."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import bottomup
from bottomup.geometry import Grid, resize
from bottomup.grouping.mask_crops import MaskCrops
from bottomup.grouping.peak_places import Refinement, refined
from bottomup.grouping.reading import read_between, to_image_size, to_pixels
from bottomup.ops.peaks import REFINEMENTS, refine_peaks
from bottomup.types import Instances

ROOT = Path(bottomup.__file__).parents[1]
RNG = np.random.default_rng(0)


@pytest.mark.parametrize("mode", REFINEMENTS)
def test_peaks_lie_where_those_of_the_graph_lie(mode: Refinement) -> None:
    heatmap = RNG.random((3, 7, 9), np.float32)
    kinds, cells = RNG.integers(3, size=50), np.stack((RNG.integers(9, size=50), RNG.integers(7, size=50)), axis=-1)
    cells[:4] = ((0, 0), (8, 6), (0, 6), (8, 0))
    of_each = torch.from_numpy(cells).float().expand(1, 3, -1, -1)
    expected = refine_peaks(torch.from_numpy(heatmap)[None], of_each, mode)[0].numpy()[kinds, np.arange(50)]
    np.testing.assert_allclose(refined(heatmap, kinds, cells, mode), expected, atol=1e-5)


@pytest.mark.parametrize("grid", [Grid.centred(4), Grid.cornered(4)], ids=str)
@pytest.mark.parametrize("shape", [(6, 9), (1, 3), (1, 1)], ids=str)
def test_pixels_are_those_of_a_resized_map(grid: Grid, shape: tuple[int, int]) -> None:
    maps, size = RNG.random(shape, np.float32), (grid.side(shape[0]), grid.side(shape[1]))
    expected = resize(torch.from_numpy(maps)[None, None], grid, Grid.centred(1), size)[0, 0]
    np.testing.assert_allclose(to_pixels(maps, grid, size), expected.numpy(), atol=1e-6)


@pytest.mark.parametrize("size", [(40, 30), (7, 5), (20, 30)], ids=str)
def test_the_content_comes_to_the_size_of_its_image(size: tuple[int, int]) -> None:
    pixels = RNG.random((24, 32), np.float32)
    expected = F.interpolate(torch.from_numpy(pixels)[None, None, 2:20, :30], size, mode="bilinear", align_corners=False)[0, 0]
    found = to_image_size(pixels, np.array((0.0, 2.0, 30.0, 20.0), np.float32), size)
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-6)


def test_beyond_the_border_it_goes_on() -> None:
    maps = RNG.random((3, 4), np.float32)
    np.testing.assert_array_equal(read_between(maps, np.array([-9.0, 99.0]), np.array([-9.0, 99.0])), maps[[0, -1]][:, [0, -1]])


def test_a_turned_mask_has_the_same_area() -> None:
    levels = np.full((1, 12, 16), -1.0, np.float32)
    levels[0, 3:9, 4:12] = 1.0
    masks = MaskCrops.of_levels(levels, Grid.centred(8))
    turned = masks.transform(np.array([[0.8, -0.6, 60.0], [0.6, 0.8, 10.0]]))
    assert turned.draw((200, 220)).sum() == pytest.approx(masks.draw((200, 220)).sum(), rel=0.02)


def test_people_stay_who_they_are_as_arrays_and_back() -> None:
    instances = Instances.of_keypoints(torch.rand(3, 5, 2), torch.rand(3, 5), torch.rand(3))
    there: Any = Instances.of(instances.found()).__dict__
    assert all(value is there[name] or torch.equal(value, there[name]) for name, value in instances.__dict__.items())


@pytest.mark.parametrize("module", ["bottomup.runtime", "bottomup.grouping.kinds"])
def test_nothing_imports_pytorch(module: str) -> None:
    heavy = {"torch", "torchvision", "timm", "PIL", "pycocotools", "hydra", "matplotlib", "albumentations"}
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import {module}; print({heavy!r} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
