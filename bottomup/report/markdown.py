"""Tables in Markdown."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence

NOTHING = "—"


def markdown_table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table with a heading of ``names`` and a line for each row of as many texts."""
    return "\n".join([_line(names), "|---" * len(names) + "|", *map(_line, rows)])


def share(value: float | None) -> str:
    """A figure in [0, 1] with three decimals, a dash where there is none."""
    return number(value, ".3f")


def number(value: float | None, form: str) -> str:
    """A figure in the given format, a dash where there is none."""
    return NOTHING if value is None or math.isnan(value) else format(value, form)


def plain(text: str) -> str:
    """Text as Markdown shows it: on one line, no tag and no link in it."""
    return html.escape(" ".join(text.split()), quote=False).replace("](", "]\\(")


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
