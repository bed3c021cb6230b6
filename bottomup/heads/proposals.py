"""Proposals: the boxes in which people are looked for, as many for every image."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from bottomup.contracts import HEADS, Head, Source
from bottomup.ops.anchors import best_of_octaves, decode_boxes, jittered
from bottomup.ops.padded_nms import padded_nms
from bottomup.options import BelowOne, Count, FromZero, Share
from bottomup.types import Batch, Features, Outputs, Task

Who = Literal["all", "annotated"]

_OF_EACH_LEVEL = 1000  # as RetinaNet
_BEFORE_NMS = 5000  # boxes an image: all of a pyramid's, and of several views no more


@HEADS.register
class Proposals(Head):
    """The ``count`` best boxes of a detector after suppression; no weights. MultiPoseNet §3.5.

    Of the thousand best anchors of each level those that score ``threshold`` or more are decoded; a box whose IoU with a better one
    is above ``nms`` is dropped. ``ideal`` gives the boxes of "all" people or of those ``who`` are "annotated" with keypoints.
    Where those take the place of detected ones in training only the ``first`` of them count, if that is set, as for data in units
    of a person, whose neighbours serve to tell people apart only; they are moved and resized by normal deviates of ``jitter`` of
    their sides, as a detector's are (not in the paper), to an IoU of ``least_iou`` with the true ones.
    """

    reads_features = False

    def __init__(
        self,
        source: Source,
        task: Task,
        *,
        count: Count = 100,
        threshold: BelowOne = 0.05,
        nms: Share = 0.3,
        who: Who = "all",
        first: Count | None = None,
        jitter: FromZero = 0.0,
        least_iou: Share = 0.5,
    ) -> None:
        super().__init__(source, task)
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
        scores, index = scores.topk(torch.sym_min(_BEFORE_NMS, scores.shape[1]))
        picked = (outputs[key].float().gather(1, index[..., None].expand(-1, -1, 4)) for key in ("anchors", "box_deltas"))
        boxes = decode_boxes(*picked)
        kept = padded_nms(boxes, torch.where(scores >= self.threshold, scores, 0.0), self.nms, self.count)
        scores = torch.where(kept >= 0, scores.gather(1, kept.clamp(min=0)), 0.0)
        boxes = boxes.gather(1, kept.clamp(min=0)[..., None].expand(-1, -1, 4)) * (kept >= 0)[..., None]
        return {"proposals": boxes, "proposal_scores": scores}

    def trim(self, outputs: Outputs) -> Outputs:
        """As many as the image with the most has, at least one: what reads them does not pay for the rest.

        On a GPU all: to count them there would take longer than the rest does.
        """
        if outputs["proposal_scores"].is_cuda:
            return outputs
        most = max(1, int((outputs["proposal_scores"] > 0).sum(1).max()))
        return {key: maps[:, :most] for key, maps in outputs.items()}

    def ideal(self, batch: Batch) -> Outputs:
        """The true boxes of those who are wanted, score 1, in the people's order."""
        wanted = self._wanted(batch)
        return {"proposals": batch.boxes * wanted[..., None], "proposal_scores": wanted.float()}

    def teaching(self, batch: Batch) -> Outputs:
        """The ideal ones, jittered, of the ``first`` people of those that are wanted."""
        proposals = self.ideal(batch)
        if self.jitter:
            proposals["proposals"] = jittered(proposals["proposals"], self.jitter, self.least_iou)
        return proposals if self.first is None else _first(proposals, self.first)

    def _wanted(self, batch: Batch) -> Tensor:
        """(B, N) bool, whose boxes are proposed."""
        return batch.labelled.any(-1) if self.who == "annotated" else batch.present


def _first(proposals: Outputs, count: int) -> Outputs:
    """The first ``count`` proposals that have a score, padded where there are fewer."""
    boxes, scores = proposals["proposals"], proposals["proposal_scores"]
    order = scores.sort(dim=1, descending=True, stable=True).indices[:, :count]
    missing = count - order.shape[1]
    boxes, scores = boxes.gather(1, order[..., None].expand(-1, -1, 4)), scores.gather(1, order)
    return {"proposals": F.pad(boxes, (0, 0, 0, missing)), "proposal_scores": F.pad(scores, (0, missing))}
