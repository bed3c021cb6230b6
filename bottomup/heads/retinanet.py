"""RetinaNet's classification and box regression over a pyramid; Lin et al. 2017, as MultiPoseNet §3.3 takes it for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.models.detection.retinanet import RetinaNetHead
from torchvision.ops import box_iou, sigmoid_focal_loss

from bottomup.contracts import HEADS, Head, Source
from bottomup.devices import beside, constant
from bottomup.errors import ConfigError
from bottomup.geometry import flip_boxes
from bottomup.ops.anchors import anchor_boxes, encode_boxes
from bottomup.options import FromZero, Inner, NotEmpty, Positive
from bottomup.shapes import check_shape
from bottomup.types import Batch, Features, Frame, Outputs, Targets, Task

_BETA = 1 / 9  # where smooth L1 turns straight, as RetinaNet's
_NO_ONE, _IGNORED = -1, -2  # of an anchor's person
_SURE = 10.0  # an ideal logit


@HEADS.register
class Retinanet(Head):
    """Anchors with class logits and box deltas, all levels of a pyramid one after the other; give it ``level: all``.

    An anchor's side is ``size`` strides of the first level, doubled by each further one (whose stride a dilated network may not
    double), times each of ``scales``, a third of an octave apart, in each of ``ratios``, height over width. It is a person's from
    an IoU of ``positive`` on, or where none overlaps that person more (whoever else it overlaps: torchvision gives it to the one
    that it overlaps most, so that people within others have none), and background below ``negative``; between them, and mostly
    inside a crowd, it is ignored. Focal loss with ``gamma`` and ``alpha``, smooth L1 on the deltas, both over the number of
    positive anchors of the image. People without keypoints are people here.
    """

    ignores = frozenset({"crowd"})

    def __init__(
        self,
        source: Source,
        task: Task,
        *,
        size: Annotated[Positive, "strides"] = 4.0,
        scales: Annotated[Sequence[Positive], NotEmpty()] = (1.0, 2 ** (1 / 3), 2 ** (2 / 3)),
        ratios: Annotated[Sequence[Positive], NotEmpty()] = (0.5, 1.0, 2.0),
        positive: Inner = 0.5,
        negative: Inner = 0.4,
        gamma: FromZero = 2.0,
        alpha: Inner = 0.25,
    ) -> None:
        super().__init__(source, task)
        if negative > positive:
            raise ConfigError(f"head retinanet: negative should be at most positive, {positive}, got {negative}")
        self.scales, self.ratios, self.size = tuple(scales), tuple(ratios), size
        self.positive, self.negative, self.gamma, self.alpha = positive, negative, gamma, alpha
        channels = {level.channels for level in source.levels}
        if len(channels) != 1:
            raise ConfigError(
                f"head retinanet: channels of its levels should be one number, as of a pyramid neck, got {sorted(channels)}"
            )
        self.head = RetinaNetHead(channels.pop(), len(scales) * len(ratios), len(task.categories))
        self.provides = {"class_logits": "B A C", "box_deltas": "B A 4", "anchors": "B A 4"}

    def forward(self, features: Features, outputs: Outputs) -> Outputs:
        """(B, A, C) logits, (B, A, 4) deltas and the anchors that they are of, xyxy input px; float32."""
        maps = list(features.values())
        found = self.head(maps)
        shapes = [(level.shape[-2], level.shape[-1]) for level in maps]
        anchors = self._anchors(shapes, maps[0]).expand(maps[0].shape[0], -1, -1)
        return {"class_logits": found["cls_logits"].float(), "box_deltas": found["bbox_regression"].float(), "anchors": anchors}

    def _anchors(self, shapes: Sequence[tuple[int, int]], like: Tensor) -> Tensor:
        """(A, 4) of levels of these shapes."""
        finest = self.size * self.source.levels[0].grid.stride
        levels = [
            anchor_boxes(level.grid, shape, [finest * 2**octave * scale for scale in self.scales], self.ratios, like)
            for octave, (level, shape) in enumerate(zip(self.source.levels, shapes, strict=True))
        ]
        return torch.cat(levels)

    def encode(self, batch: Batch, outputs: Outputs) -> Targets:
        """Of each anchor its person's class, -1 background, -2 ignored, and the deltas to that person's box."""
        anchors = self._anchors([level.grid.shape(batch.size) for level in self.source.levels], batch.boxes)
        person = torch.stack([self._people(anchors, *image) for image in zip(batch.boxes, batch.present, strict=True)])  # (B, A)
        crowded = torch.stack([_share_inside(crowd, anchors) > 0.5 for crowd in batch.ignored(self.ignores)])
        person = torch.where(crowded & (person < 0), _IGNORED, person)
        whose = person.clamp(min=0)
        boxes = batch.boxes.gather(1, whose[..., None].expand(-1, -1, 4))
        return {
            "class": torch.where(person >= 0, batch.labels.gather(1, whose), person),
            "deltas": torch.where((person >= 0)[..., None], encode_boxes(anchors, boxes), 0.0),
            "anchors": anchors,
        }

    def _people(self, anchors: Tensor, boxes: Tensor, present: Tensor) -> Tensor:
        """(A,) index of each anchor's person, -1 background, -2 neither."""
        overlap = torch.where(present, box_iou(anchors, boxes), -1.0)  # (A, N)
        iou, person = overlap.max(1)
        most = overlap.amax(0)  # (N,) what a person's best anchors have
        own, whose = torch.where((overlap == most) & (most > 0), overlap, -1.0).max(1)
        unsure = torch.where(iou < self.negative, _NO_ONE, _IGNORED)
        return torch.where(own > 0, whose, torch.where(iou >= self.positive, person, unsure))

    def loss(self, outputs: Outputs, targets: Targets) -> dict[str, Tensor]:
        """ "class" and "box", each over the number of positive anchors."""
        logits, deltas, wanted = outputs["class_logits"], outputs["box_deltas"], targets["class"]
        b, a = wanted.shape
        check_shape("class_logits", logits, "B A C", {"B": b, "A": a, "C": len(self.task.categories)})
        positive = (wanted >= 0).sum(1).clamp(min=1)
        classes = F.one_hot(wanted.clamp(min=0), logits.shape[-1]) * (wanted >= 0)[..., None]
        focal = sigmoid_focal_loss(logits, classes.to(logits.dtype), alpha=self.alpha, gamma=self.gamma)
        focal = (focal * (wanted != _IGNORED)[..., None]).sum((1, 2)) / positive
        error = F.smooth_l1_loss(deltas, targets["deltas"], beta=_BETA, reduction="none")
        return {"class": focal, "box": (error * (wanted >= 0)[..., None]).sum((1, 2)) / positive}

    def ideal(self, batch: Batch) -> Outputs:
        """People's anchors for certain, with the deltas to their boxes."""
        targets = self.encode(batch, {})
        wanted = targets["class"][..., None] == torch.arange(len(self.task.categories), device=batch.boxes.device)
        logits = torch.where(wanted, _SURE, -_SURE)
        return {"class_logits": logits, "box_deltas": targets["deltas"], "anchors": targets["anchors"].expand(len(batch), -1, -1)}

    def unflip(self, outputs: Outputs, frame: Frame) -> Outputs:
        """Mirror the anchors; deltas along x point the other way."""
        deltas = outputs["box_deltas"]
        return {
            "class_logits": outputs["class_logits"],
            "box_deltas": deltas * constant((-1.0, 1.0, 1.0, 1.0), deltas),
            "anchors": flip_boxes(outputs["anchors"], frame.size[1]),
        }

    def merge(self, views: list[Outputs], frames: list[Frame], onto: Frame) -> Outputs:
        """The anchors of all views, moved onto the first; proposals join them by suppression."""
        moved = [_moved(view["anchors"], frame.content, onto.content) for view, frame in zip(views, frames, strict=True)]
        joined = {key: torch.cat([view[key] for view in views], dim=1) for key in ("class_logits", "box_deltas")}
        return joined | {"anchors": torch.cat(moved, dim=1)}


