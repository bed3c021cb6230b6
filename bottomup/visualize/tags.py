"""The tags of the people found in an image, as Associative Embedding plots them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bottomup.drawing.poses import person_colour
from bottomup.drawing.sheets import Picture
from bottomup.errors import counted
from bottomup.skeletons import Skeleton


def plot_tags(tags: NDArray[np.float32], skeleton: Skeleton) -> Picture:
    """Associative Embedding Fig. 4: of each person (colour) the tag of each keypoint (row).

    ``tags`` is (P, K, D), NaN where a person lacks the keypoint; with D > 1 their first two dimensions are plotted instead.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # slow to import, and seldom wanted
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 5), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    plane = tags.shape[-1] > 1
    for person, values in enumerate(tags):
        colour = np.array([person_colour(person)]) / 255 * 0.85
        across = values[:, 0]
        up = values[:, 1] if plane else np.arange(len(values))
        axes.scatter(across, up, color=colour, edgecolors="black", linewidths=0.4, s=36)
    if plane:
        axes.set(xlabel="tag, first dimension", ylabel="tag, second dimension")
    else:
        axes.set(xlabel="tag", ylim=(len(skeleton) - 0.5, -0.5))
        axes.set_yticks(range(len(skeleton)), skeleton.keypoints)
    axes.set_title(counted(len(tags), "person", "people"))
    axes.grid(alpha=0.3)
    canvas.draw()  # type: ignore[no-untyped-call]
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()  # type: ignore[no-untyped-call]
