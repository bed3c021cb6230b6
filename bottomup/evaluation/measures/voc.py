"""PASCAL VOC's measures of masks: AP of instances, IoU of classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from bottomup.coco.masks import mask_rle
from bottomup.dataset import GroundTruth, Record
from bottomup.errors import DataError
from bottomup.evaluation.curves import area_under, eleven_points, mean_of_known, precision_recall
from bottomup.evaluation.foreground import ThresholdedOverlap
from bottomup.evaluation.measure import MEASURES, Measure
from bottomup.evaluation.records import by_image, is_crowd
from bottomup.options import BelowOne
from bottomup.skeletons import Skeleton
from bottomup.types import Prediction

_OVERLAPS = (0.5, 0.7)
_CURVES = {"": area_under, "_11": eleven_points}


@MEASURES.register
class Voc(Measure):
    """The AP of masks at IoU .5 and .7 (voc_AP50, voc_AP70) and the IoU of classes (voc_IoU, voc_mIoU), means over categories.

    Pixels of an image's ``void``, the borders that VOC labels 255, count nowhere. **AP**: each mask is compared with the object of
    its category that it overlaps most; best scores first, the first that does so by the threshold is right, every other is wrong.
    It is the area under the curve, as the protocol's authors' program has it; "voc_AP50_11" and "voc_AP70_11" are over eleven
    points of recall, as later programs have it. **IoU**: over the pixels of all images; of one category it is the foreground
    where ``segmentation`` is above ``foreground``, else the masks, the best score on top. voc_IoU is the mean over the categories,
    a category's own where there is one (MultiPoseNet §4.4), voc_mIoU that over the background, too, as VOC's. Slashes have a
    category's own: "voc_AP50/person". Of one category "voc_IoU_above/0.30" is its IoU where ``segmentation`` above 0.3 is
    foreground, and voc_IoU_best the best of those, which is to be chosen on other images.

    Source: Hariharan et al., Simultaneous Detection and Segmentation, ECCV 2014, §4; Everingham et al., IJCV 2015, §4.
    """

    def __init__(
        self, ground_truth: GroundTruth, skeleton: Skeleton | None, max_people: int, *, foreground: BelowOne = 0.5
    ) -> None:
        super().__init__(ground_truth, skeleton, max_people)
        self._foreground = foreground
        self._categories = {category["id"]: label for label, category in enumerate(ground_truth["categories"])}
        self._names = [str(category["name"]) for category in ground_truth["categories"]]
        self._images = {image["id"]: image for image in ground_truth["images"]}
        annotated = [record for record in ground_truth["annotations"] if record.get("segmentation") and not is_crowd(record)]
        self._objects = by_image(annotated)
        labels = [self._categories[record["category_id"]] for record in annotated]
        self._positives = np.bincount(np.array(labels, int), minlength=len(self._names))
        self._finds: list[tuple[int, float, float, int]] = []  # label, score, IoU with the nearest object, that object's id
        self._confusion = np.zeros((len(self._names) + 1, len(self._names) + 1), np.int64)  # true by found, 0 the background
        self._seen = {"masks": 0, "pixels": 0}
        self._thresholded = ThresholdedOverlap() if len(self._names) == 1 else None

    def add(self, prediction: Prediction) -> None:
        """Compare one image's masks, and its pixels, with its objects."""
        image = None if prediction.image_id is None else self._images.get(prediction.image_id)
        if image is None:
            raise DataError(f"a prediction is of image {prediction.image_id}, which the ground truth does not list")
        objects = self._objects.get(image["id"], [])
        void = np.zeros(prediction.size, bool)
        if image.get("void"):
            void = coco_mask.decode(mask_rle(image["void"], image)).astype(bool)
        if prediction.instances.masks is not None:
            self._seen["masks"] += 1
            self._finds += self._compare(prediction, objects, image, void)
        found = self._found(prediction)
        if found is not None:
            self._seen["pixels"] += 1
            count = len(self._confusion)
            true = self._true(objects, image)
            if self._thresholded is not None and prediction.segmentation is not None:
                self._thresholded.add(prediction.segmentation.numpy(), true > 0, ~void)
            pairs = true[~void] * count + found[~void]
            self._confusion += np.bincount(pairs, minlength=count * count).reshape(count, count)

    # ---- instances -------------------------------------------------------------------------------------------------------

    def _compare(
        self, prediction: Prediction, objects: Sequence[Record], image: Record, void: NDArray[np.bool_]
    ) -> list[tuple[int, float, float, int]]:
        """Each mask as a find: with the object of its category that it overlaps most."""
        instances = prediction.instances
        assert instances.masks is not None
        counted = coco_mask.encode(np.asfortranarray(~void).astype(np.uint8))
        codes = [_inside(code, counted) for code in instances.masks.to_rle(prediction.size)]
        truth = [_inside(mask_rle(record["segmentation"], image), counted) for record in objects]
        shape = (len(codes), len(truth))
        overlaps = np.array(coco_mask.iou(codes, truth, [0] * len(truth)) if codes and truth else np.zeros(shape)).reshape(shape)
        labels = instances.labels.numpy()
        own = np.array([self._categories[record["category_id"]] for record in objects], int)
        overlaps = np.where(labels[:, None] == own[None], overlaps, 0.0)
        best = overlaps.max(1, initial=0.0)
        ids = [objects[int(row.argmax())]["id"] if len(objects) else 0 for row in overlaps]
        return list(zip(labels.tolist(), instances.scores.tolist(), best.tolist(), ids, strict=True))

    def _ap(self, label: int, overlap: float) -> dict[str, float]:
        """The AP of one category by each kind of curve."""
        positives = int(self._positives[label])
        if not positives or not self._seen["masks"]:
            return dict.fromkeys(_CURVES, float("nan"))
        own = sorted((find for find in self._finds if find[0] == label), key=lambda find: -find[1])
        scores, overlaps, objects = (np.array([find[place] for find in own], float) for place in (1, 2, 3))
        near = np.flatnonzero(overlaps >= overlap)
        correct = np.zeros(len(own), bool)
        correct[near[np.unique(objects[near], return_index=True)[1]]] = True  # who finds an object first
        curve = precision_recall(scores, correct, positives)
        return {name: average(*curve) for name, average in _CURVES.items()}

    # ---- pixels ----------------------------------------------------------------------------------------------------------

    def _found(self, prediction: Prediction) -> NDArray[np.int64] | None:
        """The class (H, W) of each pixel as predicted, 0 the background; None where nothing says it."""
        if prediction.segmentation is not None and len(self._names) == 1:
            return (prediction.segmentation.numpy() > self._foreground).astype(np.int64)
        instances = prediction.instances
        if instances.masks is None:
            return None
        classes = np.zeros(prediction.size, np.int64)
        windows = list(instances.masks.windows(prediction.size))
        for index in instances.scores.argsort(stable=True).tolist():
            window, inside = windows[index]
            classes[window][inside.numpy()] = int(instances.labels[index]) + 1
        return classes

    def _true(self, objects: Sequence[Record], image: Record) -> NDArray[np.int64]:
        classes = np.zeros((image["height"], image["width"]), np.int64)
        for record in objects:
            inside = coco_mask.decode(mask_rle(record["segmentation"], image)).astype(bool)
            classes[inside] = self._categories[record["category_id"]] + 1
        return classes

    @property
    def metrics(self) -> dict[str, float]:
        """voc_AP50, voc_AP70, …_11, voc_IoU, voc_mIoU, and voc_AP50/<category>, voc_AP70/<category>, voc_IoU/<category>.

        Of one category voc_IoU_best and voc_IoU_above/<threshold>, too.
        """
        figures, single = dict[str, float](), dict[str, float]()
        for overlap in _OVERLAPS:
            name = f"voc_AP{round(100 * overlap)}"
            own = [self._ap(label, overlap) for label in range(len(self._names))]
            figures |= {name + curve: mean_of_known([averages[curve] for averages in own]) for curve in _CURVES}
            single |= {f"{name}/{category}": averages[""] for category, averages in zip(self._names, own, strict=True)}
        shared = np.diag(self._confusion)
        union = self._confusion.sum(0) + self._confusion.sum(1) - shared
        overlaps = [float(a / b) if b and self._seen["pixels"] else float("nan") for a, b in zip(shared, union, strict=True)]
        figures |= {"voc_IoU": mean_of_known(overlaps[1:]), "voc_mIoU": mean_of_known(overlaps)}
        single |= {f"voc_IoU/{category}": value for category, value in zip(self._names, overlaps[1:], strict=True)}
        if self._thresholded is not None:
            above = self._thresholded.iou()
            figures["voc_IoU_best"] = max(above.values())  # of not-a-numbers one
            single |= {f"voc_IoU_above/{threshold:.2f}": value for threshold, value in above.items()}
        return figures | single


def _inside(code: Record, counted: Record) -> Record:
    """The part of a run-length code that counts."""
    inside: Record = coco_mask.merge([code, counted], intersect=1)
    return inside
