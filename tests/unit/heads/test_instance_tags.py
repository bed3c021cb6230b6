"""The tags of pixels: which are drawn, and what their loss is."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from bottomup.contracts import Level, Source
from bottomup.geometry import Grid
from bottomup.heads.instance_tags import InstanceTags, draw_cells
from bottomup.heads.segmentation import Segmentation
from bottomup.samples.loader import collate
from bottomup.types import Batch, People, Sample, Task

GRID = Grid.centred(4)
TASK = Task(None, ("ball", "crate"))


def make_head(**options: object) -> InstanceTags:
    torch.manual_seed(0)
    return InstanceTags(Source({"stack": Level(4, GRID)}), TASK, **options)  # type: ignore[arg-type]


def make_objects(boxes: list[tuple[int, int, int, int]], labels: list[int], size: tuple[int, int] = (64, 64)) -> Batch:
    """Rectangles xyxy; where two overlap, both are."""
    instances = np.zeros(size, np.int16)
    for number, (x1, y1, x2, y2) in enumerate(boxes, start=1):
        window = instances[y1:y2, x1:x2]
        window[:] = np.where(window == 0, number, -1)
    count = len(boxes)
    areas = np.array([(x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in boxes], np.float32)
    people = People(
        np.zeros((count, 0, 2), np.float32), np.zeros((count, 0), np.uint8), np.array(boxes, np.float32).reshape(-1, 4), areas,
        np.array(labels, np.int64), np.ones(count, bool),
    )  # fmt: skip
    return collate([Sample(np.zeros((3, *size), np.uint8), people, {}, instances, 0, size, np.eye(2, 3))])


THREE = make_objects([(0, 0, 16, 16), (20, 0, 60, 12), (0, 24, 32, 60)], [0, 0, 1])


def drawn_tags(head: InstanceTags, maps: Tensor, targets: dict[str, Tensor]) -> list[tuple[int, list[Tensor]]]:
    """Of each object its label and the tags that were drawn, read one by one."""
    w = maps.shape[-1]
    found = []
    for n, label in enumerate(targets["labels"][0].tolist()):
        cells = targets["cells"][0, n][targets["drawn"][0, n]].tolist()
        found.append((label, [maps[0, label, :, cell // w, cell % w] for cell in cells]))
    return found


@pytest.mark.parametrize("dim", [1, 3])
def test_the_sum_is_the_papers_formula(dim: int) -> None:
    """Written as it is printed: all ordered pairs, an object's pixels with themselves and one another in both sums."""
    head = make_head(dim=dim, pixels=6, reduction="sum")
    maps, targets = torch.randn(1, 2, dim, 16, 16), head.encode(THREE, {})
    objects = drawn_tags(head, maps, targets)
    assert [len(tags) for _, tags in objects] == [6, 6, 6]
    pull = sum(float((a - b).square().sum()) for _, tags in objects for a, b in itertools.product(tags, tags))
    push = sum(
        float(torch.exp(-(a - b).square().sum()))
        for (one, first), (other, second) in itertools.product(objects, objects)
        for a, b in itertools.product(first, second)
        if one == other  # each category has a map of its own
    )
    losses = head.loss({"instance_tags": maps}, targets)
    assert losses["pull"].item() == pytest.approx(pull, rel=1e-4) and losses["push"].item() == pytest.approx(push, rel=1e-4)


def test_the_mean_is_that_of_pairs_and_does_not_grow_with_what_is_drawn() -> None:
    head = make_head(pixels=5)
    maps, targets = torch.randn(1, 2, 1, 16, 16), head.encode(THREE, {})
    objects = drawn_tags(head, maps, targets)
    pulls = [np.mean([float((a - b).square()) for a, b in itertools.product(tags, tags)]) for _, tags in objects]
    pairs = itertools.product(objects[0][1], objects[1][1])  # the two of one category
    losses = head.loss({"instance_tags": maps}, targets)
    assert losses["pull"].item() == pytest.approx(np.mean(pulls), rel=1e-4)
    assert losses["push"].item() == pytest.approx(np.mean([float(torch.exp(-(a - b).square())) for a, b in pairs]), rel=1e-4)
    apart = torch.tensor([0.0, 1.0]).repeat(8)[:, None].expand(16, 16)[None, None, None].expand(1, 2, 1, 16, 16)
    few, many = (
        torch.stack([torch.stack([*one.loss({"instance_tags": apart}, one.encode(THREE, {})).values()]) for _ in range(200)]).mean(
            0
        )
        for one in (make_head(pixels=4), make_head(pixels=12))
    )
    torch.testing.assert_close(few[1], many[1], atol=0.05, rtol=0.0)  # the means of many draws
    sums = [make_head(pixels=pixels, reduction="sum") for pixels in (4, 12)]
    assert (
        sums[1].loss({"instance_tags": apart}, sums[1].encode(THREE, {}))["push"]
        > 5 * sums[0].loss({"instance_tags": apart}, sums[0].encode(THREE, {}))["push"]
    )


