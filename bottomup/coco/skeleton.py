"""The skeleton of a data set: a built-in one, one of the user's own, or what a COCO file's category says."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped, unused-ignore]

from bottomup.coco.records import fault
from bottomup.coco.skeleton_tree import Pair, parts, tree_of
from bottomup.dataset import Record
from bottomup.errors import ConfigError, DataError, warn
from bottomup.paths import path_of
from bottomup.skeletons import SKELETONS, Skeleton, skeleton_named

_SIDES = (("left", "right"), ("l", "r"))  # a letter counts where no word says it
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+|\d+")  # of eyeL, LEye, left_eye, eye2
_GLUED = re.compile(r"^(left|right)|(left|right)$")  # lefteye, eyeleft
_IN_TWOS = frozenset(
    {"eye", "ear", "eyebrow", "cheek", "shoulder", "elbow", "wrist", "hand", "thumb", "hip", "knee", "ankle", "foot", "heel", "toe",
     "paw", "hoof", "wing", "claw", "antenna"}
)  # fmt: skip
_REMEDY = "correct the file or set `skeleton` in the configuration"


def choose_skeleton(given: str | Mapping[str, object] | None, category: Record, path: Path) -> Skeleton:
    """The skeleton that was asked for, else the category's; DataError where its keypoints stand in another order in the file."""
    if given is None:
        return category_skeleton(category, path)
    skeleton, names = read_skeleton(given), category.get("keypoints")
    if isinstance(names, list) and set(map(str, names)) == set(skeleton.keypoints) and names != list(skeleton.keypoints):
        expected = f"in the order of skeleton {skeleton.name!r}, {', '.join(skeleton.keypoints)}"
        where = f"{path}: category {category['name']!r}"
        raise fault(where, "keypoints", ", ".join(map(str, names)), expected, "leave `skeleton` out to read the file's own")
    return skeleton


