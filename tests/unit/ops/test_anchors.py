"""Anchors and deltas."""

from __future__ import annotations

import torch

from bottomup.geometry import Grid
from bottomup.ops.anchors import anchor_boxes, decode_boxes, encode_boxes


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
