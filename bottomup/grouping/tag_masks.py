"""Masks of the cells that share a tag: Associative Embedding §3.4."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bottomup.grid import Grid
from bottomup.grouping.found import Arrays, Decoded, Field, Floats, Found, HostFrame, best_first, images_of
from bottomup.grouping.levels import foreground_level
from bottomup.grouping.mask_crops import MaskCrops, concatenated
from bottomup.grouping.reading import to_pixels
from bottomup.grouping.suppression import mask_nms

_MAPS = ("foreground", "nearest", "second", "margin")


@dataclass(frozen=True, kw_only=True)
class MaskGrouping:
    """The sequential part of the decoder ``tag_segmentation``, whose docstring says what the options are."""

    fields: ClassVar[Mapping[str, Field]] = {
        "foreground": Field("B C h w", "in [0, 1]", "how surely a cell is an object's"),
        "nearest": Field("B C h w", "index", "of the identifier that each cell's tag is nearest to; -1 is none"),
        "second": Field("B C h w", "index", "of the second nearest; -1 is none"),
        "margin": Field("B C h w", "tag distance", "by how much the second is farther"),
        "identifiers": Field("B C P D", "tag distance", "the tags that tell objects apart"),
        "bins": Field("B C U D", "tag distance", "the mean tags of the histogram's bins"),
        "counts": Field("B C U", "cells", "in each bin"),
        "density": Field("B C U", "cells", "the histogram, smoothed"),
    }

    threshold: float
    nms: float

    def __call__(self, arrays: Arrays, frame: HostFrame) -> list[Decoded]:
        """The instances of all categories, best first, their ``labels`` the categories' numbers."""
        return [self._decoded(image, frame) for image in images_of(arrays, frame)]

    def _decoded(self, image: Arrays, frame: HostFrame) -> Decoded:
        grid, foreground = frame.grid("segmentation"), image["foreground"]
        found = [self._masks({name: image[name][label] for name in _MAPS}, grid) for label in range(len(foreground))]
        scores = np.concatenate([scores for _, scores, _ in found])
        labels = np.concatenate([np.full(len(scores), label, np.int64) for label, (_, scores, _) in enumerate(found)])
        tags = np.concatenate([image["identifiers"][label][which] for label, (_, _, which) in enumerate(found)])
        masks = concatenated([masks for masks, _, _ in found])
        nowhere = np.zeros((len(scores), 0), np.float32)
        people = Found(
            np.zeros((len(scores), 0, 2), np.float32), nowhere, scores, masks.boxes(frame.size), labels, masks, tags=tags
        )
        people = people[best_first(scores)]
        return Decoded(people, to_pixels(foreground[0], grid, frame.size) if len(foreground) == 1 else None)

    def _masks(self, maps: Arrays, grid: Grid) -> tuple[MaskCrops, Floats, NDArray[np.int64]]:
        """The masks of one category's instances, their scores (P,) and which identifiers (P,) are theirs, of maps (h, w)."""
        which = np.unique(maps["nearest"])
        which = which[which >= 0].astype(np.int64)
        there = which[:, None, None]
        nearest, second = maps["nearest"] == there, maps["second"] == there  # (P, h, w)
        level = foreground_level(maps["foreground"], self.threshold)
        own = np.where(nearest, maps["margin"], np.where(second, -maps["margin"], -np.inf))
        outside = maps["nearest"] < 0
        levels = np.where(outside, level.clip(max=0.0), np.minimum(level, own)).clip(-1.0, 1.0).astype(np.float32)
        scores = (maps["foreground"] * nearest).sum((1, 2)) / nearest.sum((1, 2)).clip(min=1)
        return MaskCrops.of_levels(levels, grid), scores.astype(np.float32), which

    def suppress(self, joined: Found) -> Found:
        """Those of people, best first, whose mask is not that of a better one of their category."""
        return joined[mask_nms(joined, self.nms)]
