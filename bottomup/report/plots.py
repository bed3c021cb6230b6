"""Measured combinations as plots, drawn as SVG: sharp at any size, and text in a page."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import isnan, nan

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter, NullFormatter

from bottomup.report.rows import Measured

_SIZE = (7.0, 4.2)  # inches
_SIZES = ("APM", "APL")


def plots(measured: Sequence[Measured]) -> Iterator[tuple[str, str]]:
    """Title and SVG of every plot that there are figures for."""
    there = [one for one in measured if one.there and _has(one, "AP")]
    timed = [one for one in there if one.milliseconds is not None]
    if timed:
        yield "Accuracy and latency", _svg(lambda axes: _accuracy_latency(axes, timed))
    if any(_has(one, size) for one in there for size in _SIZES):
        yield "AP by size", _svg(lambda axes: _by_size(axes, there))
    series = _series(timed)
    if series:
        yield "Latency and image size", draw_lines(series, "input size, px", "ms an image")


def draw_lines(series: Mapping[str, list[tuple[float, float]]], across: str, up: str, logarithmic: bool = False) -> str:
    """Lines of points (x, y) by name as SVG; ``logarithmic`` along both axes."""
    return _svg(lambda axes: _lines(axes, series, across, up, logarithmic))


def _svg(draw: Callable[[Axes], None]) -> str:
    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.add_subplot()
    draw(axes)
    axes.spines[["top", "right"]].set_visible(False)
    text = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "bottomup"}):  # equal figures, equal files
        figure.savefig(text, format="svg", metadata={"Date": None})
    svg = text.getvalue()
    return svg[svg.index("<svg") :]


def _accuracy_latency(axes: Axes, timed: Sequence[Measured]) -> None:
    """A numbered point a combination, the best first; names beside the plot, where they cannot cover each other."""
    for number, one in enumerate(sorted(timed, key=lambda one: -one.row["figures"]["AP"]), 1):
        at = (one.milliseconds or 0.0, one.row["figures"]["AP"])
        axes.scatter(*at, s=36, label=f"{number}  {one.name}")
        axes.annotate(str(number), at, xytext=(4, 4), textcoords="offset points", fontsize=7)
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
    return not isnan(one.row["figures"].get(figure, nan))


def _by_size(axes: Axes, there: Sequence[Measured]) -> None:
    sizes = [size for size in _SIZES if any(_has(one, size) for one in there)]
    width = 0.8 / len(sizes)
    middle = (len(sizes) - 1) * width / 2
    for index, size in enumerate(sizes):
        heights = [one.row["figures"].get(size, nan) for one in there]
        axes.barh([place + index * width for place in range(len(there))], heights, width, label=size)
    axes.set_yticks([place + middle for place in range(len(there))], [one.name for one in there], fontsize=7)
    axes.invert_yaxis()
    axes.set(xlabel="AP")
    _legend_beside(axes)


def _legend_beside(axes: Axes) -> None:
    axes.legend(frameon=False, fontsize=7, loc="upper left", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.0)


def _series(timed: Sequence[Measured]) -> dict[str, list[tuple[float, float]]]:
    """Latency against input size, of the combinations that differ in it alone."""
    series: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for one in timed:
        size = one.row["choices"].get("input_size")
        if size is not None:
            others = [choice for axis, choice in one.row["choices"].items() if axis != "input_size"]
            series[", ".join(others)].append((float(size), one.milliseconds or 0.0))
    return {name: sorted(points) for name, points in series.items() if len(points) > 1}


def _lines(axes: Axes, series: Mapping[str, list[tuple[float, float]]], across: str, up: str, logarithmic: bool) -> None:
    for name, points in series.items():
        axes.plot(*zip(*points, strict=True), marker="o", label=name or "as configured")
    axes.set(xlabel=across, ylabel=up)
    if logarithmic:
        _logarithmic(axes, "xy")
    else:
        axes.set(ylim=(0, None))
    axes.legend(frameon=False, fontsize=7)
