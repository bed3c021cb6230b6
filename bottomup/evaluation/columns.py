"""Annotated people and found instances of all images as columns of numbers, which every figure of poses starts from."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from bottomup.dataset import Record

AREAS = {"all": (0.0, 1e10), "medium": (1024.0, 9216.0), "large": (9216.0, 1e10)}  # px², COCO's ranges of keypoints
CATEGORY = 1  # of every record here; the annotation file's own id is resolved on reading

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Side:
    """People or instances, image by image, in image px with COCO's keypoints."""

    image: Indices  # (N,) the image's place, ascending
    keypoints: Floats  # (N, K, 3) x, y and visibility or score; 0, 0, 0 where there is none
    areas: Floats  # (N,) px²

    def __len__(self) -> int:
        return len(self.image)

    def __getitem__(self, index: Flags | Indices | slice) -> Self:
        """Some of them, image by image as well."""
        return type(self)(**{field.name: getattr(self, field.name)[index] for field in fields(self)})

    def of_images(self, first: int, stop: int) -> Self:
        """Those of the images at the places from ``first`` to before ``stop``."""
        return self[slice(*np.searchsorted(self.image, (first, stop)).tolist())]

    @property
    def axes(self) -> tuple[Floats, Floats]:
        """The keypoints' x and y, each (K, N), row by row in memory."""
        x, y = (np.ascontiguousarray(self.keypoints[..., axis].T) for axis in (0, 1))
        return x, y

    def _common(self, image_ids: list[int]) -> list[Record]:
        """What records of both kinds have: number, category, image's id, keypoints and area.

        They are numbered from 1: pycocotools takes an id of 0 for unmatched and one of two equal ids for absent.
        """
        images = [image_ids[place] for place in self.image.tolist()]
        rows = self.keypoints.reshape(len(self), 3 * self.keypoints.shape[1]).tolist()
        columns = zip(range(1, len(self) + 1), images, rows, self.areas.tolist(), strict=True)
        return [
            {"id": number, "image_id": image_id, "category_id": CATEGORY, "keypoints": keypoints, "area": area}
            for number, image_id, keypoints, area in columns
        ]


@dataclass(frozen=True)
class People(Side):
    """Annotated people, as the file has them within an image."""

    boxes: Floats  # (N, 4) x, y, width, height
    crowd: Flags  # (N,)
    num_keypoints: Indices  # (N,)

    @property
    def labelled(self) -> Flags:
        """(N, K) whose place is annotated."""
        return np.asarray(self.keypoints[..., 2] > 0)

    @property
    def ignored(self) -> Flags:
        """(N,) who is left out of every count, as by pycocotools: a crowd, or one whose ``num_keypoints`` is 0."""
        return np.asarray(self.crowd | (self.num_keypoints == 0))

    def records(self, image_ids: list[int]) -> list[Record]:
        """As COCO records, with the ids of images by their places."""
        records = self._common(image_ids)
        own = zip(records, self.boxes.tolist(), self.crowd.tolist(), self.num_keypoints.tolist(), strict=True)
        for record, box, crowd, count in own:
            record |= {"bbox": box, "iscrowd": int(crowd), "num_keypoints": count}
        return records


@dataclass(frozen=True)
class Found(Side):
    """Instances that were found, the best of an image first, of equal scores the first given."""

    scores: Floats  # (N,)

    @property
    def there(self) -> Flags:
        """(N, K) which keypoints were found."""
        return np.asarray(self.keypoints.any(2))

    @property
    def ranks(self) -> Indices:
        """(N,) how many better ones there are in the image."""
        return np.arange(len(self)) - np.searchsorted(self.image, self.image)

    @property
    def counted(self) -> Flags:
        """(N,) who is a false find where nobody is found: of an area that COCO counts as any."""
        return np.asarray((self.areas >= AREAS["all"][0]) & (self.areas <= AREAS["all"][1]))

    def records(self, image_ids: list[int]) -> list[Record]:
        """As COCO records, with the ids of images by their places."""
        records = self._common(image_ids)
        for record, score in zip(records, self.scores.tolist(), strict=True):
            record["score"] = score
        return records
