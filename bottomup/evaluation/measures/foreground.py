"""How well the foreground was found, pixel by pixel."""

from __future__ import annotations

from bottomup.dataset import GroundTruth, Record
from bottomup.evaluation.measure import MEASURES, Measure
from bottomup.evaluation.records import by_image
from bottomup.evaluation.segmentation import SegmentationOverlap
from bottomup.skeletons import Skeleton
from bottomup.types import Prediction


@MEASURES.register
class Foreground(Measure):
    """The intersection over union of everybody's pixels (``evaluation.segmentation``); an image's ``void`` is as a crowd."""

    def __init__(self, ground_truth: GroundTruth, skeleton: Skeleton | None, max_people: int) -> None:
        super().__init__(ground_truth, skeleton, max_people)
        self._overlap = SegmentationOverlap()
        self._regions = by_image([*ground_truth["annotations"], *map(_void, filter(_has_void, ground_truth["images"]))])

    def add(self, prediction: Prediction) -> None:
        """Count one image's pixels; nothing where no segmentation was found."""
        regions = [] if prediction.image_id is None else self._regions.get(prediction.image_id, [])
        self._overlap.add(prediction, regions)

    @property
    def metrics(self) -> dict[str, float]:
        """``segmentation_IoU``; nothing where no image had a segmentation."""
        return self._overlap.metrics

    @property
    def names(self) -> tuple[str, ...]:
        """``segmentation_IoU``."""
        return ("segmentation_IoU",)


def _has_void(image: Record) -> bool:
    return bool(image.get("void"))


def _void(image: Record) -> Record:
    """What of an image is nobody for sure, as a crowd."""
    box = [0, 0, image["width"], image["height"]]
    return {"image_id": image["id"], "segmentation": image["void"], "bbox": box, "iscrowd": 1}
