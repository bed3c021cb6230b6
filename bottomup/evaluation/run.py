"""A predictor judged on a data set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from tqdm import tqdm

from bottomup.base_predictor import BasePredictor
from bottomup.contracts import Decoder
from bottomup.dataset import Dataset, GroundTruth
from bottomup.engine.distributed import Ranks
from bottomup.errors import ConfigError
from bottomup.evaluation.comparison import Comparison
from bottomup.evaluation.measure import MEASURES, Measure, measures_of
from bottomup.evaluation.measures.keypoints import Keypoints
from bottomup.samples.skipping import Readable
from bottomup.skeletons import Skeleton
from bottomup.types import Instances, Prediction

Found = list[tuple[int, Prediction]]  # in the images of a group, with their indices


@dataclass(frozen=True)
class Evaluation:
    """The predictions in the data set's order, its annotations and the figures."""

    predictions: list[Prediction]
    ground_truth: GroundTruth
    metrics: dict[str, float]
    unread: tuple[int, ...] = ()  # ids of images that were skipped, in which nobody counts as found
    comparison: Comparison | None = None  # of poses, for more figures of them; None where nobody has any

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
    seed: int = 0,
    place: Ranks | None = None,
) -> Evaluation:
    """The figures of a predictor on a data set, by the measures that its decoder and the data set ask for (``measures_for``).

    ``oracle`` names heads replaced by their ideal outputs, of which ``seed`` begins what chance draws. Of several ranks each
    predicts its share, and the first one has the predictions and the figures of all, as one process would; others have none.
    ConfigError where model and data set have nothing in common to judge.
    """
    place = place or Ranks()
    found: dict[int, Prediction] = {}
    ground_truth = dataset.ground_truth()
    _check_common(predictor, dataset, ground_truth)
    measures = measures_for(predictor.decoder, dataset.task.skeleton, ground_truth, max_people)
    readable, groups = Readable(), predictor.groups(dataset)
    own = predictor.predict_groups(dataset, place.share(groups), oracle, workers, readable, seed)
    shown = None if progress and place.first else True
    for some in _counted(place.in_turn(own, len(groups)), len(dataset), shown):
        for index, prediction in some:
            found[index] = _added(measures, prediction)
    readable.join(place.gather(readable))
    if not place.first:
        return Evaluation([], ground_truth, {})
    readable.tell("whose people count as missed")
    unread = sorted(readable.unread)
    for index in unread:
        found[index] = _added(measures, _nobody(dataset, index))
    metrics = {name: figure for measure in measures for name, figure in measure.metrics.items()}
    predictions = [found[index] for index in range(len(dataset))]
    comparison = next((measure.comparison for measure in measures if isinstance(measure, Keypoints)), None)
    return Evaluation(predictions, ground_truth, metrics, tuple(dataset.image_ids[index] for index in unread), comparison)


def _added(measures: Iterable[Measure], prediction: Prediction) -> Prediction:
    """Count a prediction by all measures; it comes back without its map of the image's size, of which a thousand take gigabytes."""
    for measure in measures:
        measure.add(prediction)
    return replace(prediction, segmentation=None)


def _counted(groups: Iterable[Found], images: int, disable: bool | None) -> Iterator[Found]:
    """What was found in groups of images, with a bar that counts these."""
    with tqdm(total=images, unit="image", disable=disable) as bar:
        for some in groups:
            yield some
            bar.update(len(some))


def _nobody(dataset: Dataset, index: int) -> Prediction:
    """The prediction of an image that was skipped: whoever is annotated there counts as missed."""
    return Prediction(Instances.empty(dataset.task.keypoints), dataset.image_size(index), image_id=dataset.image_ids[index])


def measures_for(decoder: Decoder, skeleton: Skeleton | None, ground_truth: GroundTruth, max_people: int) -> list[Measure]:
    """The measures by which what a decoder finds is judged on a data set, with nothing counted yet.

    Poses are judged by COCO's keypoints, and the masks and boxes that people have besides; of a decoder that finds masks of objects
    and no keypoints, those, the mean of all categories. The foreground is judged in any case, then whatever the data set asks for
    itself, as far as the decoder finds such; where that has no ``skeleton``, poses are judged by nothing else of COCO's.
    """
    coco = [MEASURES[name](ground_truth, skeleton, max_people) for name in (*_of_coco(decoder, skeleton), "foreground")]
    return coco + measures_of(ground_truth, skeleton, max_people, decoder.posed)


def _of_coco(decoder: Decoder, skeleton: Skeleton | None) -> tuple[str, ...]:
    if not decoder.posed:
        return ("objects",)
    return ("keypoints", "masks", "boxes") if skeleton is not None else ()


def _check_common(predictor: BasePredictor, dataset: Dataset, ground_truth: GroundTruth) -> None:
    """ConfigError unless poses are of the same keypoints, and objects of the same categories, where they are judged by such."""
    if predictor.decoder.posed and not (dataset.task.skeleton is None and ground_truth.get("measures")):
        _check_skeletons(predictor, dataset)
    else:
        _check_categories(predictor, dataset)


def _check_categories(predictor: BasePredictor, dataset: Dataset) -> None:
    """ConfigError where objects are judged by categories that are not the model's, in their order."""
    own, theirs = predictor.model.task.categories, dataset.task.categories
    if own != theirs:
        chosen = own[0] if len(own) == 1 else f"[{','.join(own)}]"
        raise ConfigError(
            f"the model finds {', '.join(own)}, the data set has {', '.join(theirs)}; give data.category={chosen}, or other weights"
        )


def _check_skeletons(predictor: BasePredictor, dataset: Dataset) -> None:
    """ConfigError where the data set has no skeleton, or the model another."""
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
