"""A predictor judged on a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tqdm import tqdm

from bottomup.base_predictor import BasePredictor
from bottomup.dataset import Dataset, GroundTruth, Record
from bottomup.errors import ConfigError
from bottomup.evaluation.boxes import BOXES, evaluate_boxes
from bottomup.evaluation.coco import evaluate_keypoints
from bottomup.evaluation.masks import evaluate_categories, evaluate_masks, mean_of_categories
from bottomup.evaluation.measure import measures_of
from bottomup.evaluation.records import by_image, category_ids
from bottomup.evaluation.segmentation import SegmentationOverlap
from bottomup.skeletons import Skeleton
from bottomup.types import Prediction


@dataclass(frozen=True)
class Evaluation:
    """The predictions in the data set's order, its annotations and the figures."""

    predictions: list[Prediction]
    ground_truth: GroundTruth
    metrics: dict[str, float]

    @property
    def headline(self) -> dict[str, float]:
        """The figures without those of single keypoints and categories."""
        return {name: value for name, value in self.metrics.items() if "/" not in name}


def evaluate_dataset(
    predictor: BasePredictor,
    dataset: Dataset,
    *,
    oracle: Sequence[str] = (),
    workers: int = 0,
    max_people: int = 20,
    progress: bool = False,
) -> Evaluation:
    """COCO keypoint AP and AR of a predictor, and of its masks, boxes and foreground where it finds any; then the data set's own.

    Of a predictor that finds masks of objects and no keypoints, COCO's mask metrics, the mean of all categories. Of a data set
    without keypoints that has measures of its own, people are judged by those alone, and by the foreground.
    ``oracle`` names heads replaced by their ideal outputs.
    """
    found: dict[int, Prediction] = {}
    ground_truth = dataset.ground_truth()
    measured, posed = dataset.task.skeleton is None and bool(ground_truth.get("measures")), predictor.decoder.posed
    skeleton = _common_skeleton(predictor, dataset) if posed and not measured else None
    if skeleton is None:
        _check_categories(predictor, dataset)
    regions = _regions(ground_truth)
    overlap, own = SegmentationOverlap(), measures_of(ground_truth, skeleton, max_people) if posed or measured else []
    stream = predictor.predict_dataset(dataset, oracle, workers)
    for index, prediction in tqdm(stream, total=len(dataset), unit="image", disable=None if progress else True):
        overlap.add(prediction, regions.get(dataset.image_ids[index], []))
        for measure in own:
            measure.add(prediction)
        found[index] = replace(prediction, segmentation=None)  # a map of the image's size; a thousand take gigabytes
    predictions = [found[index] for index in range(len(dataset))]
    if not posed:
        metrics = mean_of_categories(evaluate_categories(predictions, ground_truth, max_people).values())
    else:
        metrics = {} if skeleton is None else _of_people(predictions, ground_truth, skeleton, max_people)
    metrics |= overlap.metrics
    for measure in own:
        metrics |= measure.metrics
    return Evaluation(predictions, ground_truth, metrics)


def _of_people(predictions: list[Prediction], ground_truth: GroundTruth, skeleton: Skeleton, max_people: int) -> dict[str, float]:
    """COCO's figures of keypoints, and of masks and boxes where there are such; objects without keypoints are nobody."""
    metrics = evaluate_keypoints(predictions, ground_truth, skeleton, max_people)
    posed = set(category_ids(ground_truth, skeleton))
    people = [entry for entry in ground_truth["annotations"] if entry["category_id"] in posed]
    ground_truth = {**ground_truth, "annotations": people}
    if any(prediction.instances.masks is not None for prediction in predictions):
        metrics |= evaluate_masks(predictions, ground_truth, max_people)
    if any(prediction.instances.box_scores is not None for prediction in predictions):
        metrics |= evaluate_boxes(predictions, ground_truth, max(max_people, BOXES))
    return metrics


def _regions(ground_truth: GroundTruth) -> dict[int, list[Record]]:
    """The annotations of each image, what is ``void`` of it among them, as a crowd: nobody for sure."""
    void = [
        {"image_id": image["id"], "segmentation": image["void"], "bbox": [0, 0, image["width"], image["height"]], "iscrowd": 1}
        for image in ground_truth["images"]
        if image.get("void")
    ]
    return by_image([*ground_truth["annotations"], *void])


def _check_categories(predictor: BasePredictor, dataset: Dataset) -> None:
    """ConfigError where objects are judged by categories that are not the model's, in their order."""
    own, theirs = predictor.model.task.categories, dataset.task.categories
    if own != theirs:
        chosen = own[0] if len(own) == 1 else f"[{','.join(own)}]"
        raise ConfigError(
            f"the model finds {', '.join(own)}, the data set has {', '.join(theirs)}; give data.category={chosen}, or other weights"
        )


def _common_skeleton(predictor: BasePredictor, dataset: Dataset) -> Skeleton:
    """The skeleton of both; ConfigError where the data set has none or the model another."""
    skeleton = dataset.task.skeleton
    if skeleton is None:
        raise ConfigError(
            "the data set has no keypoints to evaluate; choose one whose category names keypoints (data.category=NAME)"
        )
    if predictor.model.task.skeleton is None or predictor.model.task.skeleton.keypoints != skeleton.keypoints:
        raise ConfigError(
            f"the model finds {predictor.model.task.skeleton and predictor.model.task.skeleton.name!r} keypoints, the data set has "
            f"{skeleton.name!r}; map these onto those: data=concat data.skeleton=NAME, and in its data.sets `keypoints`, "
            "{the model's name: the data set's name}"
        )
    return skeleton
