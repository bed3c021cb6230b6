"""Precision against recall as SVG: a panel for each range of sizes, a line for each OKS."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bottomup.evaluation.precision_recall import PrecisionRecall
from bottomup.report.plots import svg_of

_PANEL = (4.2, 3.2)  # inches, a legend beside the axes in it
_COLOURS = "viridis"
_SMALL = 7  # points of the legend


def draw_precision_recall(curves: PrecisionRecall) -> str:
    """The curves of every range of sizes that has people, beside each other."""
    known = [area for area in curves.precision if not np.isnan(curves.precision[area]).all()]
    figure = Figure(figsize=(_PANEL[0] * max(1, len(known)), _PANEL[1]), layout="constrained")
    panels = figure.subplots(1, max(1, len(known)), squeeze=False, sharey=True)[0]
    for axes, area in zip(panels, known, strict=False):
        _draw(axes, curves, area)
    if len(panels):
        panels[0].set(ylabel="precision")
    return svg_of(figure)


def _draw(axes: Axes, curves: PrecisionRecall, area: str) -> None:
    colours = colormaps[_COLOURS](np.linspace(0.0, 0.9, len(curves.thresholds)))
    ap = curves.ap(area)
    for threshold, row, own, colour in zip(curves.thresholds, curves.precision[area], ap, colours, strict=True):
        axes.plot(curves.recalls, row, color=colour, label=f"{threshold:.2f}: {own:.3f}", linewidth=1.2)
    axes.set(title=f"{area}, AP {np.mean(ap):.3f}", xlabel="recall", xlim=(0, 1), ylim=(0, 1.02))
    axes.legend(
        frameon=False, fontsize=_SMALL, title="OKS: AP", title_fontsize=_SMALL,
        loc="upper left", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.0,
    )  # fmt: skip
    axes.spines[["top", "right"]].set_visible(False)
