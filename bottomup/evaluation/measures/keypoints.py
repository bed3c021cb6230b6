"""COCO's figures of keypoints."""

from __future__ import annotations

from bottomup.dataset import GroundTruth
from bottomup.evaluation.comparison import Comparison
from bottomup.evaluation.measure import MEASURES, Collected
from bottomup.skeletons import Skeleton
from bottomup.types import Prediction


@MEASURES.register
class Keypoints(Collected):
    """COCO's AP and AR of keypoints (``evaluation.coco``)."""

    of_poses = True

    def __init__(self, ground_truth: GroundTruth, skeleton: Skeleton | None, max_people: int) -> None:
        super().__init__(ground_truth, skeleton, max_people)
        self._comparison: Comparison | None = None

    def add(self, prediction: Prediction) -> None:
        """Keep an image's people."""
        super().add(prediction)
        self._comparison = None

    @property
    def comparison(self) -> Comparison:
        """Everybody who was found so far beside everybody annotated, of whom there are more figures."""
        self._comparison = self._comparison or self._compared(self._found)
        return self._comparison

    def judged(self, predictions: list[Prediction]) -> dict[str, float]:
        """AP, AP50, AP75, APM, APL, AR, AR50, AR75, ARM, ARL."""
        return self._compared(predictions).metrics()

    @property
    def metrics(self) -> dict[str, float]:
        """The figures, also where no image was judged: then everybody was missed."""
        return self.comparison.metrics()

    def _compared(self, predictions: list[Prediction]) -> Comparison:
        assert self.skeleton is not None  # OKS is of keypoints
        return Comparison(predictions, self.ground_truth, self.skeleton, self.max_people)
