"""The tree of a skeleton among the lines of a drawing, which may close cycles and fall into parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

Pair = tuple[str, str]
Part = tuple[list[str], tuple[Pair, ...]]  # keypoints that hang together, and a tree's edges from the first of them outwards


def parts(names: Sequence[str], edges: Sequence[Pair]) -> list[Part]:
    """The connected parts of a drawing, each with a tree, breadth-first from its first keypoint."""
    found: list[Part] = []
    left = list(names)
    while left:
        reached, tree = [left[0]], []
        for parent in reached:
            for child in _beside(parent, edges):
                if child not in reached:
                    reached.append(child)
                    tree.append((parent, child))
        found.append((reached, tuple(tree)))
        left = [name for name in left if name not in reached]
    return found


def tree_of(names: Sequence[str], edges: Sequence[Pair], sides: Sequence[Pair]) -> tuple[Pair, ...]:
    """A tree over all keypoints of a drawing in one part: the breadth-first one from the first keypoint where that is its own
    mirror image, else another that is, where the drawing has one."""
    mirror = dict(sides) | {right: left for left, right in sides}
    ((_, plain),) = parts(names, edges)
    if _symmetric(plain, mirror):
        return plain
    return next((tree for tree in _symmetric_trees(names, edges, mirror) if len(tree) == len(names) - 1), plain)


def _symmetric(tree: Sequence[Pair], mirror: Mapping[str, str]) -> bool:
    lines = {frozenset(edge) for edge in tree}
    return lines == {frozenset(mirror.get(end, end) for end in edge) for edge in tree}


def _symmetric_trees(names: Sequence[str], edges: Sequence[Pair], mirror: Mapping[str, str]) -> Iterator[tuple[Pair, ...]]:
    """Trees that are their own mirror images, grown as far as they reach.

    A mirrored tree has a middle: a keypoint without a side, from which a path to another such has none with a side, or, where all
    have one, a line between the two sides of a pair.
    """
    drawn = {frozenset(edge) for edge in edges}
    twice = [(a, b) for a, b in edges if frozenset((mirror.get(a, a), mirror.get(b, b))) in drawn]  # lines with a mirror image
    middle = [name for name in names if name not in mirror]
    if middle:
        yield _grown(middle[:1], [], twice, mirror)
        return
    for left, right in twice:
        if mirror[left] == right:
            yield _grown([left, right], [(left, right)], twice, mirror)


def _grown(reached: list[str], tree: list[Pair], edges: Sequence[Pair], mirror: Mapping[str, str]) -> tuple[Pair, ...]:
    """A symmetric tree, breadth-first: with each line its mirror image, and to a keypoint without a side only from such."""
    for parent in reached:
        for child in _beside(parent, edges):
            other = mirror.get(child, child)
            if child in reached or (child not in mirror and parent in mirror):
                continue
            reached.append(child)
            tree.append((parent, child))
            if other != child:
                reached.append(other)
                tree.append((mirror.get(parent, parent), other))
    return tuple(tree)


def _beside(name: str, edges: Sequence[Pair]) -> Iterator[str]:
    for a, b in edges:
        if name in (a, b) and a != b:
            yield b if name == a else a
