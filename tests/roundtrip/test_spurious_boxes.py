"""Boxes of nobody beside those of people."""

from __future__ import annotations

import torch
from torchvision.ops import box_iou

from benchmarks.spurious_boxes import beside


def test_spurious_boxes_lie_beside_true_ones_and_score_less() -> None:
    torch.manual_seed(0)
    corner = torch.rand(4, 5, 2) * 100
    boxes = torch.cat((corner, corner + 10 + torch.rand(4, 5, 2) * 50), dim=-1)
    scores = (torch.arange(5) < 3).float().expand(4, 5)  # two are padding
    found = beside({"proposals": boxes, "proposal_scores": scores}, 2)
    assert torch.equal(found["proposals"][:, :5], boxes) and torch.equal(found["proposal_scores"][:, :5], scores)
    for false in (slice(5, 10), slice(10, 15)):
        iou = torch.stack([box_iou(*pair).diagonal() for pair in zip(found["proposals"][:, false], boxes, strict=True)])
        torch.testing.assert_close(iou, torch.full_like(iou, 0.2), atol=1e-3, rtol=0)
        theirs = found["proposal_scores"][:, false]
        assert ((theirs > 0) == (scores > 0)).all() and theirs.max() <= 0.3
