"""Anchors and deltas."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from bottomup.geometry import Grid
from bottomup.ops.anchors import anchor_boxes, best_of_octaves, decode_boxes, encode_boxes


def boxes(count: int) -> torch.Tensor:
    corner = torch.rand(count, 2) * 100
    return torch.cat((corner, corner + 5 + torch.rand(count, 2) * 50), dim=1)


def test_decoding_undoes_encoding() -> None:
    torch.manual_seed(0)
    anchors, wanted = boxes(50), boxes(50)
    torch.testing.assert_close(decode_boxes(anchors, encode_boxes(anchors, wanted)), wanted, atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(decode_boxes(anchors, torch.zeros(50, 4)), anchors)


def test_deltas_of_an_untrained_network_stay_finite() -> None:
    assert decode_boxes(boxes(3), torch.full((3, 4), 1e4)).isfinite().all()


def test_anchors_lie_about_the_cells_with_their_areas_and_ratios() -> None:
    grid, shape = Grid.centred(16), (3, 5)
    anchors = anchor_boxes(grid, shape, [32.0, 64.0], [0.5, 2.0], torch.zeros(1)).view(3, 5, 2, 2, 4)
    centre = (anchors[..., :2] + anchors[..., 2:]) / 2
    torch.testing.assert_close(centre[2, 4], grid.to_input(torch.tensor((4.0, 2.0))).expand(2, 2, 2))
    width, height = (anchors[..., 2:] - anchors[..., :2]).unbind(-1)
    torch.testing.assert_close((width * height).sqrt()[0, 0], torch.tensor(((32.0, 32.0), (64.0, 64.0))))
    torch.testing.assert_close((height / width)[0, 0], torch.tensor(((0.5, 2.0), (0.5, 2.0))))


@pytest.mark.parametrize("scale", [1.0, 0.6])
def test_the_best_of_every_level_stay(scale: float) -> None:
    """Anchors of three sizes a level, on several levels, in any order; and of a view that was moved onto another."""
    torch.manual_seed(0)
    sizes = [16.0 * 2**octave * third for octave in range(3) for third in (1.0, 2 ** (1 / 3), 2 ** (2 / 3))]
    levels = [anchor_boxes(Grid.centred(8), (4, 4), sizes[3 * n : 3 * n + 3], [0.5, 1.0, 2.0], torch.zeros(1)) for n in range(3)]
    level = torch.arange(3).repeat_interleave(len(levels[0]))
    order = torch.randperm(len(level))
    scores = torch.rand(2, len(level)) + 0.1
    scores[1, level[order] == 2] += 1.0  # one level is better than all others
    kept = best_of_octaves(scores, torch.cat(levels)[order].expand(2, -1, -1), 10)
    if scale == 1.0:
        for image in range(2):
            for one in range(3):
                own = level[order] == one
                assert torch.equal(kept[image, own].topk(11).values, F.pad(scores[image, own].topk(10).values, (0, 1)))
    moved = best_of_octaves(scores, torch.cat(levels)[order].expand(2, -1, -1) * scale, 10)
    assert ((moved > 0).sum(1) <= 40).all() and (moved.topk(10).values == scores.topk(10).values).all()


def test_few_anchors_all_stay() -> None:
    scores = torch.rand(2, 30)
    assert torch.equal(best_of_octaves(scores, boxes(30).expand(2, -1, -1), 30), scores)
