"""COCO's figures of people's boxes."""

from __future__ import annotations

from bottomup.evaluation.boxes import BOXES, evaluate_boxes
from bottomup.evaluation.measure import MEASURES, Collected
from bottomup.evaluation.records import with_keypoints
from bottomup.types import Prediction


@MEASURES.register
class Boxes(Collected):
    """COCO's AP and AR of the boxes of those who have keypoints; objects without are nobody (``evaluation.boxes``)."""

    def judges(self, prediction: Prediction) -> bool:
        """Whether a detector found boxes, with scores of their own."""
        return prediction.instances.box_scores is not None

    def judged(self, predictions: list[Prediction]) -> dict[str, float]:
        """box_AP and the like, of the hundred best of an image at least."""
        assert self.skeleton is not None  # whose categories count
        return evaluate_boxes(predictions, with_keypoints(self.ground_truth, self.skeleton), max(self.max_people, BOXES))
