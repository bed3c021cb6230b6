"""What the published hourglasses have in common: the words of their names, and how large they are."""

from __future__ import annotations

import re

from bottomup.importers.published import Published

WORDS = ((r"\bskip\b", "up1"), (r"\bdown\b", "low1"), (r"\binner\b", "low2"), (r"\bup\b", "low3"))  # ours, theirs


def sizes(published: Published, stacks: str) -> list[str]:
    """The overrides that say how large a backbone `hourglass` is, whose stacks a file calls ``stacks`` and a number.

    Raises CheckpointError where the first stack is none.
    """
    first = f"{stacks}.0.0"
    channels = published.size(f"{first}.up1.conv.weight")
    inner = published.size(f"{first}.low1.conv.weight")
    stack, level = re.escape(stacks), re.escape(first)
    found = published.matching(rf"{stack}\.\d+\.1\.conv\.weight")
    levels = published.matching(rf"{level}\.(low2\.)*low1\.conv\.weight")
    return [
        f"backbone.stacks={len(found)}",
        f"backbone.levels={len(levels)}",
        f"backbone.channels={channels}",
        f"backbone.growth={inner - channels}",
    ]
