"""COCO's figures of people's masks."""

from __future__ import annotations

from bottomup.evaluation.masks import evaluate_masks
from bottomup.evaluation.measure import MEASURES, Collected
from bottomup.evaluation.records import with_keypoints
from bottomup.types import Prediction


@MEASURES.register
class Masks(Collected):
    """COCO's AP and AR of the masks of those who have keypoints; objects without are nobody (``evaluation.masks``)."""

    def judges(self, prediction: Prediction) -> bool:
        """Whether masks were looked for."""
        return prediction.instances.masks is not None

    def judged(self, predictions: list[Prediction]) -> dict[str, float]:
        """mask_AP and the like."""
        assert self.skeleton is not None  # whose categories count
        return evaluate_masks(predictions, with_keypoints(self.ground_truth, self.skeleton), self.max_people)
