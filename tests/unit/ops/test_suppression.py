"""OKS is 1 with oneself and symmetric; suppression keeps one of each person."""

from __future__ import annotations

import pytest
import torch

from bottomup.ops.suppression import oks, oks_nms
from bottomup.skeletons import COCO
from bottomup.types import Instances


def people(count: int, apart: float = 300.0) -> Instances:
    """Instances far from each other, best first; a third of the keypoints missing."""
    points = torch.rand(count, len(COCO), 2) * 100 + torch.arange(count)[:, None, None] * apart
    points[torch.rand(count, len(COCO)) < 0.3] = torch.nan
    return Instances.of_keypoints(points, points[..., 0].isfinite().float(), torch.linspace(1, 0.5, count))


def similarity(one: Instances, other: Instances) -> torch.Tensor:
    return oks(one.keypoints, other.keypoints, one.areas, other.areas, COCO.sigmas)


def test_oks_is_one_with_oneself_symmetric_and_falls_with_distance() -> None:
    instances = people(4, apart=10.0)
    alike = similarity(instances, instances)
    torch.testing.assert_close(alike.diagonal(), torch.ones(4))
    torch.testing.assert_close(alike, alike.T)
    moved = [Instances.of_keypoints(instances.keypoints + by, instances.keypoint_scores, instances.scores) for by in (2, 5, 20)]
    near, further, far = (similarity(instances, other).diagonal() for other in moved)
    assert (near < 1).all() and (further < near).all() and (far < further).all()


def test_oks_does_not_change_with_scale() -> None:
    one, other = people(3), people(3)
    large = oks(one.keypoints * 5, other.keypoints * 5, one.areas * 25, other.areas * 25, COCO.sigmas)
    torch.testing.assert_close(large, similarity(one, other))


def test_nothing_in_common_is_not_alike() -> None:
    points = torch.full((2, len(COCO), 2), torch.nan)
    points[0, :5], points[1, 5:] = 10.0, 10.0
    instances = Instances.of_keypoints(points, points[..., 0].isfinite().float(), torch.ones(2))
    assert similarity(instances, instances)[0, 1] == 0


def test_suppression_keeps_the_best_of_each_person() -> None:
    once = people(4)
    twice = Instances.of_keypoints(
        torch.cat((once.keypoints, once.keypoints + 0.5)), once.keypoint_scores.repeat(2, 1), once.scores.repeat(2)
    )
    assert oks_nms(twice, COCO.sigmas, 0.5).tolist() == [True] * 4 + [False] * 4


def test_who_is_suppressed_suppresses_nobody() -> None:
    chain = people(1).keypoints.expand(3, -1, -1) + torch.tensor((0.0, 6.0, 12.0))[:, None, None]
    instances = Instances.of_keypoints(chain, torch.ones(3, len(COCO)), torch.tensor((0.9, 0.8, 0.7)))
    alike = similarity(instances, instances)
    between = float((alike[0, 1] + alike[0, 2]) / 2)
    assert alike[0, 2] < between < alike[0, 1]
    assert oks_nms(instances, COCO.sigmas, between).tolist() == [True, False, True]


@pytest.mark.parametrize("count", [0, 1])
def test_nobody_and_one_person_are_kept(count: int) -> None:
    assert oks_nms(people(count), COCO.sigmas, 0.5).tolist() == [True] * count
