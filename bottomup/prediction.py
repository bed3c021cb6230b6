"""What was found in one image, and the forms in which people want it: arrays, COCO results, a picture, supervision's objects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from bottomup.drawing.poses import draw_instances
from bottomup.drawing.sheets import Picture
from bottomup.errors import ConfigError, DataError, counted
from bottomup.geometry import to_indices
from bottomup.images import Image, pixels_of
from bottomup.instances import Instances
from bottomup.paths import write_json
from bottomup.skeletons import Skeleton


class Supervision(NamedTuple):
    """One image's people as objects of the package supervision."""

    key_points: Any  # supervision.KeyPoints
    detections: Any  # supervision.Detections


@dataclass(frozen=True)
class Prediction:
    """What was found in one image, in the px of ``size``."""

    instances: Instances
    size: tuple[int, int]  # (H, W) of the frame the instances are in
    segmentation: Tensor | None = None  # (H, W) float32 probability of the foreground
    image_id: int | None = None
    skeleton: Skeleton | None = None  # of the instances; None: whoever made it did not say
    keypoint_threshold: float = 0.0  # of presence: which keypoints are drawn, those above it

    def __repr__(self) -> str:
        masks = "" if self.instances.masks is None else ", masks"
        segmentation = "" if self.segmentation is None else ", segmentation"
        image = "" if self.image_id is None else f", image_id={self.image_id}"
        found, size = counted(len(self.instances), "instance"), " x ".join(map(str, self.size))
        return f"Prediction({found} in {size} px{masks}{segmentation}{image})"

    def numpy(self) -> dict[str, NDArray[Any]]:
        """The instances as named numpy arrays; masks, where there are any, as (P, H, W) bool."""
        named = {f.name: getattr(self.instances, f.name) for f in fields(self.instances) if f.name != "masks"}
        found = {name: value for name, value in named.items() if value is not None}
        if self.instances.masks is not None:
            found["masks"] = self.instances.masks.draw(self.size)
        return {name: tensor.numpy() for name, tensor in found.items()}

    def draw(self, image: Image) -> Picture:
        """The people over their image, a picture (H, W, 3) uint8 RGB: poses, masks where there are any, and scores.

        ``image`` is what was predicted: a path, an (H, W, 3) uint8 RGB array or a Pillow image. A file is read upright; of one that
        was predicted as stored give the array. Raises DataError for an image of another size, ConfigError without a skeleton.
        """
        if self.skeleton is None and self.instances.keypoints.shape[1]:
            raise ConfigError("this prediction has no skeleton to draw; give it one: Prediction(…, skeleton=COCO)")
        pixels = pixels_of(image)
        if pixels.shape[:2] != self.size:
            size, other = (" x ".join(map(str, sides)) for sides in (self.size, pixels.shape[:2]))
            raise DataError(f"the image to draw on should be the predicted one, of {size} px, got {other} px (height x width)")
        return draw_instances(pixels.transpose(2, 0, 1), self.instances, self.skeleton, keypoint_threshold=self.keypoint_threshold)

    def to_supervision(self) -> Supervision:
        """The people as supervision's KeyPoints and Detections, in one order, with which its annotators and trackers work.

        Coordinates stay as they are; keypoints that were not found are at (0, 0), as there, and ``visible`` are those that ``draw``
        shows. Raises ConfigError where the package is not installed (`pip install 'bottomup[supervision]'`).
        """
        try:
            import supervision
        except ModuleNotFoundError as error:
            raise ConfigError(f"to_supervision needs {error.name}; pip install 'bottomup[supervision]'") from error
        people = self.numpy()
        found = people["keypoint_scores"] > 0
        key_points = supervision.KeyPoints(
            xy=np.where(found[..., None], people["keypoints"], np.float32(0)),
            class_id=people["labels"],
            keypoint_confidence=people["keypoint_scores"],
            detection_confidence=people["scores"],
            visible=self.instances.usable(self.keypoint_threshold).numpy(),
        )
        detections = supervision.Detections(
            xyxy=people["boxes"],
            mask=people.get("masks"),
            confidence=people["scores"],
            class_id=people["labels"],
            tracker_id=people.get("track_ids"),
        )
        return Supervision(key_points, detections)

    def to_coco(self, category_id: int | Sequence[int] = 1) -> list[dict[str, Any]]:
        """COCO results; keypoints as COCO's pixel indices (x - 0.5), missing ones as 0, 0, 0; masks as compressed RLE.

        ``category_id`` is all instances', or a list has that of each label.
        """
        labels = [0] * len(self.instances) if isinstance(category_id, int) else self.instances.labels.tolist()
        ids = [category_id] if isinstance(category_id, int) else list(category_id)
        records = list(self._records())
        for record, label in zip(records, labels, strict=True):
            record["category_id"] = ids[label]
        if self.instances.masks is not None:
            for record, code in zip(records, self.instances.masks.to_rle(self.size), strict=True):
                record["segmentation"] = code
        return records

    def _records(self) -> Iterator[dict[str, Any]]:
        """The records of all instances but for category and mask."""
        own = self.instances
        keypoints = coco_keypoints(own.keypoints.numpy(), own.keypoint_scores.numpy())
        presence, tracks = own.keypoint_presence, own.track_ids
        columns: dict[str, list[Any]] = {} if presence is None else {"keypoint_presence": _rounded(presence.numpy()).tolist()}
        columns |= {"keypoints": keypoints.reshape(len(own), 3 * keypoints.shape[1]).tolist()} if keypoints.shape[1] else {}
        columns |= {} if tracks is None else {"track_id": tracks.tolist()}
        columns |= {"image_id": [self.image_id] * len(own), "category_id": [0] * len(own)}
        columns["bbox"] = coco_boxes(own.boxes.numpy()).tolist()
        columns["score"] = own.scores.tolist()
        for values in zip(*columns.values(), strict=True):
            yield dict(zip(columns, values, strict=True))

    def save(self, path: str | Path) -> Path:
        """Write the instances as COCO results JSON, whole or not at all."""
        return write_json(path, self.to_coco())


def coco_keypoints(keypoints: NDArray[np.float32], scores: NDArray[np.float32]) -> NDArray[np.float64]:
    """Keypoints (P, K, 2) px and their scores (P, K) as COCO's numbers (P, K, 3): pixel indices and score, 0, 0, 0 if missing."""
    found = scores > 0
    points = np.where(found[..., None], np.nan_to_num(to_indices(keypoints)), 0.0)
    return _rounded(np.concatenate((points, np.where(found, scores, 0.0)[..., None]), axis=2))


def coco_boxes(boxes: NDArray[np.floating]) -> NDArray[np.float64]:
    """Boxes (P, 4) xyxy as COCO's x, y, width, height."""
    return _rounded(np.concatenate((boxes[:, :2], boxes[:, 2:].astype(np.float64) - boxes[:, :2]), axis=1))


def _rounded(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Numbers to three decimals, as text has them."""
    return np.asarray(np.round(values.astype(np.float64), 3))