def read_skeleton(given: str | Mapping[str, object]) -> Skeleton:
    """A skeleton by its built-in name, from a YAML file, or from a mapping."""
    if isinstance(given, Mapping):
        return _own_skeleton(given, "skeleton")
    if not isinstance(given, str):
        raise ConfigError(f"skeleton should be a built-in name, a YAML file or a mapping with name and keypoints, got {given!r}")
    if not given.endswith((".yaml", ".yml")):
        return skeleton_named(given)
    try:
        data = yaml.safe_load(path_of(given).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, RecursionError, yaml.YAMLError) as error:
        raise ConfigError(f"skeleton {given}: should be a YAML file, but {error}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"skeleton {given}: should be a mapping with name and keypoints, got {type(data).__name__}")
    return _own_skeleton(data, f"skeleton {given}")


def _own_skeleton(data: Mapping[str, object], where: str) -> Skeleton:
    try:
        skeleton = Skeleton.from_dict(data)
    except ConfigError as error:
        raise ConfigError(f"{where}: {str(error).removeprefix('skeleton: ')}") from None
    if data.get("flip_pairs") != []:  # an empty list says that there are none
        _warn_of_sides(where, skeleton, "name them in `flip_pairs`, or write `flip_pairs: []`")
    return skeleton


def category_skeleton(category: Record, path: Path) -> Skeleton:
    """A COCO category's name, keypoints and 1-based ``skeleton``; sides are paired by name.

    The keypoints of a built-in skeleton give that one, whatever the category's own edges: CrowdPose's are COCO's. Other edges
    may close cycles, as drawings do: the tree is one that is its own mirror image where the drawing has one (``skeleton_tree``).
    Warns where there is no tree, where edges count from 0 and where names speak of sides that have no pair. DataError names the
    file, the category and the field.
    """
    where, names = f"{path}: category {category['name']!r}", category.get("keypoints")
    for known in SKELETONS.values():
        if names == list(known.keypoints):
            return known
    if not names:
        raise DataError(f"{where} has no `keypoints` list; set `skeleton` in the configuration")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise fault(where, "keypoints", names, "a list of names", _REMEDY)
    pairs = sides(names)
    fields = {
        "name": category["name"],
        "keypoints": names,
        "flip_pairs": pairs or None,
        "edges": _tree(names, _edges(category.get("skeleton"), names, where), pairs, where),
        "sigmas": category.get("sigmas"),
    }
    try:
        skeleton = Skeleton.from_dict(fields)
    except ConfigError as error:
        raise DataError(f"{where}: {error}; {_REMEDY}") from None
    _warn_of_sides(where, skeleton, "name both sides alike (left_hip, right_hip), or set `skeleton` with `flip_pairs`")
    return skeleton


# ---- left and right --------------------------------------------------------------------------------------------------------


def sides(names: Sequence[str]) -> tuple[Pair, ...]:
    """The pairs (left, right) among keypoint names.

    A name has a side where one of its words is left or right, or else where one is the letter l or r; two names are a pair where
    their other words are the same and nobody else's. Words end at capitals, digits and whatever is no letter, and left and right
    are words before and after others, too: left_hip, Hip-R, "hip left", EyeL, lHip and righthip all have a side. Of the names
    that have none by this, two are a pair that differ in the first or last letter of one word alone, l and r: lhip and rhip.
    """
    groups: dict[tuple[str, ...], tuple[list[str], list[str]]] = {}
    for name in names:
        side, rest = _split(name)
        if side is not None:
            groups.setdefault(rest, ([], []))[side].append(name)
    found = [(left[0], right[0]) for left, right in groups.values() if len(left) == len(right) == 1]
    return tuple(found + _squeezed([name for name in names if _split(name)[0] is None]))


def _squeezed(names: Sequence[str]) -> list[Pair]:
    """The pairs among names whose side is a letter of a word: one pair of names is no accident where both exist."""
    by_words = {tuple(_words(name)): name for name in names}
    pairs = []
    for words, left in by_words.items():
        rights = [by_words[other] for other in _right_of(words) if other in by_words]
        if len(rights) == 1:
            pairs.append((left, rights[0]))
    taken = Counter(name for pair in pairs for name in pair)
    return [pair for pair in pairs if taken[pair[0]] == taken[pair[1]] == 1]


def _right_of(words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Words with one l at the beginning or end of one of them as r."""
    for place, word in enumerate(words):
        for right in {"r" + word[1:] if word[0] == "l" else word, word[:-1] + "r" if word[-1] == "l" else word} - {word}:
            yield (*words[:place], right, *words[place + 1 :])


def _words(name: str) -> list[str]:
    return [part for word in _WORD.findall(name) for part in _GLUED.split(word.lower()) if part]


def _split(name: str) -> tuple[int | None, tuple[str, ...]]:
    """The side, 0 left and 1 right, None where a name has none or two, and the other words."""
    words = _words(name)
    for both in _SIDES:
        found = [place for place, word in enumerate(words) if word in both]
        if len(found) == 1:
            (place,) = found
            return both.index(words[place]), (*words[:place], *words[place + 1 :])
    return None, tuple(words)


def _warn_of_sides(where: str, skeleton: Skeleton, remedy: str) -> None:
    """Say which keypoints a mirrored image leaves as they are although they seem to have a side."""
    paired = {name for pair in skeleton.flip_pairs for name in pair}
    alone, what = (
        [name for name in skeleton.keypoints if name not in paired and _split(name)[0] is not None],
        "sides without a pair",
    )
    if not alone and not paired:
        alone, what = _in_twos(skeleton.keypoints), "left and right in no name, though bodies have two"
    if alone:
        warn(f"{where}: {what}: {', '.join(alone)}; mirrored images do not swap them: {remedy}")


def _in_twos(names: Sequence[str]) -> list[str]:
    """Those of what bodies have two of, where there are several of it."""
    counts = Counter(word for name in names for word in {*_words(name)} & _IN_TWOS)
    return [name for name in names if any(counts[word] > 1 for word in _words(name))]


# ---- the tree --------------------------------------------------------------------------------------------------------------


def _edges(given: Any, names: Sequence[str], where: str) -> list[Pair]:
    """The names at the ends of a category's edges, which are numbers from 1, or, where only that fits, from 0, or names."""
    if given is None:
        return []
    expected = f"pairs of numbers from 1 to {len(names)}, its keypoints"
    if not isinstance(given, list):
        raise fault(where, "skeleton", given, expected, _REMEDY)
    for pair in given:
        if not isinstance(pair, list | tuple) or len(pair) != 2 or not all(map(_is_end, pair)):
            raise fault(where, "skeleton", pair, expected, _REMEDY)
    if given and all(end in names for pair in given for end in pair):
        return [(a, b) for a, b in given]
    first = _first_number(given, names, where, expected)
    return [(names[int(a) - first], names[int(b) - first]) for a, b in given]


def _is_end(end: object) -> bool:
    return isinstance(end, str) or (isinstance(end, int | float) and not isinstance(end, bool) and float(end).is_integer())


def _first_number(given: Sequence[Sequence[Any]], names: Sequence[str], where: str, expected: str) -> int:
    """1, or 0 where edges count from there; DataError where they do neither."""
    for pair in given:
        if not all(not isinstance(end, str) and 0 <= end <= len(names) for end in pair):
            raise fault(where, "skeleton", list(pair), expected, _REMEDY)
    ends = {int(end) for pair in given for end in pair}
    if 0 not in ends:
        return 1
    if len(names) in ends:
        both = f"{expected}, or from 0 to {len(names) - 1}"
        raise fault(where, "skeleton", f"both 0 and {len(names)}", both, _REMEDY)
    warn(f"{where}: `skeleton` counts from 0, where COCO counts from 1; it is read so. Add 1 to its numbers to have no doubt")
    return 0


def _tree(names: Sequence[str], edges: Sequence[Pair], pairs: Sequence[Pair], where: str) -> tuple[Pair, ...]:
    """A tree over all keypoints among the edges of a drawing; none, with a warning, where it falls into several parts."""
    if not edges:
        return ()
    found = parts(names, edges)
    if len(found) == 1:
        return tree_of(names, edges, pairs)
    listed = "; ".join(", ".join(reached) for reached, _ in found)
    warn(
        f"{where}: `skeleton` falls into {len(found)} parts ({listed}) and gives no tree, which mid-range offsets (PersonLab) "
        "need; add the edges that join them, or set `skeleton` in the configuration"
    )
    return ()
