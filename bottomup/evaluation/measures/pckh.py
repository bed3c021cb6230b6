"""AP of keypoints by PCKh, the measure of MPII Multi-Person and of PoseTrack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bottomup.coco.masks import covered
from bottomup.dataset import GroundTruth, Record
from bottomup.errors import DataError
from bottomup.evaluation.curves import area_under, mean_of_known, precision_recall
from bottomup.evaluation.measure import MEASURES, Measure
from bottomup.evaluation.records import by_image, is_crowd
from bottomup.geometry import from_indices
from bottomup.options import Positive
from bottomup.skeletons import Skeleton
from bottomup.types import Instances, Prediction

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class _Group:
    """People who are judged together; ``region`` (4,) xyxy px is where, None: in the whole image."""

    region: Floats | None
    keypoints: Floats  # (N, K, 2) px
    labelled: Flags  # (N, K), one of each person's at least
    head_sizes: Floats  # (N,) px


@MEASURES.register
class Pckh(Measure):
    """The AP of each keypoint where a find is right within ``threshold`` head sizes of its place, and their mean, PCKh_AP.

    An image is judged by its ``groups``, each with ids of ``people`` and a ``region`` xyxy px, else as one: a predicted person
    belongs to the group in whose region the middle of its keypoints lies, of several to the nearest, and counts nowhere outside
    of all. Within a group each prediction keeps the person of whom most keypoints are right, as a share of those annotated, and
    each person the prediction that has most of theirs; keypoints of all other predictions are wrong. All finds of a keypoint are
    then ranked by their own scores. ``parts`` name keypoints that are told of together; those in none count nowhere. Of each
    person ``head_size`` says the px of a head; those who have no such, or no keypoint, are nobody here. Groups of nobody, and
    keypoints inside crowds, annotated or found, do not count.

    Source: Pishchulin et al., DeepCut, CVPR 2016, §5, and the evaluation toolkits of MPII and PoseTrack; AP is the area under the
    curve.
    """

    of_poses = True

    def __init__(
        self,
        ground_truth: GroundTruth,
        skeleton: Skeleton | None,
        max_people: int,
        *,
        parts: Mapping[str, Sequence[str]],
        threshold: Positive = 0.5,
    ) -> None:
        super().__init__(ground_truth, skeleton, max_people)
        assert skeleton is not None  # which the keypoints are of
        self._parts, self._threshold = parts, threshold
        self._names = [name for names in parts.values() for name in names]
        self._order = [skeleton.index(name) for name in self._names]
        self._images = {image["id"]: image for image in ground_truth["images"]}
        self._people = by_image(ground_truth["annotations"])
        self._groups = {image_id: self._groups_of(image) for image_id, image in self._images.items()}
        self._scores: list[list[float]] = [[] for _ in self._names]  # of all finds
        self._correct: list[list[bool]] = [[] for _ in self._names]

    @classmethod
    def lacking(cls, skeleton: Skeleton | None, options: Mapping[str, object]) -> str:
        """The keypoints of ``parts`` that a skeleton has not; those that were mapped onto it have its names."""
        parts, known = options.get("parts"), () if skeleton is None else skeleton.keypoints
        wanted = [name for names in parts.values() for name in names] if isinstance(parts, Mapping) else []
        missing = [name for name in wanted if name not in known]
        return f"it is of {', '.join(missing)}, which these people do not have" if missing else ""

    def _groups_of(self, image: Record) -> list[_Group]:
        people = self._people.get(image["id"], [])
        by_id = {person["id"]: person for person in people if person.get("head_size") and not is_crowd(person)}
        stated = image.get("groups")
        if stated is None:
            return [self._group(None, list(by_id.values()), image)]
        return [self._group(group["region"], [by_id[one] for one in group["people"] if one in by_id], image) for group in stated]

    def _group(self, region: Sequence[float] | None, people: Sequence[Record], image: Record) -> _Group:
        triples = [np.reshape(person["keypoints"], (-1, 3))[self._order] for person in people]
        truth = np.array(triples, np.float64).reshape(len(people), len(self._order), 3)
        points = from_indices(truth[..., :2])
        labelled, sizes = truth[..., 2] > 0, np.array([person["head_size"] for person in people], np.float64)
        labelled &= ~self._in_crowds(points, image)
        someone = labelled.any(1)
        place = None if region is None else np.array(region, np.float64)
        return _Group(place, points[someone], labelled[someone], sizes[someone])

    def _in_crowds(self, points: Floats, image: Record) -> Flags:
        """Which points (..., 2) px lie in a crowd of their image; those out of the image lie in none."""
        inside = np.zeros(points.shape[:-1], bool)
        crowds = [record for record in self._people.get(image["id"], []) if is_crowd(record)]
        if crowds:
            width, height = image["width"], image["height"]
            seen = ((points >= 0) & (points < (width, height))).all(-1)
            columns, rows = points[seen].astype(np.int64).T
            inside[seen] = covered(crowds, image)[rows, columns]
        return inside

    def add(self, prediction: Prediction) -> None:
        """Match one image's predictions with the people of its groups."""
        if prediction.image_id not in self._groups:
            raise DataError(f"a prediction is of image {prediction.image_id}, which the ground truth does not list")
        points = prediction.instances.keypoints.numpy().astype(np.float64)
        counted = ~self._in_crowds(points, self._images[prediction.image_id])
        found = prediction.instances.keypoint_scores.numpy() * counted
        groups = self._groups[prediction.image_id]
        owner = _owners(prediction.instances, [group.region for group in groups if group.region is not None])
        for number, group in enumerate(groups):
            own = owner == number if group.region is not None else np.ones(len(points), bool)
            if len(group.keypoints):
                self._match(points[own][:, self._order], found[own][:, self._order], group)

    def _match(self, found: Floats, scores: NDArray[np.float32], group: _Group) -> None:
        """Keep each find, of points (P, K, 2) px, with its score (P, K) and whether it is right."""
        present = (scores > 0) & np.isfinite(found).all(-1)
        with np.errstate(invalid="ignore"):  # not found is not a number
            distances = np.linalg.norm(found[:, None] - group.keypoints[None], axis=-1)  # (P, N, K)
            near = np.asarray(distances <= self._threshold * group.head_sizes[:, None])
        correct = assigned(near & present[:, None] & group.labelled, group.labelled)
        for k in range(len(self._names)):
            self._scores[k] += scores[present[:, k], k].tolist()
            self._correct[k] += correct[present[:, k], k].tolist()

    @property
    def metrics(self) -> dict[str, float]:
        """PCKh_AP, PCKh_AP_<part> and PCKh_AP/<keypoint>; NaN for what nobody has annotated, which no mean counts."""
        own = {name: self._ap(k) for k, name in enumerate(self._names)}
        parts = {f"PCKh_AP_{part}": mean_of_known(own[name] for name in names) for part, names in self._parts.items()}
        return {"PCKh_AP": mean_of_known(own.values())} | parts | {f"PCKh_AP/{name}": value for name, value in own.items()}

    def _ap(self, k: int) -> float:
        positives = sum(int(group.labelled[:, k].sum()) for groups in self._groups.values() for group in groups)
        curve = precision_recall(self._scores[k], self._correct[k], positives)
        return area_under(*curve) if positives else float("nan")


