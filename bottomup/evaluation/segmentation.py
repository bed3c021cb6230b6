"""How well the foreground was found, pixel by pixel."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from bottomup.coco.masks import box_outline, mask_rle
from bottomup.dataset import Record
from bottomup.evaluation.records import is_crowd
from bottomup.types import Prediction

_INSIDE = 0.5  # the probability from which on a pixel is foreground


class SegmentationOverlap:
    """The intersection over union of the people's pixels, over all images that were added: PASCAL VOC's measure of one class.

    Pixels of crowds, and of the boxes of people without a mask, do not count.
    """

    def __init__(self) -> None:
        self.intersection, self.union, self.people, self.images = 0, 0, 0, 0

    def add(self, prediction: Prediction, annotations: Iterable[Record]) -> None:
        """Count one image, by the annotations of its people in its px; nothing where no segmentation was found."""
        if prediction.segmentation is None:
            return
        found = prediction.segmentation.numpy() > _INSIDE
        true, left_out = (np.zeros(prediction.size, bool) for _ in range(2))
        for annotation in annotations:
            pixels = _pixels(annotation, prediction.size)
            uncertain = is_crowd(annotation) or not annotation.get("segmentation")
            (left_out if uncertain else true)[pixels] = True
        counted = true | ~left_out
        self.intersection += int((found & true & counted).sum())
        self.union += int(((found | true) & counted).sum())
        self.people += int(true.sum())
        self.images += 1

    @property
    def metrics(self) -> dict[str, float]:
        """``segmentation_IoU`` in [0, 1], NaN where nobody has a mask; nothing where no image was counted."""
        if not self.images:
            return {}
        return {"segmentation_IoU": self.intersection / self.union if self.people else float("nan")}


def _pixels(annotation: Record, size: tuple[int, int]) -> NDArray[np.bool_]:
    """An annotation's mask (H, W), or its box where it has none."""
    image = {"height": size[0], "width": size[1]}
    outline = annotation.get("segmentation") or box_outline(annotation["bbox"], image)
    return np.asarray(coco_mask.decode(mask_rle(outline, image)), bool)
