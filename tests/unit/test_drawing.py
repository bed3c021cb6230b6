"""Drawing leaves its input alone, whoever draws and however the image lies in memory."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import bottomup.visualize
from bottomup.decoders.tag_segmentation import TagSegmentation
from bottomup.geometry import Grid
from bottomup.masks import Masks
from bottomup.skeletons import COCO
from bottomup.types import Frame, Instances, Task
from tests.scenes import make_sample

GRID, H, W = Grid.centred(4), 96, 128
LAYOUTS: dict[str, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    "as data sets have it": np.ascontiguousarray,
    "as files are read": lambda image: np.ascontiguousarray(image.transpose(1, 2, 0)).transpose(2, 0, 1),
    "mirrored": lambda image: np.ascontiguousarray(image[..., ::-1])[..., ::-1],
}


def instances() -> Instances:
    people = make_sample(0, (H, W), people=2).people
    found = Instances.of_keypoints(torch.from_numpy(people.keypoints), torch.ones(2, 17), torch.tensor([0.9, 0.8]))
    levels = torch.full((2, H // 4, W // 4), -1.0)
    levels[0, 3:9, 3:9] = levels[1, 8:16, 12:24] = 1.0
    return Instances(
        **{f.name: getattr(found, f.name) for f in fields(found) if f.name != "masks"}, masks=Masks.of_levels(levels, GRID)
    )


def given(name: str, image: NDArray[np.uint8], folder: Path) -> list[Any]:
    """What a drawing function is called with: the image, or a picture, and all else that it draws."""
    torch.manual_seed(0)
    maps, tags = torch.rand(17, H // 4, W // 4), torch.randn(17, 1, H // 4, W // 4)
    areas, owners = np.ones((H, W), bool), make_sample(0, (H, W), people=2).instances
    offsets, picture = torch.randn(17, 2, H // 4, W // 4), image.transpose(1, 2, 0)
    outputs = {"heatmap": maps[None], "tags": tags[None], "short_offsets": offsets[None], "segmentation": maps[None, :1]}
    frame = Frame(dict.fromkeys(outputs, GRID), (H, W), torch.tensor([[0.0, 0.0, W, H]]))
    pixels = Frame(frame.grids | {"instance_tags": GRID}, frame.size, frame.content)
    found = TagSegmentation(Task(COCO)).tensors({"segmentation": maps[None, :1], "instance_tags": tags[None, :1]}, pixels)
    grouped = {name: tensor[0] for name, tensor in found.items()}
    calls: dict[str, list[Any]] = {
        "contact_sheet": [[picture]],
        "draw_grouping": [image, grouped, frame, ["person"]],
        "draw_heatmap": [image, maps, GRID, COCO],
        "draw_ignore": [image, {"crowd": areas, "padding": areas}, owners],
        "draw_instances": [image, instances(), COCO],
        "draw_instance_tags": [image, tags[:1], maps[:1], GRID, ["person"]],
        "draw_offsets": [image, offsets, maps > 0.5, GRID, COCO.keypoints],
        "draw_outputs": [image, outputs, frame, COCO],
        "draw_people": [image, make_sample(0, (H, W), people=2).people, COCO, owners],
        "draw_strongest": [image, maps, GRID],
        "draw_tags": [image, tags, maps, GRID, COCO],
        "plot_histogram": [*(grouped[name][0] for name in ("bins", "counts", "density", "identifiers")), {0: (255, 0, 0)}],
        "plot_tags": [np.random.default_rng(0).normal(size=(3, 17, 1)).astype(np.float32), COCO],
        "save_png": [folder / "a.png", picture],
        "side_by_side": [picture, picture],
    }
    return calls[name]


def arrays(value: Any) -> list[NDArray[Any]]:
    """Every array and tensor in what is given."""
    if isinstance(value, torch.Tensor):
        return [value.numpy()]
    if isinstance(value, np.ndarray):
        return [value]
    if isinstance(value, dict):
        return arrays(list(value.values()))
    if isinstance(value, (list, tuple)):
        return [array for entry in value for array in arrays(entry)]
    return arrays([getattr(value, f.name) for f in fields(value)]) if is_dataclass(value) else []


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", bottomup.visualize.__all__)
def test_what_is_drawn_on_is_a_copy(name: str, layout: str, tmp_path: Path) -> None:
    image = LAYOUTS[layout](make_sample(0, (H, W), people=2).pixels)
    call = given(name, image, tmp_path)
    before = copy.deepcopy(arrays([image, call]))
    drawn = getattr(bottomup.visualize, name)(*call)
    for array, as_it_was in zip(arrays([image, call]), before, strict=True):
        np.testing.assert_array_equal(array, as_it_was)
    assert not any(np.shares_memory(picture, image) for picture in arrays(drawn))  # nor does it change when that is drawn on


@pytest.mark.parametrize("name", sorted({*bottomup.visualize.__all__} - {"plot_tags"}))
def test_an_image_that_nobody_may_write_on_is_drawn(name: str, tmp_path: Path) -> None:
    image = make_sample(0, (H, W), people=2).pixels
    image.setflags(write=False)
    getattr(bottomup.visualize, name)(*given(name, image, tmp_path))
