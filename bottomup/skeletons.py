"""What a person (or an animal) is made of: names, left/right pairs, tree, OKS sigmas; validated when made."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from bottomup.errors import ConfigError
from bottomup.registry import unknown

_DEFAULT_SIGMA = 0.0625  # the mean of COCO's seventeen is 0.0668 with, 0.0596 without the hips; between the two


@dataclass(frozen=True)
class Skeleton:
    """The keypoints of one kind of body.

    ``flip_pairs`` and ``edges`` are pairs of names; ``edges`` must be a tree over all keypoints; ``sigmas`` are COCO's
    per-keypoint OKS constants (a sigma, not k = 2 sigma); ``order`` is the order in which keypoints are grouped, head and
    torso first (default: as listed). Raises ConfigError on any inconsistency.
    """

    name: str
    keypoints: tuple[str, ...]
    flip_pairs: tuple[tuple[str, str], ...] = ()
    edges: tuple[tuple[str, str], ...] = ()
    sigmas: tuple[float, ...] = ()
    order: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_names(self)
        _check_flip(self)
        _check_tree(self)
        if not self.sigmas:
            warnings.warn(
                f"skeleton {self.name!r} has no OKS sigmas; every keypoint gets {_DEFAULT_SIGMA}, so its AP compares with "
                "no published one: give `sigmas`",
                stacklevel=3,
            )
            object.__setattr__(self, "sigmas", (_DEFAULT_SIGMA,) * len(self.keypoints))
        if len(self.sigmas) != len(self.keypoints) or min(self.sigmas) <= 0:
            raise ConfigError(
                f"skeleton {self.name!r}: sigmas should be {len(self.keypoints)} positive numbers, got {list(self.sigmas)}"
            )

    def __len__(self) -> int:
        return len(self.keypoints)

    def index(self, name: str) -> int:
        """The index of a keypoint; ConfigError with the nearest names."""
        if name not in self.keypoints:
            raise ConfigError(f"skeleton {self.name!r}: " + unknown("keypoint", name, list(self.keypoints)))
        return self.keypoints.index(name)

    @cached_property
    def flip(self) -> tuple[int, ...]:
        """For each keypoint the index of its mirror image; an involution."""
        mirror = dict(self.flip_pairs) | {b: a for a, b in self.flip_pairs}
        return tuple(self.keypoints.index(mirror.get(name, name)) for name in self.keypoints)

    @cached_property
    def tree(self) -> tuple[tuple[int, int], ...]:
        """The edges as index pairs (parent, child), each parent reached before its children."""
        return tuple((self.keypoints.index(a), self.keypoints.index(b)) for a, b in self.edges)

    @cached_property
    def directed(self) -> tuple[tuple[int, int], ...]:
        """The edges in both directions, 2E index pairs (from, to): away from the root as in ``tree``, then back."""
        return self.tree + tuple((b, a) for a, b in self.tree)

    @cached_property
    def flipped_directed(self) -> tuple[int, ...]:
        """For each directed edge the index of its mirror image; ConfigError names edges without one."""
        mirrored = [(self.flip[a], self.flip[b]) for a, b in self.directed]
        alone = [edge for edge, mirror in zip(self.directed, mirrored, strict=True) if mirror not in self.directed]
        if alone:
            names = ", ".join(f"{self.keypoints[a]}–{self.keypoints[b]}" for a, b in alone)
            raise ConfigError(f"skeleton {self.name!r}: the mirror images of these edges are none: {names}; predict without flip")
        return tuple(self.directed.index(mirror) for mirror in mirrored)

    @cached_property
    def steps(self) -> tuple[tuple[int, ...], ...]:
        """How many edges lie between any two keypoints of the tree (K x K)."""
        return tuple(tuple(self._steps_from(k)) for k in range(len(self)))

    def _steps_from(self, start: int) -> list[int]:
        steps = {start: 0}
        for k in (queue := [start]):
            for a, b in self.directed:
                if a == k and b not in steps:
                    steps[b] = steps[a] + 1
                    queue.append(b)
        return [steps.get(k, len(self)) for k in range(len(self))]

    @cached_property
    def grouping(self) -> tuple[int, ...]:
        """Keypoint indices in grouping order."""
        return tuple(self.keypoints.index(name) for name in self.order or self.keypoints)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for checkpoints and YAML."""
        return {
            "name": self.name,
            "keypoints": list(self.keypoints),
            "flip_pairs": [list(pair) for pair in self.flip_pairs],
            "edges": [list(edge) for edge in self.edges],
            "sigmas": list(self.sigmas),
            "order": list(self.order),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Skeleton:
        """The inverse of ``to_dict``; ConfigError names an unknown or missing field."""
        known = list(cls.__dataclass_fields__)
        for field in data:
            if field not in known:
                raise ConfigError("skeleton: " + unknown("field", field, known))
        for field in ("name", "keypoints"):
            if field not in data:
                raise ConfigError(f"skeleton: the field {field!r} is missing; it needs at least name and keypoints")
        return cls(
            name=str(data["name"]),
            keypoints=tuple(str(name) for name in data["keypoints"]),
            flip_pairs=_pairs(data.get("flip_pairs")),
            edges=_pairs(data.get("edges")),
            sigmas=tuple(float(sigma) for sigma in data.get("sigmas") or ()),
            order=tuple(data.get("order") or ()),
        )

    @classmethod
    def from_coco_category(cls, category: Mapping[str, Any]) -> Skeleton:
        """Read a COCO category: name, keypoints, 1-based skeleton; sides are paired by name.

        The keypoints of a built-in skeleton give that one, whatever the category's own edges: CrowdPose's are COCO's.
        """
        names = tuple(category.get("keypoints") or ())
        for known in SKELETONS.values():
            if names == known.keypoints:
                return known
        if not names:
            raise ConfigError(f"category {category.get('name')!r} has no `keypoints` list; set `skeleton` in the configuration")
        edges = [_edge(category, names, pair) for pair in category.get("skeleton") or ()]
        return cls(
            name=str(category.get("name", "custom")),
            keypoints=names,
            flip_pairs=_pairs_by_name(names),
            edges=_spanning_tree(names, edges),
            sigmas=tuple(category.get("sigmas") or ()),
        )


def _pairs(data: Iterable[Iterable[str]] | None) -> tuple[tuple[str, str], ...]:
    pairs = [tuple(str(name) for name in pair) for pair in data or ()]
    for pair in pairs:
        if len(pair) != 2:
            raise ConfigError(f"skeleton: flip_pairs and edges hold pairs of keypoint names, got {list(pair)}")
    return tuple((pair[0], pair[1]) for pair in pairs)


def _edge(category: Mapping[str, Any], names: tuple[str, ...], pair: Iterable[int]) -> tuple[str, str]:
    ends = tuple(pair)
    if len(ends) != 2 or not all(1 <= end <= len(names) for end in ends):
        raise ConfigError(
            f"category {category.get('name')!r}: `skeleton` holds pairs of numbers from 1 to {len(names)}, its keypoints; got "
            f"{list(ends)}; correct the file or set `skeleton` in the configuration"
        )
    return names[ends[0] - 1], names[ends[1] - 1]


def _pairs_by_name(names: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """left_x pairs with right_x, L_x with R_x."""
    pairs = []
    for name in names:
        for left, right in (("left", "right"), ("Left", "Right"), ("L_", "R_"), ("l_", "r_")):
            other = name.replace(left, right, 1)
            if other != name and other in names:
                pairs.append((name, other))
                break
    return tuple(pairs)


def _spanning_tree(names: tuple[str, ...], edges: list[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """The edges of a drawing graph that form a tree, breadth-first; empty where the graph is not connected."""
    reached, tree = [names[0]], []
    for parent in reached:
        for a, b in edges:
            child = b if a == parent else a if b == parent else None
            if child is not None and child not in reached:
                reached.append(child)
                tree.append((parent, child))
    return tuple(tree) if len(reached) == len(names) else ()


def _check_names(skeleton: Skeleton) -> None:
    names = skeleton.keypoints
    if not names or len(set(names)) != len(names):
        raise ConfigError(f"skeleton {skeleton.name!r}: keypoints should be different names, at least one, got {list(names)}")
    for pair in (*skeleton.flip_pairs, *skeleton.edges):
        for name in pair:
            skeleton.index(name)
    if skeleton.order and sorted(skeleton.order) != sorted(names):
        raise ConfigError(f"skeleton {skeleton.name!r}: order should list each keypoint once, got {list(skeleton.order)}")


def _check_flip(skeleton: Skeleton) -> None:
    paired = [name for pair in skeleton.flip_pairs for name in pair]
    twice = sorted({name for name in paired if paired.count(name) > 1})
    if twice:
        raise ConfigError(
            f"skeleton {skeleton.name!r}: flipping twice must change nothing, "
            f"but {', '.join(twice)} stand in more than one flip pair"
        )


def _check_tree(skeleton: Skeleton) -> None:
    if not skeleton.edges:
        return  # no tree: fine for every method that does not walk one
    reached = {skeleton.edges[0][0]}
    for parent, child in skeleton.edges:
        if parent not in reached:
            raise ConfigError(
                f"skeleton {skeleton.name!r}: edge ({parent}, {child}) starts at a keypoint not reached yet; "
                "list edges from the root outwards"
            )
        if child in reached:
            raise ConfigError(f"skeleton {skeleton.name!r}: edge ({parent}, {child}) closes a cycle; edges must form a tree")
        reached.add(child)
    missing = [name for name in skeleton.keypoints if name not in reached]
    if missing:
        raise ConfigError(f"skeleton {skeleton.name!r}: the tree does not reach {', '.join(missing)}")


def _sided(*names: str) -> tuple[tuple[str, str], ...]:
    return tuple((f"left_{name}", f"right_{name}") for name in names)


# The tree is that of PersonLab's decoder (tfjs posenet poseChain, see its §3.1), rooted at the nose.
COCO = Skeleton(
    name="coco",
    keypoints=(
        "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
        "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
        "right_ankle",
    ),
    flip_pairs=_sided("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle"),
    edges=(
        ("nose", "left_eye"), ("left_eye", "left_ear"), ("nose", "right_eye"), ("right_eye", "right_ear"),
        ("nose", "left_shoulder"), ("left_shoulder", "left_elbow"), ("left_elbow", "left_wrist"),
        ("left_shoulder", "left_hip"), ("left_hip", "left_knee"), ("left_knee", "left_ankle"),
        ("nose", "right_shoulder"), ("right_shoulder", "right_elbow"), ("right_elbow", "right_wrist"),
        ("right_shoulder", "right_hip"), ("right_hip", "right_knee"), ("right_knee", "right_ankle"),
    ),
    sigmas=(.026, .025, .025, .035, .035, .079, .079, .072, .072, .062, .062, .107, .107, .087, .087, .089, .089),
    order=(
        "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_hip",
        "right_hip", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_knee", "right_knee", "left_ankle",
        "right_ankle",
    ),
)  # fmt: skip

CROWDPOSE = Skeleton(
    name="crowdpose",
    keypoints=(
        "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip",
        "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle", "head", "neck",
    ),
    flip_pairs=_sided("shoulder", "elbow", "wrist", "hip", "knee", "ankle"),
    edges=(
        ("neck", "head"), ("neck", "left_shoulder"), ("left_shoulder", "left_elbow"), ("left_elbow", "left_wrist"),
        ("neck", "right_shoulder"), ("right_shoulder", "right_elbow"), ("right_elbow", "right_wrist"),
        ("left_shoulder", "left_hip"), ("left_hip", "left_knee"), ("left_knee", "left_ankle"),
        ("right_shoulder", "right_hip"), ("right_hip", "right_knee"), ("right_knee", "right_ankle"),
    ),
    sigmas=(.079, .079, .072, .072, .062, .062, .107, .107, .087, .087, .089, .089, .079, .079),
    order=(
        "head", "neck", "left_shoulder", "right_shoulder", "left_hip", "right_hip", "left_elbow", "right_elbow",
        "left_wrist", "right_wrist", "left_knee", "right_knee", "left_ankle", "right_ankle",
    ),
)  # fmt: skip

# MPII publishes no sigmas (it is judged by PCKh): COCO's where the keypoint exists, the shoulder's for the spine and head.
MPII = Skeleton(
    name="mpii",
    keypoints=(
        "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle", "pelvis", "thorax",
        "upper_neck", "head_top", "right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow",
        "left_wrist",
    ),
    flip_pairs=_sided("ankle", "knee", "hip", "wrist", "elbow", "shoulder"),
    edges=(
        ("thorax", "upper_neck"), ("upper_neck", "head_top"), ("thorax", "right_shoulder"),
        ("right_shoulder", "right_elbow"), ("right_elbow", "right_wrist"), ("thorax", "left_shoulder"),
        ("left_shoulder", "left_elbow"), ("left_elbow", "left_wrist"), ("thorax", "pelvis"), ("pelvis", "right_hip"),
        ("right_hip", "right_knee"), ("right_knee", "right_ankle"), ("pelvis", "left_hip"), ("left_hip", "left_knee"),
        ("left_knee", "left_ankle"),
    ),
    sigmas=(.089, .087, .107, .107, .087, .089, .079, .079, .079, .079, .062, .072, .079, .079, .072, .062),
    order=(
        "head_top", "upper_neck", "thorax", "right_shoulder", "left_shoulder", "pelvis", "right_hip", "left_hip",
        "right_elbow", "left_elbow", "right_wrist", "left_wrist", "right_knee", "left_knee", "right_ankle",
        "left_ankle",
    ),
)  # fmt: skip

SKELETONS = {skeleton.name: skeleton for skeleton in (COCO, CROWDPOSE, MPII)}


def skeleton_named(name: str) -> Skeleton:
    """A built-in skeleton by name; ConfigError with the nearest names."""
    if name not in SKELETONS:
        raise ConfigError(unknown("skeleton", name, sorted(SKELETONS)))
    return SKELETONS[name]
