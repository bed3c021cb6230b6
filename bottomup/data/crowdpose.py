"""CrowdPose, whose images are judged by how crowded they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bottomup.coco.extents import BOX_SHARE
from bottomup.data._places import images_below, place
from bottomup.data.coco import Coco, OnlyPeople
from bottomup.dataset import DATASETS, Record
from bottomup.options import Fraction

_FILES = ("annotations/crowdpose_{split}.json", "json/crowdpose_{split}.json", "crowdpose_{split}.json")


@DATASETS.register
class Crowdpose(Coco):
    """CrowdPose's own files: fourteen keypoints, AP also of its easy, medium and hard images (``evaluation.measures.crowd_index``).

    ``root`` and ``split`` (train, val, test, trainval) stand for root/annotations/crowdpose_<split>.json, also without the folder
    or in root/json, and root/images; ``annotations`` and ``images`` state either path. ``easy`` and ``hard`` are the crowd
    indices where the levels end. ``skeleton``, ``only_people``, ``image_ids`` and ``exclude_ids`` are as of data set ``coco``.

    As in the authors' own OKS, everybody's area is 0.53 of their box, whatever the file says of it.
    """

    def __init__(
        self,
        *,
        root: str | None = None,
        split: str = "val",
        annotations: str | None = None,
        images: str | None = None,
        skeleton: str | Mapping[str, object] | None = "crowdpose",
        easy: Fraction = 0.1,
        hard: Fraction = 0.8,
        only_people: bool | OnlyPeople = False,
        image_ids: Sequence[int | float | str] | str | None = None,
        exclude_ids: Sequence[int | float | str] | str | None = None,
    ) -> None:
        self.measures = {"crowd_index": {"easy": easy, "hard": hard}}
        file = place("crowdpose", root, annotations, split, _FILES, "annotations")
        super().__init__(
            annotations=str(file),
            split=split,
            images=images_below(root, images),
            skeleton=skeleton,
            only_people=only_people,
            image_ids=image_ids,
            exclude_ids=exclude_ids,
        )

    def _content(self, path: Path) -> Record:
        data = super()._content(path)
        return data | {"annotations": [_with_area(annotation) for annotation in data.get("annotations", [])]}


def _with_area(annotation: Record) -> Record:
    box = annotation.get("bbox")
    if not isinstance(box, list) or len(box) != 4 or not all(isinstance(side, int | float) for side in box):
        return annotation  # which is refused by name
    return annotation | {"area": BOX_SHARE * box[2] * box[3]}
