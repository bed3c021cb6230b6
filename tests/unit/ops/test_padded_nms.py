"""Suppression with a fixed number of results."""

from __future__ import annotations

import torch
from torchvision.ops import nms

from bottomup.ops.padded_nms import padded_nms


def scene(images: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    corner = torch.rand(images, count, 2) * 60
    return torch.cat((corner, corner + 10 + torch.rand(images, count, 2) * 20), dim=-1), torch.rand(images, count)


def test_it_is_torchvisions_for_each_image() -> None:
    boxes, scores = scene(3, 40)
    scores[1, ::2] = 0.0
    kept = padded_nms(boxes, scores, 0.3, 12)
    for row in range(3):
        there = (scores[row] > 0).nonzero()[:, 0]
        expected = there[nms(boxes[row, there], scores[row, there], 0.3)][:12]
        assert kept[row, : len(expected)].tolist() == expected.tolist() and (kept[row, len(expected) :] == -1).all()


def test_nobody_and_too_few_are_padding() -> None:
    boxes, scores = scene(2, 3)
    scores[0] = 0.0
    kept = padded_nms(boxes, scores, 0.9, 7)
    assert (kept[0] == -1).all() and sorted(kept[1, :3].tolist()) == [0, 1, 2] and (kept[1, 3:] == -1).all()


def test_it_compiles_whole() -> None:
    boxes, scores = scene(2, 9)
    compiled = torch.compile(lambda b, s: padded_nms(b, s, 0.3, 5) + 1, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(boxes, scores), padded_nms(boxes, scores, 0.3, 5) + 1)
