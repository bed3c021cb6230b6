"""COCO-WholeBody: 17 keypoints of the body, 6 of the feet, 68 of the face, 21 of each hand."""

from __future__ import annotations

from itertools import pairwise

from bottomup.skeletons.bodies import COCO, sided
from bottomup.skeletons.skeleton import Skeleton

Pairs = tuple[tuple[str, str], ...]

_FOOT = ("big_toe", "small_toe", "heel")
_FINGERS = ("thumb", "forefinger", "middle_finger", "ring_finger", "pinky_finger")
_HAND = ("hand_root", *(f"{finger}{joint}" for finger in _FINGERS for joint in (1, 2, 3, 4)))  # joint 4 is the tip
_FACE = tuple(f"face-{number}" for number in range(68))

# The 68 points of the face, each list from the person's right (of the image's left) to the left: mirrored it runs backwards.
_ROWS = (
    range(17),  # the jaw; 8 is the chin
    range(17, 27),  # the eyebrows
    range(27, 28), range(28, 29), range(29, 30), range(30, 31),  # the bridge of the nose, down to its tip
    range(31, 36),  # the nostrils
    (36, 37, 38, 39, 42, 43, 44, 45), (41, 40, 47, 46),  # the eyes, above and below
    range(48, 55), (59, 58, 57, 56, 55),  # the lips outside, above and below
    range(60, 65), (67, 66, 65),  # and inside
)  # fmt: skip

# Chains of the face outwards from the nose, the right eye and the right ear; those of the left are their mirror images.
_MIDDLE = ((30, 29, 28, 27), (30, 33, 51, 57, 8), (51, 62), (57, 66))
_RIGHT = (
    (33, 32, 31), (51, 50, 49, 48), (57, 58, 59), (62, 61, 60), (66, 67), (8, 7, 6, 5, 4),
    (39, 38, 37, 36), (39, 40, 41), (19, 18, 17), (19, 20, 21), (0, 1, 2, 3),
)  # fmt: skip
_ROOTS = (("right_eye", 39), ("right_eye", 19), ("right_ear", 0))


def _face_pairs() -> Pairs:
    halves = [list(zip(row, reversed(row), strict=True))[: len(row) // 2] for row in _ROWS]
    return tuple((_FACE[left], _FACE[right]) for half in halves for right, left in half)


def _face_edges() -> Pairs:
    """Edges from the nose, the eyes and the ears over the face, each on the right with its mirror image."""
    mirror = {right: left for left, right in (*sided("eye", "ear"), *_face_pairs())}
    right = [*((body, _FACE[number]) for body, number in _ROOTS), *_linked(_RIGHT)]
    left = [(mirror.get(a, a), mirror[b]) for a, b in right]
    return (("nose", _FACE[30]), *_linked(_MIDDLE), *right, *left)


def _linked(chains: tuple[tuple[int, ...], ...]) -> list[tuple[str, str]]:
    return [(_FACE[a], _FACE[b]) for chain in chains for a, b in pairwise(chain)]


def _limb_edges(side: str) -> Pairs:
    """The edges of a foot and of a hand, from ankle and wrist on."""
    foot = [(f"{side}_ankle", f"{side}_{part}") for part in _FOOT]
    hand = [(f"{side}_wrist", f"{side}_hand_root")]
    for finger in _FINGERS:
        joints = ("hand_root", *(f"{finger}{joint}" for joint in (1, 2, 3, 4)))
        hand += [(f"{side}_{a}", f"{side}_{b}") for a, b in pairwise(joints)]
    return (*foot, *hand)


def _parts(side: str, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{side}_{name}" for name in names)


# Sigmas are those of COCO-WholeBody's own evaluation. Its drawing has cycles and no hand roots; the tree is COCO's, grown outwards.
_HAND_SIGMAS = (
    .029, .022, .035, .037, .047, .026, .025, .024, .035, .018, .024, .022, .026, .017, .021, .021, .032, .02, .019, .022, .031,
)  # fmt: skip
COCO_WHOLEBODY = Skeleton(
    name="coco_wholebody",
    keypoints=(
        *COCO.keypoints, *_parts("left", _FOOT), *_parts("right", _FOOT), *_FACE, *_parts("left", _HAND), *_parts("right", _HAND),
    ),
    flip_pairs=(*COCO.flip_pairs, *sided(*_FOOT), *_face_pairs(), *sided(*_HAND)),
    edges=(*COCO.edges, *_limb_edges("left"), *_limb_edges("right"), *_face_edges()),
    sigmas=(
        *COCO.sigmas, .068, .066, .066, .092, .094, .094,
        .042, .043, .044, .043, .040, .035, .031, .025, .020, .023, .029, .032, .037, .038, .043, .041, .045,
        .013, .012, .011, .011, .012, .012, .011, .011, .013, .015, .009, .007, .007, .007, .012, .009, .008, .016,
        .010, .017, .011, .009, .011, .009, .007, .013, .008, .011, .012, .010, .034, .008, .008, .009, .008, .008,
        .007, .010, .008, .009, .009, .009, .007, .007, .008, .011, .008, .008, .008, .010, .008,
        *_HAND_SIGMAS, *_HAND_SIGMAS,
    ),
    order=(
        *COCO.order, *_parts("left", _FOOT), *_parts("right", _FOOT), *_parts("left", _HAND), *_parts("right", _HAND), *_FACE,
    ),
)  # fmt: skip
