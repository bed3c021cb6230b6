"""Which seeds start an instance."""

from __future__ import annotations

import pytest
import torch

from bottomup.ops.seeds import select_seeds


def test_a_seed_within_reach_of_a_better_pose_starts_nobody() -> None:
    poses = torch.zeros(1, 2, 3, 2, 2)  # two keypoints, three seeds of each
    poses[0, :, 1] = 100.0
    poses[0, :, 2] = 200.0
    scores = torch.tensor([[[0.9, 0.8, 0.0], [0.7, 0.6, 0.5]]])
    selected = select_seeds(poses, scores, radius=10.0, count=4)
    assert selected.scores.tolist() == [pytest.approx([0.9, 0.8, 0.5, 0.0])]
    assert selected.roots[0, :3].tolist() == [0, 0, 1]
    assert selected.poses[0, :3, 0, 0].tolist() == [0.0, 100.0, 200.0]
