"""CrowdPose's AP by how crowded an image is."""

from __future__ import annotations

from dataclasses import replace

from bottomup.dataset import GroundTruth
from bottomup.errors import DataError
from bottomup.evaluation.backend import accumulated
from bottomup.evaluation.coco import MetricTable, read_metrics
from bottomup.evaluation.measure import MEASURES, Measure
from bottomup.evaluation.oks import match
from bottomup.evaluation.records import Records, read_records
from bottomup.options import Fraction
from bottomup.skeletons import Skeleton
from bottomup.types import Prediction

_AP: MetricTable = {"AP": ("precision", None, "all")}
LEVELS = ("easy", "medium", "hard")


@MEASURES.register
class CrowdIndex(Measure):
    """AP_easy, AP_medium and AP_hard: COCO's AP over images whose ``crowdIndex`` is below ``easy``, below ``hard``, or higher.

    The index is the mean, over an image's people, of other people's keypoints per keypoint of theirs in their box, so 0 where
    everybody stands alone. Source: Li et al., CrowdPose, CVPR 2019, §3.2: levels of 0 to .1, .1 to .8, .8 to 1; the authors'
    published program has .2 in the place of .1, which ``easy`` sets.
    """

    of_poses = True

    def __init__(
        self,
        ground_truth: GroundTruth,
        skeleton: Skeleton | None,
        max_people: int,
        *,
        easy: Fraction = 0.1,
        hard: Fraction = 0.8,
    ) -> None:
        super().__init__(ground_truth, skeleton, max_people)
        assert skeleton is not None  # OKS is of keypoints
        self._sigmas, self._skeleton = skeleton.sigmas, skeleton
        self._levels = {image["id"]: _level(image, easy, hard) for image in ground_truth["images"]}
        self._predictions: list[Prediction] = []

    def add(self, prediction: Prediction) -> None:
        """Keep the image's people, to be ranked among those of all images."""
        poses = replace(prediction, segmentation=None, instances=replace(prediction.instances, masks=None))
        self._predictions.append(poses)

    @property
    def metrics(self) -> dict[str, float]:
        """AP_easy, AP_medium, AP_hard; NaN where a level has nobody to find."""
        records = read_records(self._predictions, self.ground_truth, self._skeleton)
        return {f"AP_{name}": self._ap(records, level) for level, name in enumerate(LEVELS)}

    def _ap(self, records: Records, level: int) -> float:
        part = records.of(image_id for image_id, own in self._levels.items() if own == level)
        return read_metrics(accumulated(match(part, self._sigmas, self.max_people, areas=("all",))), _AP)["AP"]


def _level(image: dict[str, object], easy: float, hard: float) -> int:
    """Which of LEVELS an image is of; DataError where it does not say its index."""
    index = image.get("crowdIndex")
    if not isinstance(index, int | float):
        expected = "`crowdIndex` should be a number from 0 to 1"
        raise DataError(f"image {image['id']}: {expected}, got {index!r}; give CrowdPose's own file, or read it with data=coco")
    return int(index >= easy) + int(index >= hard)
