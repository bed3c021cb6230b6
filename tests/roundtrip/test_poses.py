"""The poses in a Pose Residual Network's units, and the people of the decoders' comparison."""

from __future__ import annotations

import torch

from benchmarks.people import decodings, people_of
from benchmarks.poses import cluster, unit_poses
from benchmarks.scenes import Scene
from bottomup.ops.crops import CROP
from bottomup.skeletons import COCO

SIGMAS = torch.tensor(COCO.sigmas)


def test_a_units_pose_is_where_it_raises_each_keypoint_most() -> None:
    generator = torch.Generator().manual_seed(0)
    rows, columns = torch.randint(CROP[0], (5, 17), generator=generator), torch.randint(CROP[1], (5, 17), generator=generator)
    maps = torch.zeros(5, 17, *CROP)
    maps[torch.arange(5)[:, None], torch.arange(17), rows, columns] = 1
    poses = unit_poses(maps.flatten(1).T, 17)
    assert torch.equal(poses, torch.stack((columns, rows), dim=-1) + 0.5)


def test_poses_of_two_kinds_are_two_clusters_the_larger_first() -> None:
    generator = torch.Generator().manual_seed(1)
    upright, lying = (torch.rand(1, 17, 2, generator=generator) * torch.tensor((36.0, 56.0)) for _ in range(2))
    poses = torch.cat((upright.expand(30, -1, -1), lying.expand(12, -1, -1))) + 0.3 * torch.randn(42, 17, 2, generator=generator)
    means, sizes = cluster(poses[torch.randperm(42, generator=generator)], 2, SIGMAS)
    assert sizes.tolist() == [30, 12]
    assert (means - torch.cat((upright, lying))).norm(dim=-1).max() < 0.5


def test_every_decoder_gives_back_the_people_that_are_compared() -> None:
    batch = people_of(4)
    with torch.inference_mode():
        for name, grid, decode in decodings(batch):
            (prediction,) = decode()
            assert len(prediction.instances) == 4, name
            assert Scene(name, {}, grid, prediction.size[0], batch.keypoints[0]).recall(prediction) == 1.0, name
