"""A part of an image as an image of its own, with the people in it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bottomup.crops import Window
from bottomup.samples.content import inside_only
from bottomup.types import Sample


def cropped(sample: Sample, window: Window) -> Sample:
    """What a window shows of a sample in its image's px, in px of the window, whose corner is (0, 0).

    People of whom nothing is in it are left out, the keypoints of others that are out of it are nobody's labels.
    """
    rows, columns = slice(window.y1, window.y2), slice(window.x1, window.x2)
    moved = sample.move_people(np.array([[1.0, 0.0, -window.x1], [0.0, 1.0, -window.y1]]), ())
    own = replace(
        moved,
        image=None if sample.image is None else sample.image[:, rows, columns].copy(order="K"),
        ignore={name: np.ascontiguousarray(maps[rows, columns]) for name, maps in sample.ignore.items()},
        instances=None if sample.instances is None else np.ascontiguousarray(sample.instances[rows, columns]),
        file_size=window.size,
        to_input=np.eye(2, 3),
        frame=window.size if sample.image is None else None,
    )
    return replace(inside_only(own), beside=None)  # whose disks reach into a crop, another one shows
