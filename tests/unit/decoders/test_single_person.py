"""Perfect maps of one person give that person back, whatever else a crop holds."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from bottomup.contracts import Level, Source
from bottomup.decoders.single_person import SinglePerson
from bottomup.errors import ConfigError
from bottomup.geometry import Grid
from bottomup.heads.heatmap import Heatmap
from bottomup.heads.short_offsets import ShortOffsets
from bottomup.skeletons import COCO
from bottomup.types import Batch, Frame, Outputs, Task
from tests.scenes import make_batch

TASK = Task(COCO)
SIZE = (128, 128)


def frame_of(batch: Batch, grid: Grid) -> Frame:
    return Frame(dict.fromkeys(("heatmap", "heatmap_logits", "short_offsets"), grid), batch.size, batch.content)


def ideal(batch: Batch, grid: Grid, disks: bool) -> Outputs:
    source = Source({"level": Level(8, grid)})
    if not disks:
        return Heatmap(source, TASK, sigma=8.0).ideal(batch)
    heatmap = Heatmap(source, TASK, shape="disk", criterion="logistic", radius=16.0)
    return heatmap.ideal(batch) | ShortOffsets(source, TASK, radius=16.0).ideal(batch)


@pytest.mark.parametrize("disks", [False, True])
@pytest.mark.parametrize("grid", [Grid.centred(4), Grid.centred(8)])
def test_a_person_comes_back(disks: bool, grid: Grid) -> None:
    batch = make_batch([1, 1, 1, 1], SIZE, labelled=0.8)
    found = SinglePerson(TASK)(ideal(batch, grid, disks), frame_of(batch, grid))
    for row, prediction in enumerate(found):
        labelled, instances = batch.labelled[row, 0], prediction.instances
        assert len(instances) == 1
        assert torch.equal(instances.keypoint_scores[0] > 0.1, labelled)
        expected = batch.keypoints[row, 0]
        if not disks:  # between the cells of the border no parabola is read
            labelled = labelled & ((expected > grid.stride) & (expected < 128 - grid.stride)).all(-1)
        apart = (instances.keypoints[0, labelled] - expected[labelled]).abs()
        assert apart.max() < (1e-2 if disks else 0.05 * grid.stride)
        assert instances.scores[0] == pytest.approx(float(instances.keypoint_scores.mean()))


def test_nothing_is_found_in_the_padding() -> None:
    batch = make_batch([1], SIZE)
    grid = Grid.centred(4)
    content = torch.tensor([[0.0, 0.0, 64.0, 128.0]])
    (found,) = SinglePerson(TASK)(ideal(batch, grid, False), frame_of(replace(batch, content=content), grid))
    assert found.instances.keypoints[..., 0].nan_to_num().max() <= 64


def test_nobody_is_nobody() -> None:
    grid = Grid.centred(4)
    (found,) = SinglePerson(TASK)({"heatmap": torch.zeros(1, 17, 32, 32)}, frame_of(make_batch([0], SIZE), grid))
    assert len(found.instances) == 0
    with pytest.raises(ConfigError, match="skeleton"):
        SinglePerson(Task())


@pytest.mark.parametrize("disks", [False, True])
def test_batched_is_single(disks: bool) -> None:
    grid = Grid.centred(8)
    batch = make_batch([1, 1, 1], SIZE)
    noise = ideal(batch, grid, disks)
    noise = {key: maps + torch.randn_like(maps) * 0.1 for key, maps in noise.items()}
    together = SinglePerson(TASK)(noise, frame_of(batch, grid))
    for row in range(3):
        own = replace(frame_of(batch, grid), content=batch.content[row : row + 1])
        (alone,) = SinglePerson(TASK)({key: maps[row : row + 1] for key, maps in noise.items()}, own)
        assert torch.equal(alone.instances.keypoints, together[row].instances.keypoints)
