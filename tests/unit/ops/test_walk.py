"""Walks along the tree."""

from __future__ import annotations

import torch

from bottomup.ops.walk import strides, walk
from bottomup.skeletons import COCO


def test_a_walk_from_any_keypoint_reaches_the_whole_pose() -> None:
    pose = torch.rand(17, 2) * 100
    edges = torch.tensor(COCO.directed)

    def step(points: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        return points + pose[edges[chosen, 1]] - pose[edges[chosen, 0]]

    poses = walk(pose[None, :, None].expand(2, -1, 3, -1), strides(COCO), step)
    torch.testing.assert_close(poses, pose.expand(2, 17, 3, 17, 2), atol=1e-3, rtol=1e-5)
