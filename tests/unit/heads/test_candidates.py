"""Candidates: peaks of the heatmap, or of Hough votes."""

from __future__ import annotations

import pytest
import torch

from bottomup.contracts import Level, Source
from bottomup.geometry import Grid
from bottomup.heads.candidates import Candidates
from bottomup.heads.heatmap import Heatmap
from bottomup.heads.short_offsets import ShortOffsets
from bottomup.skeletons import COCO
from bottomup.types import Outputs, Task
from tests.scenes import make_batch


def found_within(candidates: torch.Tensor, points: torch.Tensor, within: float) -> bool:
    """Whether of each keypoint the candidates (K, M, 3) are the points (N, K, 2), and no others."""
    for k in range(17):
        there = candidates[k, candidates[k, :, 2] > 0, :2]
        if len(there) != len(points) or (torch.cdist(points[:, k], there).amin(1) > within).any():
            return False
    return True


@pytest.mark.parametrize("criterion", ["mse", "logistic"])
@pytest.mark.parametrize("method", ["peaks", "votes"])
def test_true_maps_give_the_true_keypoints(method: str, criterion: str) -> None:
    grid, task, batch = Grid.centred(4), Task(COCO), make_batch([2, 3])
    source = Source({"stack": Level(1, grid)})
    shape = {"shape": "gaussian", "sigma": 6.0} if method == "peaks" else {"shape": "disk", "radius": 10.0}
    heatmap = Heatmap(source, task, criterion=criterion, **shape)  # type: ignore[arg-type]
    outputs: Outputs = heatmap.ideal(batch)
    if method == "votes":
        outputs |= ShortOffsets(source, task, radius=10.0).ideal(batch)
    grids = dict.fromkeys(outputs, grid)
    head = Candidates(Source(None, grids), task, refine="log_parabola", radius=10.0)
    candidates = head({}, outputs)["candidates"]
    assert candidates.shape == (2, 17, 30, 3)
    for row, count in enumerate((2, 3)):
        assert found_within(candidates[row], batch.keypoints[row, :count], 1.0)


def test_faint_peaks_are_none() -> None:
    heatmap = torch.zeros(1, 17, 24, 32)
    heatmap[0, 3, 5, 9], heatmap[0, 3, 15, 20] = 0.3, 0.05
    head = Candidates(Source(None, {"heatmap": Grid.centred(4)}), Task(COCO), threshold=0.1, count=4)
    assert (head({}, {"heatmap": heatmap})["candidates"][..., 2] > 0).sum() == 1


def test_the_ideal_is_every_annotated_keypoint() -> None:
    batch = make_batch([2, 1], labelled=0.6)
    candidates = Candidates(Source(None, {}), Task(COCO)).ideal(batch)["candidates"]
    there = candidates[..., 2] > 0
    assert there.sum() == batch.labelled.sum()
    torch.testing.assert_close(candidates.transpose(1, 2)[batch.labelled][:, :2], batch.keypoints[batch.labelled])


def test_the_ideal_may_be_as_faulty_as_predictions() -> None:
    torch.manual_seed(0)
    batch = make_batch([3] * 40)
    source, task = Source(None, {}), Task(COCO)
    true = Candidates(source, task).ideal(batch)["candidates"]
    moved = Candidates(source, task, jitter=0.05).ideal(batch)["candidates"]
    apart = (moved - true)[..., :2] / batch.areas.sqrt()[:, None, :, None]
    assert abs(apart.std().item() - 0.05) < 3e-3 and abs(apart.mean().item()) < 3e-3
    missed = Candidates(source, task, misses=0.3).ideal(batch)["candidates"]
    assert abs((missed[..., 2] == 0).float().mean().item() - 0.3) < 0.03
    false = Candidates(source, task, false_peaks=0.2).ideal(batch)["candidates"]
    assert false.shape[2] == 6 and abs((false[:, :, 3:, 2] > 0).float().mean().item() - 0.2) < 0.03
    assert false[:, :, :3, 2].min() >= 0.5 >= false[:, :, 3:, 2].max()
