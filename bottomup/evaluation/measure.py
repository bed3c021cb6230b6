"""The contract of a measure that a data set has of its own, beside COCO's: one class, one file of ``measures``."""

from __future__ import annotations

from abc import ABC, abstractmethod

from bottomup.dataset import GroundTruth
from bottomup.options import made
from bottomup.registry import Registry
from bottomup.skeletons import Skeleton
from bottomup.types import Prediction


class Measure(ABC):
    """Figures of one data set's protocol, added up image by image.

    ``ground_truth`` is what the data set annotates, whose ``measures`` name the class and its options, keyword by keyword;
    ``skeleton`` is None where nobody has keypoints; of each image the ``max_people`` best instances may count, where the protocol
    sets a limit at all.
    """

    def __init__(self, ground_truth: GroundTruth, skeleton: Skeleton | None, max_people: int) -> None:
        self.ground_truth, self.skeleton, self.max_people = ground_truth, skeleton, max_people

    @abstractmethod
    def add(self, prediction: Prediction) -> None:
        """Count one image's prediction, in image px, its segmentation among it; DataError for an image that is not listed."""

    @property
    @abstractmethod
    def metrics(self) -> dict[str, float]:
        """The figures in [0, 1] by name, always the same names; NaN where there is nothing to judge.

        A name with a slash is of a single keypoint or category: files have it, the terminal does not.
        """


MEASURES: Registry[Measure] = Registry("measure", "bottomup.evaluation.measures")


def measures_of(ground_truth: GroundTruth, skeleton: Skeleton | None, max_people: int) -> list[Measure]:
    """The measures that a data set asks for, with nothing counted yet; ConfigError for one that is unknown."""
    asked = ground_truth.get("measures", {})
    return [made(MEASURES[name], ground_truth, skeleton, max_people, options=options) for name, options in asked.items()]
