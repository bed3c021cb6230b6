"""Instance tags: one embedding for each category and cell; equal within an object's mask, different between objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor, nn

from bottomup.contracts import HEADS, Head, Least, Source
from bottomup.geometry import any_at_cells, at_cells
from bottomup.heads._objects import Sizes, learned, of_objects, outlines
from bottomup.heads._tag_views import Scales, concatenated
from bottomup.options import Count, Natural
from bottomup.shapes import check_shape
from bottomup.types import Batch, Features, Frame, Outputs, Targets, Task

Reduction = Literal["mean", "sum"]

_IDEAL_SPACING = 10.0  # between the tags of two objects; far beyond any threshold on tag distance
_APART = 0.1  # between the mean tags of two objects; equal ones push each other apart too little to come so far


@HEADS.register
class InstanceTags(Head):
    """Associative embeddings of pixels, Associative Embedding §3.4, loss L_g: a tag map for each category, no skeleton needed.

    ``dim`` is D, the tag size (the paper: 1). Of each object ``pixels`` cells (fewer where it is smaller) are drawn anew at every
    step, and their tags compared pair by pair: those of one object are pulled together, those of two objects of one category
    pushed apart; 2 sigma² = 1, as of ``heads.tags``. ``reduction`` "sum" is L_g to the letter: unnormalised sums over all pairs, in
    the push those of an object with itself among them. "mean" is each object's mean over its pairs, averaged over the objects, and
    the mean over all pairs of two, which do not depend on how many pixels are drawn or objects there are; nothing pushes an
    object's own pixels apart.

    ``sizes`` says which objects are learned (§4.2), by the longer side of their boxes; None: all. Pixels at most ``border`` px
    from an outline are not drawn, nor those in a crowd or inside several objects. ``scales`` is as of ``heads.tags``.
    """

    ignores = frozenset({"crowd"})
    reads_instances = True
    least: ClassVar[Mapping[str, Least]] = {
        "between": Least(_APART, "the tags of different objects stay together; let reduction be mean, or weigh push more")
    }

    def __init__(
        self,
        source: Source,
        task: Task,
        *,
        dim: Count = 1,
        pixels: Count = 32,
        reduction: Reduction = "mean",
        sizes: Sizes | None = None,
        border: Annotated[Natural, "input px"] = 0,
        scales: Scales = "nearest",
    ) -> None:
        super().__init__(source, task)
        self.dim, self.pixels, self.reduction = dim, pixels, reduction
        self.sizes, self.border, self.scales = sizes, border, scales
        channels = len(task.categories) * dim
        self.conv = nn.Conv2d(source.level.channels, channels, 1)
        self.provides = {"instance_tags": "B C D h w"}
        self.grids = {"instance_tags": source.level.grid}
        self.feedback = channels

    def forward(self, features: Features, outputs: Outputs) -> Outputs:
        """(B, C, D, h, w) tags, float32."""
        (maps,) = features.values()
        return {"instance_tags": self.conv(maps).float().unflatten(1, (-1, self.dim))}

    def encode(self, batch: Batch, outputs: Outputs) -> Targets:
        """Flat indices of ``cells`` (B, N, S) of each object, which of them were ``drawn``, and the objects' ``labels`` (B, N)."""
        instances, grid = _instances(batch), self.grids["instance_tags"]
        unclear = batch.ignored(self.ignores) | ~of_objects(instances, learned(batch, self.sizes))
        if self.border:
            unclear |= outlines(instances, self.border)
        owner = at_cells(instances, grid).long().masked_fill(any_at_cells(unclear, grid), 0)
        cells, drawn = draw_cells(owner.flatten(1), batch.present.shape[1], self.pixels)
        return {"cells": cells, "drawn": drawn, "labels": batch.labels}

    def loss(self, outputs: Outputs, targets: Targets) -> dict[str, Tensor]:
        """``pull``: squared tag distance of pairs of one object; ``push``: exp(-that) of pairs of two, with "sum" of one, too."""
        tags, drawn, same = self._read(outputs, targets)
        count = drawn.sum(2).float()  # (B, N)
        spread = 2 * _variance(tags, drawn)  # the mean of all pairs
        similar = _similar(tags, drawn) * same  # (B, N, N), sums over the pairs of pixels
        if self.reduction == "sum":
            return {"pull": (spread * count.square()).sum(1), "push": similar.sum((1, 2))}
        pairs = same & ~torch.eye(same.shape[1], dtype=torch.bool, device=same.device)
        similar = similar / (count[:, :, None] * count[:, None, :]).clamp(min=1) * pairs
        objects = (count > 0).sum(1).clamp(min=1)
        return {"pull": spread.sum(1) / objects, "push": similar.sum((1, 2)) / pairs.sum((1, 2)).clamp(min=1)}

    def metrics(self, outputs: Outputs, targets: Targets) -> dict[str, Tensor]:
        """Tag distance ``within`` objects (root mean square, to their mean) and ``between`` the means of two of a category."""
        tags, drawn, same = self._read(outputs, targets)
        there, mean = drawn.any(2), _mean(tags, drawn)
        between = (mean[:, :, None] - mean[:, None, :]).square().sum(-1).sqrt()
        return {
            "within": _masked_mean(_variance(tags, drawn).sqrt(), there),
            "between": _masked_mean(between.flatten(1), same.triu(diagonal=1).flatten(1)),
        }

    def _read(self, outputs: Outputs, targets: Targets) -> tuple[Tensor, Tensor, Tensor]:
        """The tags (B, N, S, D) that were drawn, which count (B, N, S), and whether two objects (B, N, N) share a tag map."""
        maps = outputs["instance_tags"]
        check_shape("instance_tags", maps, "B C D h w", {"C": len(self.task.categories), "D": self.dim})
        cells, drawn, labels = targets["cells"], targets["drawn"], targets["labels"]
        flat = maps.flatten(3).transpose(2, 3).flatten(1, 2)  # (B, C h w, D)
        index = (labels[..., None] * (maps.shape[-2] * maps.shape[-1]) + cells).flatten(1)
        tags = flat.gather(1, index[..., None].expand(-1, -1, self.dim)).view(*cells.shape, self.dim)
        there = drawn.any(2)
        same = (labels[:, :, None] == labels[:, None, :]) & there[:, :, None] & there[:, None, :]
        return tags, drawn, same

    def ideal(self, batch: Batch) -> Outputs:
        """Every cell holds the tag of the object that it lies in; inside several, of the smallest one whose box holds it."""
        owner = at_cells(_instances(batch), self.grids["instance_tags"]).long()  # (B, h, w)
        maps = [torch.where(owner < 0, self._smallest(batch, label), owner) for label in range(len(self.task.categories))]
        tags = torch.stack(maps, dim=1).float() * (_IDEAL_SPACING * self.dim**-0.5)
        return {"instance_tags": tags[:, :, None].expand(-1, -1, self.dim, -1, -1)}

    def _smallest(self, batch: Batch, label: int) -> Tensor:
        """(B, h, w) the number n + 1 of the smallest object of a category whose box holds the cell; 0 where none does."""
        grid = self.grids["instance_tags"]
        h, w = grid.shape(batch.size)
        across, down = grid.centres(w, batch.boxes), grid.centres(h, batch.boxes)
        areas = torch.where(batch.present & batch.has_mask & (batch.labels == label), batch.areas, torch.inf)
        x1, y1, x2, y2 = batch.boxes[..., None].unbind(2)  # (B, N, 1) each
        inside = ((down >= y1) & (down <= y2))[..., None] & ((across >= x1) & (across <= x2))[..., None, :]  # (B, N, h, w)
        least, owner = torch.where(inside, areas[..., None, None], torch.inf).min(1)
        return torch.where(least < torch.inf, owner + 1, 0)

    def merge(self, views: list[Outputs], frames: list[Frame], onto: Frame) -> Outputs:
        """Concatenate the tags of the views of ``scales``, divided by √views; they are never averaged."""
        return {"instance_tags": concatenated(self, "instance_tags", views, frames, onto, self.scales)}


