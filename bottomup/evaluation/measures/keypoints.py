"""COCO's figures of keypoints."""

from __future__ import annotations

from bottomup.evaluation.coco import evaluate_keypoints
from bottomup.evaluation.measure import MEASURES, Collected
from bottomup.types import Prediction


@MEASURES.register
class Keypoints(Collected):
    """COCO's AP and AR of keypoints (``evaluation.coco``)."""

    of_poses = True

    def judged(self, predictions: list[Prediction]) -> dict[str, float]:
        """AP, AP50, AP75, APM, APL, AR, AR50, AR75, ARM, ARL."""
        assert self.skeleton is not None  # OKS is of keypoints
        return evaluate_keypoints(predictions, self.ground_truth, self.skeleton, self.max_people)

    @property
    def metrics(self) -> dict[str, float]:
        """The figures, also where no image was judged: then everybody was missed."""
        return super().metrics or self.judged([])
