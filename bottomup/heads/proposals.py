"""Proposals: the boxes in which people are looked for, as many for every image."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F

from bottomup.ops.anchors import best_of_octaves, decode_boxes, jittered
from bottomup.ops.padded_nms import padded_nms
from bottomup.options import BELOW_ONE, FROM_ZERO, SHARE, Options
from bottomup.stages import HEADS, Head, Source
from bottomup.types import Batch, Features, Outputs, Task

Who = Literal["all", "annotated"]

_OF_EACH_LEVEL = 1000  # as RetinaNet
_BEFORE_NMS = 5000  # boxes an image: all of a pyramid's, and of several views no more


@HEADS.register
class Proposals(Head):
    """The ``count`` best boxes of a detector after suppression; no weights. MultiPoseNet §3.5.

    Of the thousand best anchors of each level those that score ``threshold`` or more are decoded; a box whose IoU with a better one
    is above ``nms`` is dropped. ``ideal`` gives the boxes of "all" people or of those ``who`` are "annotated" with keypoints; in
    training ``first`` of them where it is set, as for data in units of a person, whose neighbours are there to be told apart only,
    moved and resized by normal deviates of ``jitter`` of their sides, as a detector's are (not in the paper), to an IoU of
    ``least_iou`` with the true ones.
    """

    reads_features = False

    def __init__(
        self,
        source: Source,
        task: Task,
        *,
        count: int = 100,
        threshold: float = 0.05,
        nms: float = 0.3,
        who: Who = "all",
        first: int | None = None,
        jitter: float = 0.0,
        least_iou: float = 0.5,
    ) -> None:
        super().__init__(source, task)
        options = Options("head proposals")
        options.whole("count", count)
        options.number("threshold", threshold, BELOW_ONE)
        options.number("nms", nms, SHARE)
        options.choice("who", who, Who)
        if first is not None:
            options.whole("first", first)
        options.number("jitter", jitter, FROM_ZERO)
        options.number("least_iou", least_iou, SHARE)
        self.count, self.threshold, self.nms, self.who, self.first = count, threshold, nms, who, first
        self.jitter, self.least_iou = jitter, least_iou
        self.limits = {"count": count}
        self.requires = {"class_logits": "B A C", "box_deltas": "B A 4", "anchors": "B A 4"}
        self.provides = {"proposals": "B R 4", "proposal_scores": "B R"}

    def forward(self, features: Features, outputs: Outputs) -> Outputs:
        """(B, R, 4) xyxy input px and (B, R) scores in [0, 1], best first; score 0 is padding. Float32, without gradients."""
        outputs = {key: outputs[key].detach() for key in self.requires}  # boxes learn from their own loss alone
        scores = outputs["class_logits"].float().sigmoid().amax(-1)  # (B, A)
        scores = best_of_octaves(scores, outputs["anchors"], _OF_EACH_LEVEL)
        scores, index = scores.topk(min(_BEFORE_NMS, scores.shape[1]))
        picked = (outputs[key].float().gather(1, index[..., None].expand(-1, -1, 4)) for key in ("anchors", "box_deltas"))
        boxes = decode_boxes(*picked)
        kept = padded_nms(boxes, torch.where(scores >= self.threshold, scores, 0.0), self.nms, self.count)
        scores = torch.where(kept >= 0, scores.gather(1, kept.clamp(min=0)), 0.0)
        boxes = boxes.gather(1, kept.clamp(min=0)[..., None].expand(-1, -1, 4)) * (kept >= 0)[..., None]
        return {"proposals": boxes, "proposal_scores": scores}

    def trim(self, outputs: Outputs) -> Outputs:
        """As many as the image with the most has, at least one: what reads them does not pay for the rest."""
        most = max(1, int((outputs["proposal_scores"] > 0).sum(1).max()))
        return {key: maps[:, :most] for key, maps in outputs.items()}

    def ideal(self, batch: Batch) -> Outputs:
        """The true boxes, score 1, in the people's order; in training jittered, the ``first`` of those that are wanted."""
        wanted = batch.labelled.any(-1) if self.who == "annotated" else batch.present  # (B, N)
        boxes = batch.boxes * wanted[..., None]
        if not self.training:
            return {"proposals": boxes, "proposal_scores": wanted.float()}
        if self.jitter:
            boxes = jittered(boxes, self.jitter, self.least_iou)
        if self.first is None:
            return {"proposals": boxes, "proposal_scores": wanted.float()}
        order = wanted.float().sort(dim=1, descending=True, stable=True).indices[:, : self.first]
        boxes, there = boxes.gather(1, order[..., None].expand(-1, -1, 4)), wanted.gather(1, order)
        short = self.first - order.shape[1]
        return {"proposals": F.pad(boxes, (0, 0, 0, short)), "proposal_scores": F.pad(there, (0, short)).float()}
