"""Measured combinations as a Markdown table."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bottomup.report.markdown import NOTHING, markdown_table, share
from bottomup.report.rows import Measured

Column = tuple[str, Callable[[Measured], str]]


def markdown(measured: Sequence[Measured]) -> str:
    """A row a combination, then a list of those without figures with the reason."""
    reasons = [f"- {name}: {reason}" for name, reason in left_out(measured)]
    return "\n".join([markdown_table(*table(measured)), "", *reasons]).rstrip()


def table(measured: Sequence[Measured]) -> tuple[list[str], list[list[str]]]:
    """The names of the columns that somebody fills, and a row of texts for each combination that has figures."""
    cells = [[text(one) for _, text in COLUMNS] for one in measured if one.there]
    kept = [column for column in range(len(COLUMNS)) if any(row[column] != NOTHING for row in cells)]
    return [COLUMNS[column][0] for column in kept], [[row[column] for column in kept] for row in cells]


def left_out(measured: Sequence[Measured]) -> list[tuple[str, str]]:
    """The combinations without figures and why."""
    return [(one.name, one.note) for one in measured if not one.there]


def _accuracy(part: str, figure: str) -> Callable[[Measured], str]:
    return lambda one: share(one.row[part].get(figure))


def _with_spread(one: Measured) -> str:
    ap, spread = one.row["figures"].get("AP"), one.row["spread"].get("AP")
    several = one.row["training"] and one.row["training"]["seeds"] > 1
    return f"{share(ap)} ± {spread / 2:.3f}" if several else share(ap)


def _ms(part: str) -> Callable[[Measured], str]:
    def text(one: Measured) -> str:
        blocks = [times["p50_ms"] for name, times in one.row["latency"].items() if name.startswith(part)]
        return f"{sum(blocks):.1f}" if blocks else NOTHING

    return text


def _total(one: Measured) -> str:
    total = one.row["latency"].get("total")
    return f"{total['p50_ms']:.0f} / {total['p90_ms']:.0f}" if total else NOTHING


def _parameters(one: Measured) -> str:
    return f"{sum(one.row['parameters'].values()) / 1e6:.1f} M" if one.row["parameters"] else NOTHING


def _number(key: str, form: str) -> Callable[[Measured], str]:
    return lambda one: NOTHING if one.row[key] is None else format(one.row[key], form)


def _images_per_second(one: Measured) -> str:
    rates = one.row["images_per_second"]
    return ", ".join(f"{rate:.1f} by {size}" for size, rate in rates.items()) or NOTHING


COLUMNS: tuple[Column, ...] = (
    ("combination", lambda one: one.name),
    ("AP", _with_spread),
    ("AP, ideal maps", _accuracy("oracle", "AP")),
    ("AP, ideal heatmap", _accuracy("grouping", "AP")),
    ("APM", _accuracy("figures", "APM")),
    ("APL", _accuracy("figures", "APL")),
    ("mask AP", _accuracy("figures", "mask_AP")),
    ("box AP", _accuracy("figures", "box_AP")),
    ("IoU", _accuracy("figures", "segmentation_IoU")),
    ("ms, median / 90 %", _total),
    ("backbone ms", _ms("backbone")),
    ("heads ms", _ms("heads.")),
    ("decoder ms", _ms("decoder")),
    ("images/s", _images_per_second),
    ("peak MiB", _number("peak_mebibytes", ".0f")),
    ("parameters", _parameters),
    ("GMACs", _number("gigamacs", ".2f")),
    ("training images/s", _number("training_images_per_second", ".1f")),
    ("note", lambda one: one.note or NOTHING),
)
