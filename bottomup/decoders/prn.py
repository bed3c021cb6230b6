"""Candidates given to people by what the Pose Residual Network makes of them; MultiPoseNet §3.4."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from bottomup.contracts import DECODERS, Decoder
from bottomup.devices import constant
from bottomup.errors import ConfigError
from bottomup.geometry import in_content
from bottomup.grouping.boxed import Assignment, BoxGrouping, Missing, Score, Unposed
from bottomup.ops.crops import CROP, best_in_boxes, window_sums
from bottomup.ops.fields import read_foreground
from bottomup.options import FromZero, Share, Window
from bottomup.shapes import check_shape
from bottomup.thresholds import Thresholds
from bottomup.types import Frame, Outputs, Task

Value = Literal["candidate", "candidate_and_box"]

# Chosen by what scores mean: a product of keypoints and box is small where either is no good; of keypoints alone four are found.
_RECOMMENDED: dict[Score, Thresholds] = {
    "keypoints_and_box": Thresholds(score=0.1, keypoint=0.15),
    "found_and_box": Thresholds(score=0.2, keypoint=0.15),
    "fraction": Thresholds(score=0.2, keypoint=0.15),
}


@DECODERS.register
class Prn(Decoder):
    """For each keypoint, candidates and people are matched by the network's activation about the candidate.

    A pair's ``value`` is the sum of the activation over ``window`` x ``window`` crop cells about the candidate, times its
    score ("candidate", the authors' code), times the box's too ("candidate_and_box", the default: boxes of nobody take no
    keypoints from people). With ``assignment`` "one_to_one" the matches of an image have the greatest total value and no two
    people share a candidate; "independent" gives each person the best. Candidates more than ``margin`` of the box's sides
    outside it are nobody's; of more than 16 of a kind in one box the 16 best count, as in the head. Candidates whose cell does not
    touch the image, and boxes whose middle lies in the padding, count nowhere.

    A keypoint without candidate is ``missing``: "none" leaves it out, "maximum" puts it where the activation is highest (§3.5,
    "only one keypoint selected in each layer"); its score is the share that the window there holds of the keypoint's whole
    activation, and poses' scores leave it out. Where the activation is the same everywhere nothing is placed.

    An instance's ``score`` is the "fraction" of keypoints that were found (the authors' code), "found_and_box", their mean score
    times that of the box, or "keypoints_and_box", the sum of their scores over the number of keypoints, times that of the box.
    ``unposed`` says whether to "drop" people for whom no candidate was found or to "keep" them, whose boxes may be all that is
    wanted. ``nms_threshold`` drops instances with an OKS above it to a better one; None drops none. The paper says neither how
    candidates are given out nor how poses are scored.
    """

    def __init__(
        self,
        task: Task,
        *,
        window: Window = 15,
        margin: FromZero = 0.21,
        assignment: Assignment = "one_to_one",
        value: Value = "candidate_and_box",
        missing: Missing = "maximum",
        score: Score = "keypoints_and_box",
        unposed: Unposed = "drop",
        nms_threshold: Share | None = None,
    ) -> None:
        if task.skeleton is None:
            raise ConfigError("decoder prn needs a skeleton; the task has none")
        self.skeleton = task.skeleton
        self.window, self.margin, self.assignment, self.value, self.missing = window, margin, assignment, value, missing
        self.score, self.unposed, self.nms_threshold = score, unposed, nms_threshold
        self.recommended = _RECOMMENDED[score]
        self.grouping = BoxGrouping(
            skeleton=task.skeleton,
            assignment=assignment,
            missing=missing,
            score=score,
            unposed=unposed,
            nms_threshold=nms_threshold,
        )
        self.requires = {
            "candidates": "B K M 3",
            "proposals": "B R 4",
            "proposal_scores": "B R",
            "assignment_logits": "B R K 56 36",
            "segmentation | segmentation_logits?": "B C h w",
        }

    def tensors(self, outputs: Outputs, frame: Frame) -> dict[str, Tensor]:
        """``values`` (B, R, K, M) of each pair, 0 where it is none; ``candidates``, ``boxes`` (B, R, 4), ``box_scores`` (B, R).

        Where ``missing`` is "maximum" also ``highest`` (B, R, K, 3), x, y in input px and score; where the model has
        segmentation, ``foreground`` (B, h, w).
        """
        candidates, boxes, box_scores = (outputs[key].float() for key in ("candidates", "proposals", "proposal_scores"))
        logits = outputs["assignment_logits"].float()
        b, r = box_scores.shape
        check_shape("assignment_logits", logits, "B R K 56 36", {"B": b, "R": r, "K": len(self.skeleton)})
        box_scores = torch.where(in_content(boxes.unflatten(-1, (2, 2)).mean(-2), frame.content), box_scores, 0.0)
        activation = logits.exp()
        shown = in_content(candidates[..., :2], frame.content, _reach(frame))  # (B, K, M)
        points, scores, which = best_in_boxes(torch.where(shown[..., None], candidates, 0.0), boxes, self.margin)
        worth = torch.where((box_scores > 0)[..., None, None], scores * window_sums(activation, points, self.window), 0.0)
        if self.value == "candidate_and_box":
            worth = worth * box_scores[..., None, None]
        values = worth.new_zeros((*worth.shape[:-1], candidates.shape[2])).scatter(-1, which, worth)
        found = {"values": values, "candidates": candidates, "boxes": boxes, "box_scores": box_scores}
        if self.missing == "maximum":
            found["highest"] = _highest(activation, boxes, self.window)
        foreground = read_foreground(outputs)
        return found if foreground is None else found | {"foreground": foreground}


def _reach(frame: Frame) -> float:
    """How far outside the image, in input px, a peak may lie whose cell touches it; 0 where no heatmap says it."""
    grids = [frame.grids[key] for key in ("heatmap", "heatmap_logits") if key in frame.grids]
    return grids[0].stride / 2 if grids else 0.0


def _highest(activation: Tensor, boxes: Tensor, window: int) -> Tensor:
    """Where maps (B, R, K, 56, 36) are highest, in input px, and the window's share of them, 0 of flat ones: (B, R, K, 3)."""
    most, cell = activation.flatten(3).max(-1)
    place = torch.stack((cell % CROP[1], cell // CROP[1]), dim=-1) + 0.5
    share = window_sums(activation, place[..., None, :], window) / activation.sum((-2, -1))[..., None]
    share = share.clamp(max=1.0) * (most > activation.flatten(3).amin(-1))[..., None]
    sides = (boxes[..., 2:] - boxes[..., :2])[:, :, None]
    return torch.cat((boxes[:, :, None, :2] + place / constant(CROP[::-1], place) * sides, share), dim=-1)