def assigned(near: Flags, labelled: Flags) -> Flags:
    """Which keypoints (P, K) of predictions are right, one prediction to a person and one person to a prediction.

    ``near`` (P, N, K) says which are near the same of whom, ``labelled`` (N, K) which of those are annotated, one of each
    person's at least.
    """
    correct = np.zeros((near.shape[0], near.shape[2]), bool)
    if not near.size:
        return correct
    share = near.sum(2) / labelled.sum(1)
    share[share.argmax(1)[:, None] != np.arange(share.shape[1])] = 0  # each prediction's best person alone
    people = np.flatnonzero(share.max(0) > 0)
    chosen = share.argmax(0)[people]
    correct[chosen] = near[chosen, people]
    return correct


def _owners(instances: Instances, regions: Sequence[Floats]) -> NDArray[np.int64]:
    """The region of each instance (P,), -1 for none: that in which the middle of its keypoints lies, of several the nearest."""
    points = instances.keypoints.numpy().astype(np.float64)
    found = (instances.keypoint_scores.numpy() > 0) & np.isfinite(points).all(-1)
    total = np.where(found[..., None], points, 0).sum(1)
    middle = (total / np.maximum(found.sum(1), 1)[:, None])[:, None]  # (P, 1, 2)
    corners = np.array(regions, np.float64).reshape(-1, 4)
    near = (middle >= corners[:, :2]) & (middle <= corners[:, 2:])
    inside = near.all(-1) & np.asarray(found.any(1))[:, None]  # (P, regions)
    distance = np.linalg.norm(middle - (corners[:, :2] + corners[:, 2:]) / 2, axis=-1)
    nearest = np.where(inside, distance, np.inf).argmin(1) if len(corners) else np.zeros(len(points), np.int64)
    return np.where(inside.any(1), nearest, -1)
