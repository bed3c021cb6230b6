"""Measured combinations as a Markdown table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from math import isnan
from typing import NamedTuple

from bottomup.report.markdown import NOTHING, markdown_table, number, plain, share
from bottomup.report.rows import Measured, defined


class Column(NamedTuple):
    """A column of the table: its name, what it means, and the text of a combination."""

    name: str
    meaning: str
    text: Callable[[Measured], str]


def markdown(measured: Sequence[Measured], columns: Sequence[str] | None = None) -> str:
    """A row a combination, with ``table``'s columns, then a line for each reason why some have no figures."""
    names, rows = table(measured, columns)
    rows = [list(map(plain, row)) for row in rows]
    reasons = [plain(f"- {'; '.join(combinations)}: {reason}") for reason, combinations in left_out(measured)]
    return "\n".join([markdown_table(names, rows) if rows else "", "", *reasons]).strip()


def table(measured: Sequence[Measured], columns: Sequence[str] | None = None) -> tuple[list[str], list[list[str]]]:
    """The names of columns, and a row of texts for each combination that has figures.

    ``columns`` are names of COLUMNS, by default of those that somebody fills; ValueError names one that is not there.
    """
    chosen = COLUMNS if columns is None else [_column(name) for name in columns]
    rows = [[column.text(one) for column in chosen] for one in measured if one.there]
    kept = [index for index in range(len(chosen)) if columns is not None or any(row[index] != NOTHING for row in rows)]
    return [chosen[index].name for index in kept], [[row[index] for index in kept] for row in rows]


def meanings(columns: Sequence[str]) -> list[str]:
    """What each of some columns means; ValueError names one that is not there."""
    return [_column(name).meaning for name in columns]


def legend(columns: Sequence[str]) -> str:
    """A line for each of some columns that says what it means."""
    pairs = zip(columns, meanings(columns), strict=True)
    return "\n".join(f"- {name}: {meaning}" for name, meaning in pairs if meaning)


def left_out(measured: Sequence[Measured]) -> list[tuple[str, list[str]]]:
    """Why there are combinations without figures, each reason once, and which those are."""
    reasons: defaultdict[str, list[str]] = defaultdict(list)
    for one in measured:
        if not one.there:
            reasons[" ".join(one.note.split())].append(one.name)
    return list(reasons.items())


def _column(name: str) -> Column:
    for column in COLUMNS:
        if column.name == name:
            return column
    raise ValueError(f"no column named {name!r}; there are: {'; '.join(column.name for column in COLUMNS)}")


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


def _learning_rate(one: Measured) -> str:
    return number((one.row["training"] or {}).get("learning_rate"), "g")


def _number(key: str, form: str) -> Callable[[Measured], str]:
    return lambda one: number(one.row.get(key), form)


def _images_per_second(one: Measured) -> str:
    rates = one.row["images_per_second"].items()
    return ", ".join(f"{rate:.1f} by {size}" for size, rate in rates if defined([rate])) or NOTHING


def _training_rate(one: Measured) -> str:
    rate, precision = number(one.row.get("training_images_per_second"), ".1f"), one.row.get("training_precision")
    return f"{rate} in {precision}" if precision and rate != NOTHING else rate


COLUMNS: tuple[Column, ...] = (
    Column("combination", "", lambda one: one.name),
    Column("AP", "COCO's, of keypoints; the mean of several seeds ± half of how far they lie apart", _with_spread),
    Column(
        "AP, ideal maps",
        "of the first seed, with all maps ideal that the decoder reads: what is missing is its own",
        _accuracy("oracle", "AP"),
    ),
    Column(
        "AP, ideal heatmap", "of the first seed, with an ideal heatmap: what is missing is grouping", _accuracy("grouping", "AP")
    ),
    Column("APM", "of medium people", _accuracy("figures", "APM")),
    Column("APL", "of large people", _accuracy("figures", "APL")),
    Column("mask AP", "COCO's, of instance masks", _accuracy("figures", "mask_AP")),
    Column("box AP", "COCO's, of boxes", _accuracy("figures", "box_AP")),
    Column("IoU", "of the people's pixels", _accuracy("figures", "segmentation_IoU")),
    Column("ms, median / 90 %", "of one image, by itself, from its pixels on the device to people with masks on the host", _total),
    Column("backbone ms", "the median", _ms("backbone")),
    Column("necks ms", "the median", _ms("necks.")),
    Column("heads ms", "the sum of their medians", _ms("heads.")),
    Column("decoder ms", "the median, masks drawn", _ms("decoder")),
    Column("images/s", "by batch size", _images_per_second),
    Column("peak MiB", "of memory that one image takes on top of the model", _number("peak_mebibytes", ".0f")),
    Column("parameters", "of what runs for the decoder", _parameters),
    Column("GMACs", "billions of multiply-adds of one image", _number("gigamacs", ".2f")),
    Column("learning rate", "the one that was chosen", _learning_rate),
    Column("training images/s", "of the engine, on a batch that is there already, and in which precision", _training_rate),
    Column("of the matrix rate", "training's share of the device's fastest product of matrices", _number("matrix_share", ".3f")),
    Column("note", "", lambda one: one.note or NOTHING),
)
