"""What a person (or an animal) is made of: names, left/right pairs, tree, OKS sigmas; validated when made."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from bottomup.errors import BottomupWarning, ConfigError, unknown, warn

_DEFAULT_SIGMA = 0.0625  # the mean of COCO's seventeen is 0.0668 with, 0.0596 without the hips; between the two


@dataclass(frozen=True)
class Skeleton:
    """The keypoints of one kind of body.

    ``flip_pairs`` and ``edges`` are pairs of names; ``edges`` must be a tree over all keypoints; ``sigmas`` are COCO's
    per-keypoint OKS constants (a sigma, not k = 2 sigma); ``order`` is the order in which keypoints are grouped, head and
    torso first (default: as listed); ``sideless`` says that there is no left and right, in YAML ``flip_pairs: []``, where the
    absence of pairs would otherwise be warned of (``warn_of_mirroring``). Raises ConfigError on any inconsistency.
    """

    name: str
    keypoints: tuple[str, ...]
    flip_pairs: tuple[tuple[str, str], ...] = ()
    edges: tuple[tuple[str, str], ...] = ()
    sigmas: tuple[float, ...] = ()
    order: tuple[str, ...] = ()
    sideless: bool = False

    def __post_init__(self) -> None:
        _check_names(self)
        _check_flip(self)
        _check_tree(self)
        if not self.sigmas:
            warn(
                f"skeleton {self.name!r} has no OKS sigmas; every keypoint gets {_DEFAULT_SIGMA}, so its AP compares with "
                "no published one: give `sigmas`"
            )
            object.__setattr__(self, "sigmas", (_DEFAULT_SIGMA,) * len(self.keypoints))
        if len(self.sigmas) != len(self.keypoints) or not all(0 < sigma < math.inf for sigma in self.sigmas):
            raise ConfigError(
                f"skeleton {self.name!r}: sigmas should be {len(self.keypoints)} positive numbers, one for each keypoint, got "
                f"{list(self.sigmas)}; leave them out to have all at {_DEFAULT_SIGMA}"
            )

    def __len__(self) -> int:
        return len(self.keypoints)

    def index(self, name: str) -> int:
        """The index of a keypoint; ConfigError with the nearest names."""
        if name not in self.keypoints:
            raise ConfigError(f"skeleton {self.name!r}: " + unknown("keypoint", name, list(self.keypoints)))
        return self.keypoints.index(name)

    @cached_property
    def flip_order(self) -> tuple[int, ...]:
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
        mirrored = [(self.flip_order[a], self.flip_order[b]) for a, b in self.directed]
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
            "flip_pairs": [list(pair) for pair in self.flip_pairs] if self.flip_pairs or self.sideless else None,
            "edges": [list(edge) for edge in self.edges],
            "sigmas": list(self.sigmas),
            "order": list(self.order),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Skeleton:
        """The inverse of ``to_dict``; ConfigError names a field that is unknown, missing or of another kind."""
        known = [field for field in cls.__dataclass_fields__ if field != "sideless"]  # which flip_pairs says
        for field in data:
            if field not in known:
                raise ConfigError("skeleton: " + unknown("field", str(field), known))
        for field in ("name", "keypoints"):
            if field not in data:
                raise ConfigError(f"skeleton: the field {field!r} is missing; it needs at least name and keypoints")
        return cls(
            name=str(data["name"]),
            keypoints=_names("keypoints", data["keypoints"]),
            flip_pairs=_pairs("flip_pairs", data.get("flip_pairs")),
            edges=_pairs("edges", data.get("edges")),
            sigmas=_numbers("sigmas", data.get("sigmas")),
            order=_names("order", data.get("order")),
            sideless=data.get("flip_pairs") in ([], ()),
        )


def warn_of_mirroring(skeleton: Skeleton | None) -> None:
    """Say, once for each skeleton, that mirrored images swap no keypoints although nobody said that it has no left and right."""
    if skeleton is None or len(skeleton) < 2 or skeleton.flip_pairs or skeleton.sideless:
        return
    shown = ", ".join(skeleton.keypoints[:4]) + (", …" if len(skeleton) > 4 else "")
    warnings.warn(
        f"skeleton {skeleton.name!r} has no left/right pair ({shown}), so mirrored images show every left keypoint under the name "
        "of the right one: name both sides (left_hip, right_hip), set `skeleton` with `flip_pairs` ([] where there are none), or "
        "leave mirroring out (augment.flip=0, flip=false)",
        BottomupWarning,
        stacklevel=1,  # always this line, so that Python says it once
    )


def _list(field: str, given: object, of: str) -> list[Any]:
    """A list as YAML gives it, nothing as an empty one; ConfigError for anything else."""
    if given is None:
        return []
    if not isinstance(given, list | tuple):
        raise ConfigError(f"skeleton: {field} should be a list of {of}, got {given!r}; write [a, b, …]")
    return list(given)


def _names(field: str, given: object) -> tuple[str, ...]:
    names = _list(field, given, "keypoint names")
    for name in names:
        if not isinstance(name, str | int) or isinstance(name, bool):
            raise ConfigError(f"skeleton: {field} should hold keypoint names, got {name!r}; quote what YAML does not read as text")
    return tuple(str(name) for name in names)


def _pairs(field: str, given: object) -> tuple[tuple[str, str], ...]:
    pairs = [_names(field, pair) for pair in _list(field, given, "pairs of keypoint names")]
    for pair in pairs:
        if len(pair) != 2:
            raise ConfigError(f"skeleton: {field} should hold pairs of keypoint names, got {list(pair)}; write [[a, b], …]")
    return tuple((pair[0], pair[1]) for pair in pairs)


def _numbers(field: str, given: object) -> tuple[float, ...]:
    numbers = _list(field, given, "numbers")
    for number in numbers:
        if not isinstance(number, int | float) or isinstance(number, bool):
            raise ConfigError(f"skeleton: {field} should hold numbers, got {number!r}; write 0.05, or 5.0e-2, without quotes")
    return tuple(float(number) for number in numbers)


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
    if skeleton.sideless and paired:
        raise ConfigError(f"skeleton {skeleton.name!r}: sideless says that there is no left and right, flip_pairs has {paired}")


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
