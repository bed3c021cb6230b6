"""What of a prediction is worth showing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from bottomup.geometry import boxes_around
from bottomup.ops.suppression import oks_nms
from bottomup.thresholds import Thresholds
from bottomup.types import Instances, Prediction


def shown(prediction: Prediction, thresholds: Thresholds, sigmas: Sequence[float]) -> Prediction:
    """The instances worth showing, each with all its keypoints, in boxes around what is to be seen of them.

    Those of too low a score are left out, and those that show a better one's person once more, by the OKS of their usable
    keypoints; ``sigmas`` are the skeleton's. A box that the method finds itself stays. Others are drawn around the mask's pixels
    where there are any, else around the usable keypoints, else around whatever was found. Of instances without keypoints the score
    alone decides.
    """
    left = prediction.instances[prediction.instances.scores >= thresholds.score]
    if not left.keypoints.shape[1]:
        return replace(prediction, instances=left)
    left = replace(left, boxes=_boxes(left, thresholds.keypoint, prediction.size))
    if thresholds.score > 0:
        left = left[~repeated(left, thresholds, sigmas)]
    return replace(prediction, instances=left)


def repeated(instances: Instances, thresholds: Thresholds, sigmas: Sequence[float]) -> Tensor:
    """(P,) bool: which of instances, best first and in the boxes of ``shown``, show the person of a better one once more."""
    return ~oks_nms(replace(instances, keypoints=_seen(instances, thresholds.keypoint)), sigmas, thresholds.alike)


def _seen(instances: Instances, threshold: float) -> Tensor:
    """The usable keypoints (P, K, 2) px; NaN where one is not."""
    return torch.where(instances.usable(threshold)[..., None], instances.keypoints, torch.nan)


def _boxes(instances: Instances, threshold: float, size: tuple[int, int]) -> Tensor:
    """The boxes (P, 4) around what is to be seen of instances in a frame of ``size``."""
    if instances.box_scores is not None:
        return instances.boxes
    seen = _seen(instances, threshold)
    boxes = _instead(boxes_around(seen), seen.isfinite().flatten(1).any(1), instances.boxes)
    if instances.masks is None:
        return boxes
    around = instances.masks.boxes(size)
    return _instead(around, (around[:, 2:] > around[:, :2]).all(1), boxes)


def _instead(boxes: Tensor, there: Tensor, others: Tensor) -> Tensor:
    """Boxes (P, 4) where they are ``there`` (P,), else the others."""
    return torch.where(there[:, None], boxes, others)
