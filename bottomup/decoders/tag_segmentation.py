"""Foreground, a histogram of its tags, and each pixel to the nearest of the histogram's maxima: Associative Embedding §3.4."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from bottomup.contracts import DECODERS, Decoder, probability, probability_grid
from bottomup.devices import beside
from bottomup.grouping.tag_masks import MaskGrouping
from bottomup.ops.peaks import touching
from bottomup.ops.tag_histogram import modes, nearest_two, smoothed, tag_histogram
from bottomup.options import Count, Inner, Positive, Share
from bottomup.shapes import check_shape
from bottomup.thresholds import Thresholds
from bottomup.types import Frame, Instances, Outputs, Task

_RECOMMENDED = Thresholds(score=0.6)


@DECODERS.register
class TagSegmentation(Decoder):
    """Instance masks from tags, Associative Embedding §3.4; each category has maps of its own.

    Cells of a foreground above ``threshold`` are somebody's. Their tags fall into bins ``bin`` wide; the histogram, smoothed by a
    gaussian of ``smoothing``, has its local maxima, the highest within ``separation``, at the tags that identify instances. Each
    cell goes to the nearest of them. The ``max_instances`` highest of each category count, and those to which ``smallest`` cells
    or more go; the cells of others go to the next. Of the histogram the ``bins`` fullest bins are kept, which bounds the cost on
    noise.

    What the paper leaves open: width of the bins, smoothing, and the score, which is the mean foreground of an instance's cells.
    Between two instances' cells a mask ends where both tags are equally far, elsewhere where the foreground crosses the threshold.
    Scales that are decoded apart (§4.2, ``views=instances``) are joined by suppression: whose mask has an IoU above ``nms`` with
    that of a better instance of its category is the same once more.
    """

    posed = False
    grouping: MaskGrouping

    def __init__(
        self,
        task: Task,
        *,
        threshold: Inner = 0.5,
        bin: Annotated[Positive, "tag distance"] = 0.1,
        smoothing: Annotated[Positive, "tag distance"] = 0.2,
        separation: Annotated[Positive, "tag distance"] = 1.0,
        smallest: Annotated[Count, "cells"] = 4,
        max_instances: Count = 30,
        bins: Count = 512,
        nms: Annotated[Share, "IoU"] = 0.5,
    ) -> None:
        self.categories = task.categories
        self.threshold, self.bin, self.smoothing, self.separation = threshold, bin, smoothing, separation
        self.smallest, self.max_instances, self.bins, self.nms = smallest, max_instances, bins, nms
        self.limits = {"max_instances": max_instances}
        self.recommended = _RECOMMENDED
        self.grouping = MaskGrouping(threshold=threshold, nms=nms)
        self.requires = {"segmentation | segmentation_logits": "B C h w", "instance_tags": "B C D h w"}

    def tensors(self, outputs: Outputs, frame: Frame) -> dict[str, Tensor]:
        """Of each category's map ``foreground`` (B, C, h, w), and whose each cell is: ``nearest``, ``second`` (B, C, h, w) int64.

        These are indices of ``identifiers`` (B, C, P, D), -1 for none; ``margin`` (B, C, h, w) is by how much the second's tag is
        farther. ``bins`` (B, C, U, D), ``counts`` and ``density`` (B, C, U) are the histogram as it is and smoothed.
        ValueError where foreground and tags do not lie on one grid.
        """
        foreground, tags = probability(outputs, "segmentation").float(), outputs["instance_tags"]
        grid = probability_grid(frame, "segmentation")
        check_shape("foreground", foreground, "B C h w", {"C": len(self.categories)})
        b, c, h, w = foreground.shape
        check_shape("instance_tags", tags, "B C D h w", {"B": b, "C": c, "h": h, "w": w})
        if frame.grids.get("instance_tags", grid) != grid:
            raise ValueError(f"foreground and tags should lie on one grid, got {grid} and {frame.grids['instance_tags']}")
        content = touching(beside(frame.content, foreground), grid, (h, w))[:, None]
        foreground = torch.where(content, foreground.nan_to_num(0.0).clamp(0.0, 1.0), 0.0)
        inside = (foreground > self.threshold).flatten(0, 1).flatten(1)  # (R, h w), R = B C
        flat = tags.flatten(0, 1).flatten(2).transpose(1, 2)  # (R, h w, D)
        histogram = tag_histogram(flat, inside, self.bin, self.bins)
        density = smoothed(histogram, self.smoothing)
        identifiers, heights = modes(histogram, density, self.separation, self.max_instances)
        nearest, second, margin = self._assigned(flat, inside, identifiers, heights > 0)
        maps = {"nearest": nearest, "second": second, "margin": margin}
        rest = {"identifiers": identifiers, "bins": histogram.values, "counts": histogram.counts, "density": density}
        found = {name: tensor.view(b, c, h, w) for name, tensor in maps.items()}
        return found | {name: tensor.unflatten(0, (b, c)) for name, tensor in rest.items()} | {"foreground": foreground}

    def _assigned(self, tags: Tensor, inside: Tensor, identifiers: Tensor, valid: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``nearest_two`` of the cells ``inside`` (R, h w), among the identifiers to which enough of them go."""
        nearest = nearest_two(tags, identifiers, valid)[0]
        own = torch.where(inside, nearest + 1, 0)
        cells = own.new_zeros(own.shape[0], identifiers.shape[1] + 1).scatter_add_(1, own, torch.ones_like(own))
        nearest, second, margin = nearest_two(tags, identifiers, valid & (cells[:, 1:] >= self.smallest))
        return torch.where(inside, nearest, -1), torch.where(inside, second, -1), margin

    def suppress(self, joined: Instances) -> Instances:
        """Those of instances, best first, whose mask is not that of a better one of their category."""
        return Instances.of(self.grouping.suppress(joined.found()))
