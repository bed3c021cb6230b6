"""Halpe Full-Body: COCO's keypoints with head, neck, hip and feet, and as many again of face and hands as COCO-WholeBody has."""

from __future__ import annotations

from itertools import pairwise

from bottomup.skeletons.bodies import COCO, sided
from bottomup.skeletons.skeleton import Skeleton
from bottomup.skeletons.whole_body import COCO_WHOLEBODY

_FEET = tuple(name for pair in sided("big_toe", "small_toe", "heel") for name in pair)
_REST = COCO_WHOLEBODY.keypoints[len(COCO) + len(_FEET) :]  # face, left hand, right hand
_MIDDLE = ("head", "neck", "hip")


def _limbs() -> tuple[tuple[str, str], ...]:
    limbs = [("nose", "head"), ("nose", "neck"), ("neck", "hip")]
    for side in ("left", "right"):
        limbs += pairwise(["nose", f"{side}_eye", f"{side}_ear"])
        limbs += pairwise(["neck", f"{side}_shoulder", f"{side}_elbow", f"{side}_wrist"])
        limbs += pairwise(["hip", f"{side}_hip", f"{side}_knee", f"{side}_ankle"])
    return (*limbs, *_grown(_FEET))


def _grown(names: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """The edges of COCO-WholeBody that lead to some keypoints."""
    return tuple(edge for edge in COCO_WHOLEBODY.edges if edge[1] in names)


# Sigmas are those of Halpe's own evaluation.
HALPE26 = Skeleton(
    name="halpe26",
    keypoints=(*COCO.keypoints, *_MIDDLE, *_FEET),
    flip_pairs=(*COCO.flip_pairs, *sided("big_toe", "small_toe", "heel")),
    edges=_limbs(),
    sigmas=(*COCO.sigmas, *[0.08] * len(_MIDDLE), *[0.089] * len(_FEET)),
    order=("nose", *_MIDDLE, *COCO.order[1:], *_FEET),
)

HALPE136 = Skeleton(
    name="halpe136",
    keypoints=(*HALPE26.keypoints, *_REST),
    flip_pairs=(*HALPE26.flip_pairs, *(pair for pair in COCO_WHOLEBODY.flip_pairs if pair[0] in _REST)),
    edges=(*HALPE26.edges, *_grown(_REST)),
    sigmas=(*HALPE26.sigmas, *[0.015] * len(_REST)),
    order=(*HALPE26.order, *_REST),
)