def test_cells_are_drawn_once_of_their_own_object_and_differently_each_time() -> None:
    owner = torch.zeros(2, 100, dtype=torch.int64)
    owner[0, 10:40], owner[0, 50:53], owner[1, :60] = 1, 2, 3
    torch.manual_seed(0)
    first, again = (draw_cells(owner, 3, 8) for _ in range(2))
    for cells, there in (first, again):
        assert there.sum(2).tolist() == [[8, 3, 0], [0, 0, 8]]
        for row, n in ((0, 0), (0, 1), (1, 2)):
            own = cells[row, n][there[row, n]]
            assert (owner[row, own] == n + 1).all() and len(own.unique()) == len(own)
    assert not torch.equal(first[0][0, 0], again[0][0, 0])
    counts = torch.stack([draw_cells(owner, 3, 8)[0][0, 0].bincount(minlength=100) for _ in range(300)]).sum(0)
    assert (counts[10:40] > 40).all()  # 80 each on average: nobody is left out


def test_only_objects_of_the_sizes_are_learned_and_nothing_near_outlines() -> None:
    everything, sized = make_head(pixels=200).encode(THREE, {}), make_head(pixels=200, sizes=(20.0, 36.0)).encode(THREE, {})
    assert everything["drawn"].sum(2).tolist() == [[16, 30, 72]]
    assert sized["drawn"].sum(2).tolist() == [[0, 0, 72]]  # the longer sides are 16, 40 and 36 px
    inner = make_head(pixels=200, border=4).encode(THREE, {})
    assert inner["drawn"].sum(2).tolist() == [[9, 16, 49]]  # a cell of every side less, but for those at the image's border
    foreground = Segmentation(Source({"stack": Level(4, GRID)}), TASK, sizes=(20.0, 36.0)).encode(THREE, {})
    assert (~foreground["counted"]).sum().item() == 16 + 30


def test_ideal_tags_inside_several_are_of_the_smallest_of_each_category() -> None:
    batch = make_objects([(0, 0, 64, 64), (16, 16, 32, 32), (40, 40, 64, 64)], [0, 0, 1])
    tags = make_head().ideal(batch)["instance_tags"][0, :, 0] / 10
    assert tags[0, 5, 5] == 2 and tags[0, 0, 0] == 1 and tags[0, 12, 12] == 1 and tags[1, 12, 12] == 3
    foreground = Segmentation(Source({"stack": Level(4, GRID)}), TASK, criterion="mse").ideal(batch)["segmentation"][0]
    assert (foreground[0] == 1).all() and foreground[1].sum() == 36  # what two balls share is no crate


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_tags_that_begin_alike_come_apart_and_grow_alike_within(reduction: str) -> None:
    head = make_head(pixels=16, reduction=reduction)
    begin = 0.005 * head.ideal(THREE)["instance_tags"]  # 0.05 apart
    maps = torch.nn.Parameter(begin + 0.01 * torch.randn(1, 2, 1, 16, 16))
    optimiser = torch.optim.Adam([maps], lr=0.05)
    for _ in range(300):
        losses = head.loss({"instance_tags": maps}, head.encode(THREE, {}))
        optimiser.zero_grad()
        (losses["pull"].sum() + 5 * losses["push"].sum()).backward()
        optimiser.step()
    figures = head.metrics({"instance_tags": maps}, make_head(pixels=200).encode(THREE, {}))
    assert figures["between"].item() > 1.5
    if reduction == "mean":
        assert figures["within"].item() < 0.2  # by the sum's letter an object's own pixels are pushed apart, too


def test_nobody_gives_a_loss_of_nothing_and_no_figures() -> None:
    head, batch = make_head(), replace(THREE, instances=torch.zeros_like(THREE.instances))  # type: ignore[arg-type, type-var]
    maps, targets = torch.randn(1, 2, 1, 16, 16, requires_grad=True), head.encode(batch, {})
    losses, figures = head.loss({"instance_tags": maps}, targets), head.metrics({"instance_tags": maps}, targets)
    assert all(value.item() == 0 and value.requires_grad for value in losses.values())
    assert all(value.isnan().all() for value in figures.values())
