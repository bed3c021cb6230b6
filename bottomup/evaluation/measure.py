"""The contract of a measure: figures of one protocol that a data set or a decoder asks for; one class, one file of ``measures``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace

from bottomup.dataset import GroundTruth
from bottomup.errors import warn
from bottomup.options import made
from bottomup.registry import Registry
from bottomup.skeletons import Skeleton
from bottomup.types import Prediction


class Measure(ABC):
    """Figures of one protocol, added up image by image.

    ``ground_truth`` is what the data set annotates; where the data set asks for the measure itself, its ``measures`` name the class
    and its options, keyword by keyword. ``skeleton`` is None where nobody has keypoints; of each image the ``max_people`` best
    instances may count, where the protocol sets a limit at all. ``of_poses`` says that it judges keypoints.
    """

    of_poses = False

    def __init__(self, ground_truth: GroundTruth, skeleton: Skeleton | None, max_people: int) -> None:
        self.ground_truth, self.skeleton, self.max_people = ground_truth, skeleton, max_people

    @classmethod
    def lacking(cls, skeleton: Skeleton | None, options: Mapping[str, object]) -> str:
        """What a skeleton would have to have for it, in words; empty where it judges such people."""
        return ""

    @abstractmethod
    def add(self, prediction: Prediction) -> None:
        """Count one image's prediction, in image px, its segmentation among it; DataError for an image that is not listed."""

    @property
    @abstractmethod
    def metrics(self) -> dict[str, float]:
        """The figures in [0, 1] by name; NaN where there is nothing to judge.

        They have always the same names, but for those of what was found in no image: there are none of them then. A name with a
        slash is of a single keypoint or category: files have it, the terminal does not.
        """

    @property
    def names(self) -> tuple[str, ...]:
        """The names that its figures may have."""
        return tuple(self.metrics)


class Collected(Measure):
    """A measure of all images at once, which ranks what was found in one among what was found in all."""

    def __init__(self, ground_truth: GroundTruth, skeleton: Skeleton | None, max_people: int) -> None:
        super().__init__(ground_truth, skeleton, max_people)
        self._found: list[Prediction] = []

    def add(self, prediction: Prediction) -> None:
        """Keep what was found in an image, without its map of the foreground: a thousand such take gigabytes."""
        self._found.append(replace(prediction, segmentation=None))

    def judges(self, prediction: Prediction) -> bool:
        """Whether an image's prediction has what is judged."""
        return True

    @abstractmethod
    def judged(self, predictions: list[Prediction]) -> dict[str, float]:
        """The figures of predictions, in the order of the data set."""

    @property
    def metrics(self) -> dict[str, float]:
        """The figures; none where no prediction has what is judged."""
        places = {image["id"]: place for place, image in enumerate(self.ground_truth["images"])}
        found = sorted(self._found, key=lambda prediction: places.get(prediction.image_id, len(places)))
        return self.judged(found) if any(map(self.judges, found)) else {}

    @property
    def names(self) -> tuple[str, ...]:
        """The names that its figures have where there is something to judge."""
        return tuple(self.judged([]))


MEASURES: Registry[Measure] = Registry("measure", "bottomup.evaluation.measures")


def measures_of(ground_truth: GroundTruth, skeleton: Skeleton | None, max_people: int, posed: bool = True) -> list[Measure]:
    """The measures that a data set asks for itself, with nothing counted yet; ConfigError for one that is unknown.

    Without poses (``posed``) those of keypoints are none. What a measure needs and the skeleton, onto which another may have been
    mapped, has not, is said; it then judges nothing.
    """
    found = []
    for name, options in ground_truth.get("measures", {}).items():
        lacking = MEASURES[name].lacking(skeleton, options)
        if MEASURES[name].of_poses and not posed:
            continue
        if lacking:
            warn(f"measure {name} judges nothing here: {lacking}")
        else:
            found.append(made(MEASURES[name], ground_truth, skeleton, max_people, options=options))
    return found