def draw_cells(owner: Tensor, count: int, most: int) -> tuple[Tensor, Tensor]:
    """At most ``most`` = S cells of each of ``count`` = N objects at random, each cell once, of whose each is, (B, h w) from 1 on.

    Returns flat indices (B, N, S) int64 and which of them are there. 0 is nobody's cell.
    """
    shuffled = torch.rand(owner.shape, device=owner.device).argsort(1)
    owners, order = owner.gather(1, shuffled).sort(dim=1, stable=True)
    order = shuffled.gather(1, order)  # object by object, at random within
    sizes = owner.new_zeros(len(owner), count + 1).scatter_add_(1, owners, torch.ones_like(owners))
    first, place = sizes.cumsum(1) - sizes, torch.arange(most, device=owner.device)
    index = (first[:, 1:, None] + place).clamp(max=owner.shape[1] - 1)
    return order.gather(1, index.flatten(1)).view_as(index), place < sizes[:, 1:, None]


def _instances(batch: Batch) -> Tensor:
    if batch.instances is None:
        raise ValueError("head instance_tags reads Batch.instances; load the data with the map 'instances'")
    return batch.instances


def _mean(tags: Tensor, drawn: Tensor) -> Tensor:
    """The mean tag (B, N, D) of each object's drawn pixels."""
    return (tags * drawn[..., None]).sum(2) / drawn.sum(2)[..., None].clamp(min=1)


def _variance(tags: Tensor, drawn: Tensor) -> Tensor:
    """The mean squared tag distance (B, N) of each object's drawn pixels to their mean."""
    apart = (tags - _mean(tags, drawn)[:, :, None]).square().sum(-1)
    return (apart * drawn).sum(2) / drawn.sum(2).clamp(min=1)


def _similar(tags: Tensor, drawn: Tensor) -> Tensor:
    """(B, N, N): of each pair of objects the sum over all pairs of their drawn pixels of exp(-squared tag distance)."""
    (b, n, s), flat, counted = drawn.shape, tags.flatten(1, 2), drawn.flatten(1).float()
    length = flat.square().sum(-1)
    squared = (length[:, :, None] + length[:, None, :] - 2 * flat @ flat.transpose(1, 2)).clamp(min=0)
    similar = torch.exp(-squared) * counted[:, :, None] * counted[:, None, :]
    return similar.view(b, n, s, n, s).sum((2, 4))


def _masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """(B,) mean of values (B, M) where ``mask``; NaN where an image has nothing."""
    return (values * mask).sum(1) / torch.where(mask.any(1), mask.sum(1), torch.nan)
