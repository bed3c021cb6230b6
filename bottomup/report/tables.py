"""Measured combinations as a Markdown table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from math import isnan

from bottomup.report.markdown import NOTHING, markdown_table, number, share
from bottomup.report.rows import Measured, defined

Column = tuple[str, Callable[[Measured], str]]


def markdown(measured: Sequence[Measured], columns: Sequence[str] | None = None) -> str:
    """A row a combination, with ``table``'s columns, then a line for each reason why some have no figures."""
    names, rows = table(measured, columns)
    reasons = [f"- {'; '.join(combinations)}: {reason}" for reason, combinations in left_out(measured)]
    return "\n".join([markdown_table(names, rows) if rows else "", "", *reasons]).strip()


def table(measured: Sequence[Measured], columns: Sequence[str] | None = None) -> tuple[list[str], list[list[str]]]:
    """The names of columns, and a row of texts for each combination that has figures.

    ``columns`` are names of COLUMNS, by default of those that somebody fills; ValueError names one that is not there.
    """
    chosen = COLUMNS if columns is None else [_column(name) for name in columns]
    rows = [[text(one) for _, text in chosen] for one in measured if one.there]
    kept = [index for index in range(len(chosen)) if columns is not None or any(row[index] != NOTHING for row in rows)]
    return [chosen[index][0] for index in kept], [[row[index] for index in kept] for row in rows]


def left_out(measured: Sequence[Measured]) -> list[tuple[str, list[str]]]:
    """Why there are combinations without figures, each reason once, and which those are."""
    reasons: defaultdict[str, list[str]] = defaultdict(list)
    for one in measured:
        if not one.there:
            reasons[" ".join(one.note.split())].append(one.name)
    return list(reasons.items())


def _column(name: str) -> Column:
    for column in COLUMNS:
        if column[0] == name:
            return column
    raise ValueError(f"no column named {name!r}; there are: {'; '.join(column for column, _ in COLUMNS)}")


def _accuracy(part: str, figure: str) -> Callable[[Measured], str]:
    return lambda one: share(one.figure(figure, part))


def _with_spread(one: Measured) -> str:
    ap, spread = one.figure("AP"), one.figure("AP", "spread")
    several = one.row["training"] and one.row["training"]["seeds"] > 1
    return f"{share(ap)} ± {spread / 2:.3f}" if several and not isnan(ap + spread) else share(ap)


def _ms(part: str) -> Callable[[Measured], str]:
    def text(one: Measured) -> str:
        blocks = defined(times["p50_ms"] for name, times in one.row["latency"].items() if name.startswith(part))
        return f"{sum(blocks):.1f}" if blocks else NOTHING

    return text


def _total(one: Measured) -> str:
    total = one.row["latency"].get("total", {})
    return NOTHING if one.milliseconds is None else f"{one.milliseconds:.0f} / {number(total['p90_ms'], '.0f')}"


def _parameters(one: Measured) -> str:
    return f"{sum(one.row['parameters'].values()) / 1e6:.1f} M" if one.row["parameters"] else NOTHING


def _number(key: str, form: str) -> Callable[[Measured], str]:
    return lambda one: number(one.row.get(key), form)


def _images_per_second(one: Measured) -> str:
    rates = one.row["images_per_second"].items()
    return ", ".join(f"{rate:.1f} by {size}" for size, rate in rates if defined([rate])) or NOTHING


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
    ("of the matrix rate", _number("matrix_share", ".3f")),
    ("note", lambda one: one.note or NOTHING),
)
