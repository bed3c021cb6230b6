"""Halpe Full-Body: COCO's keypoints with head, neck, hip and feet, and if asked face and hands."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from bottomup.data._places import images_below, place
from bottomup.data.coco import Coco, OnlyPeople
from bottomup.dataset import DATASETS, Record
from bottomup.skeletons import HALPE136

_FILES = ("annotations/halpe_{split}_v1.json", "halpe_{split}_v1.json", "annotations/halpe_{split}.json")


@DATASETS.register
class Halpe(Coco):
    """Halpe Full-Body's files, which name no keypoints: 136, or of them the 26 of the body.

    ``root`` and ``split`` stand for root/annotations/halpe_<split>_v1.json, also without the folder, and for images of COCO
    (val2017) or HICO-DET in root/images; ``annotations`` and ``images`` state either path. ``keypoints`` says how many are read:
    26 (COCO's, head, neck, hip and feet) or 136, with 68 of the face and 21 of each hand. ``only_people``, ``image_ids`` and
    ``exclude_ids`` are as of data set ``coco``. Sigmas are those of the authors' own OKS.
    """

    def __init__(
        self,
        *,
        root: str | None = None,
        split: str = "val",
        annotations: str | None = None,
        images: str | None = None,
        keypoints: Literal[26, 136] = 26,
        only_people: bool | OnlyPeople = False,
        image_ids: Sequence[int | float | str] | str | None = None,
        exclude_ids: Sequence[int | float | str] | str | None = None,
    ) -> None:
        self._kept = keypoints
        super().__init__(
            annotations=str(place("halpe", root, annotations, split, _FILES, "annotations")),
            split=split,
            images=images_below(root, images),
            skeleton=f"halpe{keypoints}",
            only_people=only_people,
            image_ids=image_ids,
            exclude_ids=exclude_ids,
        )

    def _content(self, path: Path) -> Record:
        data = super()._content(path)
        return data | {"annotations": [self._cut(annotation) for annotation in data.get("annotations", [])]}

    def _cut(self, annotation: Record) -> Record:
        """The record with the keypoints that are read; a list of another length is refused by name."""
        triples = annotation.get("keypoints")
        if not isinstance(triples, list) or len(triples) != 3 * len(HALPE136):
            return annotation
        return annotation | {"keypoints": triples[: 3 * self._kept], "num_keypoints": None}
