"""Walks along the tree."""

from __future__ import annotations

import pytest
import torch

from bottomup.contracts import DECODERS
from bottomup.errors import ConfigError
from bottomup.ops.walk import strides, walk
from bottomup.skeletons import COCO, Skeleton
from bottomup.types import Task


def test_a_walk_from_any_keypoint_reaches_the_whole_pose() -> None:
    pose = torch.rand(17, 2) * 100
    edges = torch.tensor(COCO.directed)

    def step(points: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        return points + pose[edges[chosen, 1]] - pose[edges[chosen, 0]]

    poses = walk(pose[None, :, None].expand(2, -1, 3, -1), strides(COCO), step)
    torch.testing.assert_close(poses, pose.expand(2, 17, 3, 17, 2), atol=1e-3, rtol=1e-5)


@pytest.mark.parametrize("decoder", ["personlab", "posenet"])
@pytest.mark.parametrize("task", [Task(), Task(Skeleton("dots", ("dot",), sigmas=(0.1,)))], ids=["no skeleton", "no edges"])
def test_a_decoder_that_has_nothing_to_walk_says_what_to_do(decoder: str, task: Task) -> None:
    with pytest.raises(ConfigError, match=rf"decoder {decoder} walks the skeleton's tree; .*has edges, or take another decoder="):
        DECODERS[decoder](task)
