"""COCO's figures of objects' masks."""

from __future__ import annotations

from bottomup.evaluation.masks import evaluate_categories, mean_of_categories
from bottomup.evaluation.measure import MEASURES, Collected
from bottomup.types import Prediction


@MEASURES.register
class Objects(Collected):
    """COCO's AP and AR of masks, the mean of all categories (``evaluation.masks``)."""

    def judged(self, predictions: list[Prediction]) -> dict[str, float]:
        """mask_AP and the like."""
        return mean_of_categories(evaluate_categories(predictions, self.ground_truth, self.max_people).values())

    @property
    def metrics(self) -> dict[str, float]:
        """The figures, also where no image was judged: then all objects were missed."""
        return super().metrics or self.judged([])
