"""Halpe Full-Body: COCO's keypoints with head, neck, hip and feet, and if asked face and hands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Literal

from bottomup.data._places import images_below, place
from bottomup.data.coco import Coco, OnlyPeople
from bottomup.dataset import DATASETS, Record
from bottomup.skeletons import COCO, Skeleton

_FEET = ("big_toe", "small_toe", "heel")
_FACE, _HAND = 68, 21
_SIDED_FACE = (  # right and left points of the face, of iBUG's 68
    *((i, 16 - i) for i in range(8)), *((i, 43 - i) for i in range(17, 22)), (31, 35), (32, 34), (36, 45), (37, 44), (38, 43),
    (39, 42), (40, 47), (41, 46), (48, 54), (49, 53), (50, 52), (55, 59), (56, 58), (60, 64), (61, 63), (65, 67),
)  # fmt: skip
_FACE_CHAINS = (  # from the tip of the nose
    (30, 29, 28, 27), (27, 21, 20, 19, 18, 17), (27, 22, 23, 24, 25, 26), (27, 39, 38, 37, 36), (39, 40, 41), (27, 42, 43, 44, 45),
    (42, 47, 46), (30, 33, 32, 31), (33, 34, 35), (33, 51, 50, 49, 48, 60), (51, 52, 53, 54, 64), (51, 62, 61), (62, 63),
    (62, 66, 65), (66, 67), (66, 57, 56, 55), (57, 58, 59), (57, 8, 7, 6, 5, 4, 3, 2, 1, 0), (8, 9, 10, 11, 12, 13, 14, 15, 16),
)  # fmt: skip
_FILES = ("annotations/halpe_{split}_v1.json", "halpe_{split}_v1.json", "annotations/halpe_{split}.json")


def _body() -> Skeleton:
    limbs = [("nose", "head"), ("nose", "neck"), ("neck", "hip")]
    for s in ("left", "right"):
        limbs += pairwise(["nose", f"{s}_eye", f"{s}_ear"])
        limbs += pairwise(["neck", f"{s}_shoulder", f"{s}_elbow", f"{s}_wrist"])
        limbs += pairwise(["hip", f"{s}_hip", f"{s}_knee", f"{s}_ankle", f"{s}_heel"])
        limbs += pairwise([f"{s}_ankle", f"{s}_big_toe", f"{s}_small_toe"])
    feet = [f"{s}_{part}" for part in _FEET for s in ("left", "right")]
    return Skeleton(
        name="halpe26",
        keypoints=(*COCO.keypoints, "head", "neck", "hip", *feet),
        flip_pairs=(*COCO.flip_pairs, *((f"left_{part}", f"right_{part}") for part in _FEET)),
        edges=tuple(limbs),
        sigmas=(*COCO.sigmas, *[0.08] * 3, *[0.089] * 6),
    )


def _whole() -> Skeleton:
    body, edges = BODY, list(BODY.edges)
    edges += [("nose", "face_30"), *((f"face_{a}", f"face_{b}") for chain in _FACE_CHAINS for a, b in pairwise(chain))]
    hands = [f"{s}_hand_{point}" for s in ("left", "right") for point in range(_HAND)]
    for s in ("left", "right"):
        edges.append((f"{s}_wrist", f"{s}_hand_0"))
        for finger in range(1, _HAND, 4):  # from the thumb on, four points each
            edges += pairwise([f"{s}_hand_{point}" for point in (0, *range(finger, finger + 4))])
    sided = [(f"face_{left}", f"face_{right}") for right, left in _SIDED_FACE]
    return Skeleton(
        name="halpe136",
        keypoints=(*body.keypoints, *(f"face_{point}" for point in range(_FACE)), *hands),
        flip_pairs=(*body.flip_pairs, *sided, *((f"left_hand_{point}", f"right_hand_{point}") for point in range(_HAND))),
        edges=tuple(edges),
        sigmas=(*body.sigmas, *[0.015] * (_FACE + 2 * _HAND)),
    )


BODY = _body()
WHOLE = _whole()


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
        skeleton: Mapping[str, object] = (BODY if keypoints == len(BODY) else WHOLE).to_dict()
        super().__init__(
            annotations=str(place("halpe", root, annotations, split, _FILES, "annotations")),
            split=split,
            images=images_below(root, images),
            skeleton=skeleton,
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
        if not isinstance(triples, list) or len(triples) != 3 * len(WHOLE):
            return annotation
        return annotation | {"keypoints": triples[: 3 * self._kept], "num_keypoints": None}