def _moved(boxes: Tensor, content: Tensor, onto: Tensor) -> Tensor:
    """Boxes (B, A, 4) as content (B, 4) xyxy comes to lie on ``onto`` (B, 4)."""
    content, onto = beside(content, boxes), beside(onto, boxes)
    growth = ((onto[:, 2:] - onto[:, :2]) / (content[:, 2:] - content[:, :2])).repeat(1, 2)[:, None]
    return (boxes - content[:, :2].repeat(1, 2)[:, None]) * growth + onto[:, :2].repeat(1, 2)[:, None]


def _share_inside(pixels: Tensor, boxes: Tensor) -> Tensor:
    """Which share of each box (A, 4), px, the pixels (H, W) bool cover: (A,); boxes are rounded, and cut at the border."""
    height, width = pixels.shape
    sums = F.pad(pixels.float().cumsum(0).cumsum(1), (1, 0, 1, 0))  # of all above and to the left
    x1, x2 = (boxes[:, side].round().clamp(0, width).long() for side in (0, 2))
    y1, y2 = (boxes[:, side].round().clamp(0, height).long() for side in (1, 3))
    covered = sums[y2, x2] - sums[y1, x2] - sums[y2, x1] + sums[y1, x1]
    return covered / ((x2 - x1) * (y2 - y1)).clamp(min=1)
