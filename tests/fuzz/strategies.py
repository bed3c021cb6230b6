"""Plain data with something in it that does not belong there, and bytes with some of them changed."""

from __future__ import annotations

import copy
from functools import reduce
from typing import Any

from hypothesis import strategies as st

from tests.fuzz.outcomes import paths_of, put

DEEP: Any = reduce(lambda inner, _: [inner], range(60), 0)
NUMBERS = st.one_of(
    st.sampled_from([-1, 0, 1, 2, 3, 17, 2**31, 2**53 + 2, 2**63, 10**12, 10**400, -(10**12), 1e8, 1e40, 1e308, 0.5, -0.0]),
    st.sampled_from([float("nan"), float("inf"), float("-inf")]),
    st.integers(-(10**6), 10**6),
)
TEXTS = st.one_of(
    st.sampled_from(
        ["", "..", "../../etc/passwd", "/etc/passwd", "a" * 300, "\0", "\ud800", "\u202e", "None", "1e5", "<script>", "$\\frac"]
    ),
    st.text(max_size=8),
)
JUNK = st.one_of(
    st.none(), st.booleans(), NUMBERS, TEXTS, st.sampled_from([[], {}, [[]], [None], {"": 0}, {"a": {"b": []}}, DEEP]),
    st.lists(NUMBERS, max_size=6), st.dictionaries(TEXTS, NUMBERS, max_size=3),
)  # fmt: skip


@st.composite
def changed(draw: st.DrawFn, data: Any, most: int = 3) -> Any:
    """A copy of plain data with up to ``most`` values replaced, removed or doubled."""
    data = copy.deepcopy(data)
    for _ in range(draw(st.integers(1, most))):
        paths = paths_of(data)
        if not paths:
            break
        path = draw(st.sampled_from(paths))
        above = reduce(lambda inside, key: inside[key], path[:-1], data)
        match draw(st.sampled_from(["replace", "replace", "remove", "double"])):
            case "remove":
                del above[path[-1]]
            case "double" if isinstance(above, list):
                above.append(copy.deepcopy(above[path[-1]]))
            case _:
                put(data, path, copy.deepcopy(draw(JUNK)))
    return data


class Changed(bytes):
    """Bytes that do not fill the screen where a test fails."""

    def __repr__(self) -> str:
        return f"{len(self)} bytes"


@st.composite
def flipped(draw: st.DrawFn, content: bytes, most: int = 4) -> Changed:
    """Bytes with up to ``most`` of them changed, more of them at either end, where formats say what they are; or cut."""
    found = bytearray(content)
    for _ in range(draw(st.integers(1, most))):
        end = draw(st.sampled_from([64, 1024, len(found)]))
        place = draw(st.integers(0, max(0, min(end, len(found)) - 1)))
        place = len(found) - 1 - place if draw(st.booleans()) else place
        found[place] ^= draw(st.integers(1, 255))
    return Changed(found[: draw(st.integers(0, len(found)))] if draw(st.integers(0, 9)) == 0 else found)
