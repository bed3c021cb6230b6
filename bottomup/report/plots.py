"""Measured combinations as plots, drawn as SVG: sharp at any size, and text in a page."""

from __future__ import annotations

import contextlib
import io
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from math import isnan
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter, NullFormatter

from bottomup.benchmark.results import Row
from bottomup.report.rows import Measured, Results

_SIZE = (7.0, 4.2)  # inches
_BARE = 4.8  # inches of width that axes get beside names
_SMALL = 8  # points of names
_LETTER, _LINE, _BAR = 0.062, 0.155, 0.09  # inches of a letter, of a line of names, and of a bar
_BY_SIZE = {"AP by size": "", "Mask AP by size": "mask_", "Box AP by size": "box_"}  # title -> what the figures begin with
_SIZES = ("APS", "APM", "APL")

Lines = Mapping[str, list[tuple[float, float]]]


def plots(results: Results) -> Iterator[tuple[str, str]]:
    """Title and SVG of every plot that there are figures for."""
    there = [one for one in results.measured if one.there]
    timed = [one for one in there if one.milliseconds is not None]
    judged = [one for one in timed if _has(one, "AP")]
    if judged:
        yield "Accuracy and latency", _svg(partial(_accuracy_latency, timed=judged), _room(judged, _LINE))
    for title, kind in _BY_SIZE.items():
        sizes = [kind + size for size in _SIZES if any(_has(one, kind + size) for one in there)]
        shown = [one for one in there if any(_has(one, size) for size in sizes)]
        if shown:
            yield title, _svg(partial(_by_size, shown=shown, sizes=sizes), _room(shown, max(_LINE, _BAR * (len(sizes) + 1))))
    series = _series(timed)
    if series:
        yield "Latency and image size", draw_lines(series, "input size, px", "ms an image")
    if results.people:
        yield "Time against people", draw_people(results.people)


def draw_people(rows: Sequence[Row]) -> str:
    """The milliseconds of each decoder against the number of people as SVG; rows that are not valid have no point."""
    lines: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for row in rows:
        if row["valid"] and row["median_ms"] is not None:
            lines[row["decoder"]].append((row["people"], row["median_ms"]))
    return draw_lines(lines, "people in the image", "ms an image", logarithmic=True)


def draw_lines(series: Lines, across: str, up: str, logarithmic: bool = False) -> str:
    """Lines of points (x, y) by name as SVG; ``logarithmic`` along both axes."""
    return _svg(partial(_lines, series=series, across=across, up=up, logarithmic=logarithmic))


def _room(named: Sequence[Measured], line: float) -> tuple[float, float]:
    """The size of a figure with a name, and so many inches, for each combination."""
    return max(_SIZE[0], _BARE + _LETTER * max(len(one.name) for one in named)), max(_SIZE[1], 1 + line * len(named))


def _svg(draw: Callable[[Axes], None], size: tuple[float, float] = _SIZE) -> str:
    with _plain_text():
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.add_subplot()
        draw(axes)
        axes.spines[["top", "right"]].set_visible(False)
        return svg_of(figure)


def _plain_text() -> contextlib.AbstractContextManager[None]:
    """Equal figures, equal files; and a name with $ in it is a name."""
    return mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "bottomup", "text.parse_math": False})


def svg_of(figure: Figure) -> str:
    """A figure as SVG whose text is text; of equal figures equal."""
    text = io.StringIO()
    with _plain_text():
        figure.savefig(text, format="svg", metadata={"Date": None})
    svg = text.getvalue()
    return svg[svg.index("<svg") :]


def _accuracy_latency(axes: Axes, timed: Sequence[Measured]) -> None:
    """A numbered point a combination, the best first; names beside the plot, where they cannot cover each other."""
    for number, one in enumerate(sorted(timed, key=lambda one: -one.figure("AP")), 1):
        at = (one.milliseconds or 0.0, one.figure("AP"))
        axes.scatter(*at, s=36, label=f"{number}  {one.name}", clip_on=False)
        axes.annotate(str(number), at, xytext=(4, 4), textcoords="offset points", fontsize=_SMALL)
    _legend_beside(axes)
    axes.set(xlabel="ms an image (median)", ylabel="AP", ylim=(0, None))
    _logarithmic(axes, "x")


def _logarithmic(axes: Axes, sides: str) -> None:
    """A logarithmic scale whose ticks are plain numbers."""
    for side in sides:
        axes.set(**{f"{side}scale": "log"})
        axis = axes.xaxis if side == "x" else axes.yaxis
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(LogFormatter(minor_thresholds=(2, 0.5)) if len(sides) == 1 else NullFormatter())


def _has(one: Measured, figure: str) -> bool:
    return not isnan(one.figure(figure))


def _by_size(axes: Axes, shown: Sequence[Measured], sizes: Sequence[str]) -> None:
    width = 0.8 / len(sizes)
    middle = (len(sizes) - 1) * width / 2
    for index, size in enumerate(sizes):
        heights = [one.figure(size) for one in shown]
        axes.barh([place + index * width for place in range(len(shown))], heights, width, label=size.replace("_", " "))
    axes.set_yticks([place + middle for place in range(len(shown))], [one.name for one in shown], fontsize=_SMALL)
    axes.set(xlabel="AP", xlim=(0, None), ylim=(len(shown) - 0.5 + middle, middle - 0.6))
    _legend_beside(axes)


def _legend_beside(axes: Axes) -> None:
    axes.legend(frameon=False, fontsize=_SMALL, loc="upper left", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.0)


def _series(timed: Sequence[Measured]) -> Lines:
    """Latency against input size, of the combinations of one benchmark that differ in it alone."""
    found: defaultdict[tuple[str, Path], list[tuple[float, float]]] = defaultdict(list)
    for one in timed:
        size = str(one.row["choices"].get("input_size", ""))
        if size.isdecimal():
            others = [str(choice) for axis, choice in one.row["choices"].items() if axis != "input_size"]
            found[", ".join(others) or "as configured", one.folder.parent].append((float(size), one.milliseconds or 0.0))
    lines = {key: sorted(points) for key, points in found.items() if len(points) > 1}
    alike = Counter(name for name, _ in lines)
    return {f"{name} ({where})" if alike[name] > 1 else name: points for (name, where), points in lines.items()}


def _lines(axes: Axes, series: Lines, across: str, up: str, logarithmic: bool) -> None:
    for name, points in series.items():
        axes.plot(*zip(*points, strict=True), marker="o", label=name)
    axes.set(xlabel=across, ylabel=up)
    if logarithmic:
        _logarithmic(axes, "xy")
    else:
        axes.set(ylim=(0, None))
    axes.legend(frameon=False, fontsize=_SMALL)
