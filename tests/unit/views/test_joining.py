"""What several views find of one image becomes one set of people."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest
import torch
from torch import Tensor

from bottomup.geometry import Grid
from bottomup.masks import Masks
from bottomup.skeletons import COCO
from bottomup.types import Instances
from bottomup.views.joining import join_views

GRID, SIZE = Grid.centred(8), (320, 480)


def people(count: int, seed: int = 0, size: float = 100.0) -> Instances:
    """People in a row, apart from each other, best first."""
    random = torch.Generator().manual_seed(seed)
    corners = torch.stack((torch.arange(count) * 1.2 * size, torch.rand(count, generator=random) * 20), dim=-1)
    points = corners[:, None] + torch.rand(count, 17, 2, generator=random) * size
    scores = torch.linspace(0.9, 0.5, count)
    keypoint_scores = (scores[:, None] + 0.1 * torch.rand(count, 17, generator=random)).clamp(max=1)
    return Instances.of_keypoints(points, keypoint_scores, scores)


def with_all(instances: Instances) -> Instances:
    """With boxes of their own, their scores, masks, and a keypoint that was not found."""
    keypoints, scores = instances.keypoints.clone(), instances.keypoint_scores.clone()
    keypoints[:, 3], scores[:, 3] = torch.nan, 0.0
    h, w = GRID.shape(SIZE)
    x, y = torch.arange(w) * 8 + 4.0, torch.arange(h) * 8 + 4.0
    centre = (instances.boxes[:, :2] + instances.boxes[:, 2:]) / 2
    apart = (x - centre[:, 0, None, None]).square() + (y[:, None] - centre[:, 1, None, None]).square()
    masks = Masks.of_levels((1 - apart.sqrt() / 30).clamp(-1, 1), GRID)
    boxes = instances.boxes + 3
    instances = replace(instances, keypoints=keypoints, keypoint_scores=scores, keypoint_presence=scores.sqrt())
    return replace(instances, boxes=boxes, masks=masks, box_scores=instances.scores * 0.9)


def test_instances_without_keypoints_all_stay_best_first() -> None:
    """Who of them is one object, the decoder says by their masks."""
    views = [
        replace(with_all(people(2, seed)), keypoints=torch.zeros(2, 0, 2), keypoint_scores=torch.zeros(2, 0)) for seed in (0, 1)
    ]
    views = [replace(view, keypoint_presence=None, box_scores=None) for view in views]
    joined = join_views(views, [1.0, 0.5], ())
    assert joined.scores.tolist() == pytest.approx([0.9, 0.9, 0.5, 0.5]) and joined.masks is not None
    assert torch.equal(joined.masks.draw(SIZE)[::2], views[0].masks.draw(SIZE))  # type: ignore[union-attr]


def assert_equal(found: Instances, expected: Instances) -> None:
    for name in ("keypoints", "keypoint_scores", "keypoint_presence", "scores", "boxes", "labels", "box_scores"):
        a, b = getattr(found, name), getattr(expected, name)
        assert (a is None) == (b is None)
        if a is not None:
            torch.testing.assert_close(a, b, equal_nan=True, atol=1e-3, rtol=1e-5)


@pytest.mark.parametrize("views", [1, 2, 4])
def test_views_that_are_equal_join_to_what_each_is(views: int) -> None:
    for one in (people(3), with_all(people(3))):
        found = join_views([one] * views, [2.0] * views, COCO.sigmas)
        assert_equal(found, one)
        if one.masks is not None:
            assert found.masks is not None
            assert torch.equal(found.masks.draw(SIZE), one.masks.draw(SIZE))


def test_the_order_of_views_of_one_scale_is_no_matter() -> None:
    views = [people(3), shifted(people(3), 4.0), shifted(people(2), -3.0)]
    expected = join_views(views, [1.5] * 3, COCO.sigmas)
    for order in permutations(views):
        assert_equal(join_views(order, [1.5] * 3, COCO.sigmas), expected)


def shifted(instances: Instances, by: float) -> Instances:
    return Instances.of_keypoints(instances.keypoints + by, instances.keypoint_scores, instances.scores * 0.9)


def test_people_are_the_same_in_any_frame() -> None:
    views = [people(3), shifted(people(3), 4.0)]
    large = [Instances.of_keypoints(view.keypoints * 4, view.keypoint_scores, view.scores) for view in views]
    found, expected = join_views(large, [0.5, 0.25], COCO.sigmas), join_views(views, [2.0, 1.0], COCO.sigmas)
    torch.testing.assert_close(found.keypoints / 4, expected.keypoints, atol=1e-3, rtol=0)
    torch.testing.assert_close(found.scores, expected.scores)


def test_who_is_seen_in_one_view_stays_behind_who_is_seen_in_all() -> None:
    both, alone = people(2)[:1], people(2)[1:]
    alone = replace(alone, scores=both.scores)
    first = Instances(*(torch.cat((getattr(alone, name), getattr(both, name))) for name in NAMES))
    found = join_views([first, both], [1.0, 1.0], COCO.sigmas)
    assert len(found) == 2
    torch.testing.assert_close(found.keypoints, torch.cat((both.keypoints, alone.keypoints)))
    torch.testing.assert_close(found.scores, both.scores * torch.tensor([1.0, 0.5]))


NAMES = ("keypoints", "keypoint_scores", "scores", "boxes", "labels")


@pytest.mark.parametrize(("size", "nearer"), [(30.0, 0), (2000.0, 1)], ids=["small", "large"])
def test_small_people_come_from_the_finest_view_and_large_ones_from_the_coarsest(size: float, nearer: int) -> None:
    one = people(1, size=size)
    views = [one, shifted(one, 0.02 * size)]
    views[1] = replace(views[1], scores=one.scores)
    joined = join_views(views, [2.0, 0.5], COCO.sigmas)
    apart = [float((joined.keypoints - view.keypoints).abs().amax()) for view in views]
    assert apart[nearer] < apart[1 - nearer]


def test_a_view_gives_a_person_one_instance_at_most() -> None:
    """Two who stand close in one view are two, and one of them alone is who stands between them in another."""
    one = people(1)
    close = Instances(*(torch.cat((getattr(shifted(one, -2.0), name), getattr(shifted(one, 2.0), name))) for name in NAMES))
    joined = join_views([close, one], [1.0, 1.0], COCO.sigmas)
    assert len(joined) == 2 and float(joined.scores[1]) == pytest.approx(float(close.scores[0]) / 2)


def test_nobody_in_any_view_is_nobody() -> None:
    nobody = Instances.empty(17)
    assert len(join_views([nobody, nobody], [1.0, 0.5], COCO.sigmas)) == 0
    found = join_views([nobody, people(2)], [1.0, 1.0], COCO.sigmas)
    torch.testing.assert_close(found.keypoints, people(2).keypoints)


def test_people_of_different_classes_are_not_one() -> None:
    one = people(1)
    other = replace(one, labels=one.labels + 1)
    assert join_views([one, other], [1.0, 1.0], COCO.sigmas).labels.tolist() == [0, 1]


def drawn(masks: Masks | None) -> Tensor:
    assert masks is not None
    return masks.draw(SIZE)


def test_masks_of_views_of_other_strides_meet_in_between() -> None:
    """A circle on two grids is the circle again; of two circles' levels the mean is between them."""
    fine = with_all(people(3))
    coarse = replace(fine, masks=None)
    h, w = Grid.centred(16).shape(SIZE)
    x, y = torch.arange(w) * 16 + 8.0, torch.arange(h) * 16 + 8.0
    centre = (fine.boxes[:, :2] + fine.boxes[:, 2:]) / 2 - 3
    apart = ((x - centre[:, 0, None, None]).square() + (y[:, None] - centre[:, 1, None, None]).square()).sqrt()
    areas = []
    for radius in (30.0, 50.0):
        coarse = replace(fine, masks=Masks.of_levels((1 - apart / radius).clamp(-1, 1), Grid.centred(16)))
        areas.append(drawn(join_views([fine, coarse], [1.0, 1.0], COCO.sigmas).masks).sum((1, 2)) / drawn(fine.masks).sum((1, 2)))
    assert ((areas[0] - 1).abs() < 0.1).all()
    assert ((areas[1] > 1.3) & (areas[1] < (50 / 30) ** 2)).all()


def test_networks_whose_tags_have_other_lengths_join_as_people() -> None:
    """Tags of two networks tell nothing of each other; what is joined has none."""
    views = [replace(people(2, seed), tags=torch.zeros(2, length)) for seed, length in ((0, 2), (1, 16))]
    assert_equal(join_views(views, [1.0, 1.0], COCO.sigmas), join_views([people(2, 0), people(2, 1)], [1.0, 1.0], COCO.sigmas))
