"""Tags: one embedding for each keypoint and cell; equal within a person, different between people."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from bottomup.contracts import HEADS, Head, Least, Source
from bottomup.devices import constant
from bottomup.errors import ConfigError
from bottomup.heads._tag_views import Scales, concatenated
from bottomup.ops.sampling import gather_maps
from bottomup.ops.targets import nearest_keypoints
from bottomup.options import Count
from bottomup.shapes import check_shape
from bottomup.types import Batch, Features, Frame, Outputs, Targets, Task

Push = Literal["n2", "n2_minus_n", "pairs"]
Pull = Literal["sum", "mean"]
Distance = Literal["l2", "rms"]
Cells = Literal["nearest", "around"]

_IDEAL_SPACING = 10.0  # between the tags of two people; far beyond any threshold on tag distance
_APART = 0.1  # between the mean tags of two people; equal ones push each other apart too little to come so far

# The push term of one image from the similarities (B, N, N) of all ordered pairs, and how many people (B,) there are.
_PUSH: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "n2": lambda similar, n: similar.sum((1, 2)) / n.clamp(min=1) ** 2,  # the paper: n = n' is one of the pairs
    "n2_minus_n": lambda similar, n: (similar.sum((1, 2)) - n) / (n * (n - 1)).clamp(min=1),
    "pairs": lambda similar, n: 0.5 * (similar.sum((1, 2)) - n) / (n * (n - 1)).clamp(min=1),  # pose-ae-train
}


def _nearest_cell(points: Tensor, labelled: Tensor) -> tuple[Tensor, Tensor]:
    """Of points (B, N, K, 2) in cells, those that are ``labelled``: one cell (B, N, K, 1, 2) each and its weight (B, N, K, 1)."""
    return (points + 0.5).floor().long()[..., None, :], labelled[..., None].float()


def _cells_around(points: Tensor, labelled: Tensor) -> tuple[Tensor, Tensor]:
    """The four cells around each point with bilinear weights, 0 where the same keypoint of somebody else is nearer to the cell."""
    cells = points.floor()[..., None, :] + constant(((0, 0), (1, 0), (0, 1), (1, 1)), points)  # (B, N, K, 4, 2)
    away = points[..., None, :] - cells
    others = points.transpose(1, 2)[:, None, :, None] - cells[..., None, :]  # (B, N, K, 4, N, 2)
    nearer = others.square().sum(-1) < away.square().sum(-1, keepdim=True)
    taken = (nearer & labelled.transpose(1, 2)[:, None, :, None]).any(-1)
    return cells.long(), (1 - away.abs()).prod(-1) * (labelled[..., None] & ~taken)


_CELLS = {"nearest": _nearest_cell, "around": _cells_around}


@HEADS.register
class Tags(Head):
    """Associative embeddings, Associative Embedding §3.3, loss L_g.

    ``dim`` is D, the tag size (the paper: 1). ``push`` is the normaliser of the push term: "n2" as published, over all N²
    pairs with n = n' among them; "n2_minus_n" without; "pairs" half of that, as pose-ae-train. The paper leaves sigma open:
    2 sigma² = 1, as pose-ae-train. ``pull`` is the "mean" over a person's keypoints as pose-ae-train, or their "sum", the
    paper's text, under which tags stay equal: at equal weights and push "n2" they come apart only where their variance between
    people exceeds K / 2 times that within them; with the mean, half of it.

    The euclidean distance of two vectors as they leave here is the tag distance, for the loss and for every reader. ``distance``
    says what it is of the convolution's: "l2" the same, "rms" that divided by √D, as the reference groups views.

    ``cells`` says where training reads a keypoint's tag: at the "nearest" cell as published, or at the four "around" it, each
    as heavy as it is near. The peak of a keypoint between two cells falls on either, so that the decoder may read a tag that
    "nearest" has not trained.

    With ``frames`` of a clip beside one another in a batch (``data.together``) tags are of people, not of people in one image: the
    same in all frames, and apart from those of strangers in any. So they tell who is who in a video, the use that the paper sees in
    tracking (§1, §5). Images of whose people nothing is known in time are each by themselves. With 1 a network may as well number
    people from left to right, and does.

    ``scales`` says which of several views give tags: those whose scale is "nearest" to 1, the one that is trained at, with their
    mirror images, as the reference; or "all", as published. The tags of coarse views are those of many people at once.
    """

    least: ClassVar[Mapping[str, Least]] = {
        "between": Least(_APART, "the tags of different people stay together; let heads.tags.pull be mean, or weigh push more")
    }

    def __init__(
        self,
        source: Source,
        task: Task,
        *,
        dim: Count = 1,
        push: Push = "n2",
        pull: Pull = "mean",
        distance: Distance = "l2",
        cells: Cells = "nearest",
        scales: Scales = "nearest",
        frames: Count = 1,
    ) -> None:
        super().__init__(source, task)
        if not task.keypoints:
            raise ConfigError("head tags needs a skeleton; the task has none")
        self.dim, self.push, self.pull, self.cells, self.scales, self.frames = dim, push, pull, cells, scales, frames
        self.unit = 1.0 if distance == "l2" else dim**-0.5  # of tag distance, in what the convolution gives
        self.conv = nn.Conv2d(source.level.channels, task.keypoints * dim, 1)
        self.provides = {"tags": "B K D h w"}
        self.grids = {"tags": source.level.grid}
        self.feedback = task.keypoints * dim

    def forward(self, features: Features, outputs: Outputs) -> Outputs:
        """(B, K, D, h, w) tags, float32."""
        (maps,) = features.values()
        return {"tags": self.conv(maps).float().unflatten(1, (-1, self.dim)) * self.unit}

    def encode(self, batch: Batch, outputs: Outputs) -> Targets:
        """Where the tags are read: S cells of every labelled keypoint, and their weights, which sum to 1 where it is read."""
        grid = self.grids["tags"]
        h, w = grid.shape(batch.size)
        cells, weights = _CELLS[self.cells](grid.to_cells(batch.keypoints), batch.labelled)  # (B, N, K, S, 2) and (B, N, K, S)
        x, y = cells.unbind(-1)
        weights = weights * ((x >= 0) & (x < w) & (y >= 0) & (y < h))
        total = weights.sum(-1, keepdim=True)
        found = {"cells": cells, "weights": weights / torch.where(total > 0, total, 1.0)}
        return found | {"tracks": batch.tracks} if self.frames > 1 and batch.tracks is not None else found

    def loss(self, outputs: Outputs, targets: Targets) -> dict[str, Tensor]:
        """``pull``: squared distance of tags to their person's mean; ``push``: exp(-squared distance) between means."""
        tags, weights, read = self._read(outputs, targets)
        if "tracks" in targets and len(tags) % self.frames == 0:
            return self._along(tags, weights, read, targets)
        mean = _mean(tags, weights)  # (B, N, D)
        spread = (_squared(tags - mean[:, :, None, None]) * weights).sum(3)  # (B, N, K)
        if self.pull == "mean":
            spread = spread / read.sum(2, keepdim=True).clamp(min=1)
        someone = read.any(2)  # (B, N)
        people = someone.sum(1).float()
        pull = spread.sum((1, 2)) / people.clamp(min=1)
        both = someone[:, :, None] & someone[:, None, :]
        similar = torch.exp(-_squared(mean[:, :, None] - mean[:, None, :])) * both  # (B, N, N)
        return {"pull": pull, "push": _PUSH[self.push](similar, people)}

    def _along(self, tags: Tensor, weights: Tensor, read: Tensor, targets: Targets) -> dict[str, Tensor]:
        """The same terms where the people of a group of frames are one image's: each frame has its group's terms."""
        tags, weights, read, tracks = (
            part.unflatten(0, (-1, self.frames)).flatten(1, 2) for part in (tags, weights, read, targets["tracks"])
        )
        someone = read.any(2)  # (G, P), P = frames * N
        both = someone[:, :, None] & someone[:, None, :]
        same = (both & (tracks[:, :, None] == tracks[:, None, :])).float()
        mean = _mean(tags, weights)  # (G, P, D), of each frame
        mean = same @ mean / same.sum(2, keepdim=True).clamp(min=1)  # of all frames
        spread = (_squared(tags - mean[:, :, None, None]) * weights).sum(3)
        if self.pull == "mean":
            spread = spread / read.sum(2, keepdim=True).clamp(min=1)
        people = someone.sum(1).float()
        similar = torch.exp(-_squared(mean[:, :, None] - mean[:, None, :])) * both * (1 - same)
        pull = spread.sum((1, 2)) / people.clamp(min=1)
        pairs = (both.float() - same).sum((1, 2)).clamp(min=1)
        terms = {"pull": pull, "push": similar.sum((1, 2)) / pairs}
        return {name: term.repeat_interleave(self.frames) for name, term in terms.items()}

    def metrics(self, outputs: Outputs, targets: Targets) -> dict[str, Tensor]:
        """Mean tag distance ``within`` people (to their mean) and ``between`` people's means; a collapse shows at once."""
        tags, weights, read = self._read(outputs, targets)
        mean = _mean(tags, weights)
        within = (_squared(tags - mean[:, :, None, None]).sqrt() * weights).sum(3)
        between = _squared(mean[:, :, None] - mean[:, None, :]).sqrt()
        someone = read.any(2)
        pairs = (someone[:, :, None] & someone[:, None, :]).triu(diagonal=1)
        return {"within": _masked_mean(within, read), "between": _masked_mean(between, pairs)}

    def _read(self, outputs: Outputs, targets: Targets) -> tuple[Tensor, Tensor, Tensor]:
        """The tags (B, N, K, S, D) at the people's keypoints, their weights (B, N, K, S), which keypoints are read (B, N, K)."""
        check_shape("tags", outputs["tags"], "B K D h w", {"K": self.task.keypoints, "D": self.dim})
        tags = gather_maps(outputs["tags"], targets["cells"].transpose(1, 2)).transpose(1, 2)
        return tags, targets["weights"], targets["weights"].any(3)

    def ideal(self, batch: Batch) -> Outputs:
        """Every cell holds the tag of the person whose keypoint is nearest."""
        person = nearest_keypoints(batch, self.grids["tags"]).person.float() * (_IDEAL_SPACING * self.dim**-0.5)
        return {"tags": person[:, :, None].expand(-1, -1, self.dim, -1, -1)}

    def merge(self, views: list[Outputs], frames: list[Frame], onto: Frame) -> Outputs:
        """Concatenate the tags of the views of ``scales`` (§3.3); they are never averaged, as each view counts people anew.

        They are divided by √views, so that equal views are as far apart as one.
        """
        return {"tags": concatenated(self, "tags", views, frames, onto, self.scales)}


def _squared(difference: Tensor) -> Tensor:
    """The squared tag distance (...) of a difference of tags (..., D)."""
    return difference.square().sum(-1)


def _mean(tags: Tensor, weights: Tensor) -> Tensor:
    """The reference embedding (B, N, D) of each person: the mean of its keypoints' tags."""
    return (tags * weights[..., None]).sum((2, 3)) / weights.sum((2, 3))[..., None].clamp(min=1)


def _masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """(B,) mean where ``mask``; NaN where an image has nothing."""
    return (values * mask).sum((1, 2)) / torch.where(mask.any(2).any(1), mask.sum((1, 2)), torch.nan)
