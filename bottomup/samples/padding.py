"""Samples of several shapes padded to one, so that they make a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bottomup.framing import on_canvas
from bottomup.types import Sample


def padded_alike(samples: Sequence[Sample], fill: Sequence[int]) -> list[Sample]:
    """The samples, right and below padded to the largest height and width among them, images in the colour ``fill``.

    What is added is the ignore map "padding", and outside ``content``. Sides that a model accepts stay such.
    """
    size = (max(sample.shape[0] for sample in samples), max(sample.shape[1] for sample in samples))
    return [sample if sample.shape == size else _padded(sample, size, fill) for sample in samples]


def _padded(sample: Sample, size: tuple[int, int], fill: Sequence[int]) -> Sample:
    """One sample on a larger canvas of ``size`` (H, W)."""
    h, w = sample.shape
    more = ((0, size[0] - h), (0, size[1] - w))
    image = sample.image
    if image is not None:
        image = on_canvas(image.transpose(1, 2, 0), size, fill)
    return replace(
        sample,
        image=image,
        frame=sample.frame and size,
        ignore={name: np.pad(pixels, more, constant_values=name == "padding") for name, pixels in sample.ignore.items()},
        instances=None if sample.instances is None else np.pad(sample.instances, more),
        content=sample.content or (0.0, 0.0, float(w), float(h)),
    )
