"""Average precision and recall of person boxes, as COCO defines them."""

from __future__ import annotations

from collections.abc import Iterable

from bottomup.dataset import GroundTruth, Record
from bottomup.errors import DataError
from bottomup.evaluation.backend import accumulated, evaluated
from bottomup.evaluation.coco import MetricTable, read_metrics
from bottomup.evaluation.columns import CATEGORY
from bottomup.evaluation.records import is_crowd
from bottomup.types import Prediction

BOXES = 100  # of an image that count, by COCO's rule

_METRICS: MetricTable = {
    "box_AP": ("precision", None, "all"),
    "box_AP50": ("precision", 0.5, "all"),
    "box_AP75": ("precision", 0.75, "all"),
    "box_APS": ("precision", None, "small"),
    "box_APM": ("precision", None, "medium"),
    "box_APL": ("precision", None, "large"),
    "box_AR": ("recall", None, "all"),
}


def evaluate_boxes(predictions: Iterable[Prediction], ground_truth: GroundTruth, max_people: int = BOXES) -> dict[str, float]:
    """COCO's box metrics of one category, in [0, 1]: box_AP, …50, …75, …S, …M, …L and box_AR.

    Boxes count by their own scores (``Instances.box_scores``), whatever their poses; ``predictions`` are in image px.
    ``ground_truth`` is a COCO dictionary of the people of one category, with keypoints or without, of which every image counts.
    Of each image the ``max_people`` best boxes count. NaN where nobody is to be found. Raises DataError for a prediction of an
    image that is not listed.
    """
    listed = [image["id"] for image in ground_truth["images"]]
    people = [_person(annotation, number) for number, annotation in enumerate(ground_truth["annotations"], 1)]
    found = _boxes(predictions, set(listed))
    evaluation = evaluated(listed, (people, found), "bbox", maxDets=[max_people])
    return read_metrics(accumulated(evaluation), _METRICS)


def _person(annotation: Record, number: int) -> Record:
    kept = {field: annotation[field] for field in ("image_id", "bbox", "area")}
    return {"id": number, "category_id": CATEGORY, "iscrowd": int(is_crowd(annotation))} | kept


def _boxes(predictions: Iterable[Prediction], listed: set[int]) -> list[Record]:
    records: list[Record] = []
    for prediction in predictions:
        if prediction.image_id not in listed:
            raise DataError(f"a prediction is of image {prediction.image_id}, which the ground truth does not list")
        scores = prediction.instances.box_scores
        for box, score in zip(
            prediction.instances.boxes.tolist(), [] if scores is None else scores.tolist(), strict=scores is not None
        ):
            x1, y1, x2, y2 = box
            record = {
                "id": len(records) + 1,
                "image_id": prediction.image_id,
                "category_id": CATEGORY,
                "score": score,
                "iscrowd": 0,
            }
            records.append(record | {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1)})
    return records
