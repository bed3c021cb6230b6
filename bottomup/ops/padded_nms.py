"""torchvision's non-maximum suppression with a fixed number of results, so that models stay static."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.ops import batched_nms


@torch.library.custom_op("bottomup::padded_nms", mutates_args=())
def padded_nms(boxes: Tensor, scores: Tensor, threshold: float, count: int) -> Tensor:
    """The indices (B, ``count``) int64 of the best boxes (B, A, 4) xyxy, best first, -1 where there are no more.

    A box is dropped whose IoU with a better one that stays is above ``threshold``, or whose score (B, A) is not positive.
    """
    images = len(scores)
    kept = torch.full((images, count), -1, dtype=torch.int64, device=boxes.device)
    image, index = (scores > 0).nonzero(as_tuple=True)
    best = batched_nms(boxes[image, index], scores[image, index], image, threshold)  # of all images, best first
    image, index = image[best], index[best]
    place = _places(image, images)
    few = place < count
    kept[image[few], place[few]] = index[few]
    return kept


@padded_nms.register_kernel("cuda")
def kept_in_turn(boxes: Tensor, scores: Tensor, threshold: float, count: int) -> Tensor:
    """The same, each turn keeping the best that is left: no shape depends on numbers, for which a GPU would be waited for."""
    left, kept = torch.where(scores > 0, scores, 0.0), []
    areas = (boxes[..., 2:] - boxes[..., :2]).prod(-1)
    for _ in range(count):
        best, index = left.max(1, keepdim=True)  # (B, 1)
        box = boxes.gather(1, index[..., None].expand(-1, -1, 4))  # (B, 1, 4)
        sides = (torch.minimum(boxes[..., 2:], box[..., 2:]) - torch.maximum(boxes[..., :2], box[..., :2])).clamp(min=0.0)
        shared = sides.prod(-1)
        alike = shared / (areas + areas.gather(1, index) - shared) > threshold
        left = left.masked_fill(alike, 0.0).scatter(1, index, 0.0)
        kept.append(torch.where(best > 0, index, -1))
    return torch.cat(kept, dim=1)


@padded_nms.register_fake
def _(boxes: Tensor, scores: Tensor, threshold: float, count: int) -> Tensor:
    return scores.new_empty((scores.shape[0], count), dtype=torch.int64)


def _places(image: Tensor, images: int) -> Tensor:
    """How many earlier entries (S,) name the same image."""
    same = torch.nn.functional.one_hot(image, images).cumsum(0)
    return same.gather(1, image[:, None])[:, 0] - 1
