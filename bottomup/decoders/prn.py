"""Candidates given to people by what the Pose Residual Network makes of them; MultiPoseNet §3.4."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from bottomup.errors import ConfigError
from bottomup.geometry import Grid, resize
from bottomup.ops.crops import CROP, inside, most_central, to_crop, window_sums, within_margin
from bottomup.ops.fields import read_foreground
from bottomup.options import Options
from bottomup.shapes import check_shape
from bottomup.stages import DECODERS, Decoder, probability_grid
from bottomup.types import Frame, Instances, Outputs, Prediction, Task

Assignment = Literal["one_to_one", "independent"]
Missing = Literal["none", "maximum"]
Score = Literal["fraction", "keypoints_and_box"]

_PIXELS = Grid.centred(1)


@DECODERS.register
class Prn(Decoder):
    """For each keypoint, candidates and people are matched by the network's activation about the candidate.

    A pair's value is the sum of the activation over ``window`` x ``window`` crop cells about the candidate, times the candidate's
    score (the authors' code). With ``assignment`` "one_to_one" the matches of an image have the greatest total value and no two
    people share a candidate; "independent" gives each person the best. Candidates more than ``margin`` of the box's sides
    outside it are nobody's; of more than 16 of a kind in one box the 16 nearest its middle count, as in the head. A keypoint
    without candidate is ``missing``: "none" leaves it out, "maximum" puts it where the activation is highest; its score is the
    share that the window there holds of the keypoint's whole activation, and poses' scores leave it out.

    An instance's ``score`` is the "fraction" of keypoints that were found (the authors' code), or "keypoints_and_box", their
    mean score times that of the box. The paper says neither how candidates are given out nor how poses are scored.
    """

    def __init__(
        self,
        task: Task,
        *,
        window: int = 15,
        margin: float = 0.21,
        assignment: Assignment = "one_to_one",
        missing: Missing = "none",
        score: Score = "fraction",
    ) -> None:
        if task.skeleton is None:
            raise ConfigError("decoder prn needs a skeleton; the task has none")
        options = Options("decoder prn")
        options.window("window", window)
        options.check("margin", margin, margin >= 0, "a fraction of the box's sides, from 0")
        options.choice("assignment", assignment, Assignment)
        options.choice("missing", missing, Missing)
        options.choice("score", score, Score)
        self.skeleton = task.skeleton
        self.window, self.margin, self.assignment, self.missing, self.score = window, margin, assignment, missing, score
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
        points = to_crop(candidates[:, None, ..., :2], boxes[:, :, None, None])  # (B, R, K, M, 2)
        activation = logits.exp()
        allowed = within_margin(points, self.margin) & (box_scores > 0)[..., None, None]
        scores = torch.where(allowed, candidates[:, None, ..., 2], 0.0)
        central, theirs, which = most_central(inside(points), scores)
        values = torch.zeros_like(scores).scatter(-1, which, theirs * window_sums(activation, central, self.window))
        found = {"values": values, "candidates": candidates, "boxes": boxes, "box_scores": box_scores}
        if self.missing == "maximum":
            found["highest"] = _highest(activation, boxes, self.window)
        foreground = read_foreground(outputs)
        return found if foreground is None else found | {"foreground": foreground}

    def people(self, tensors: dict[str, Tensor], frame: Frame) -> list[Prediction]:
        """Match each image's candidates with its people; boxes and points are kept inside the content."""
        arrays = {name: tensor.numpy(force=True) for name, tensor in tensors.items()}
        content = frame.content.numpy(force=True)
        images = [{name: array[row] for name, array in arrays.items()} for row in range(len(content))]
        found = [self._instances(image, inner) for image, inner in zip(images, content, strict=True)]
        if "foreground" not in tensors:
            return [Prediction(instances, frame.size) for instances in found]
        grid = probability_grid(frame, "segmentation")
        whole = resize(tensors["foreground"][:, None].cpu(), grid, _PIXELS, frame.size)[:, 0]
        return [Prediction(instances, frame.size, pixels) for instances, pixels in zip(found, whole, strict=True)]

    def _instances(self, image: dict[str, NDArray[np.float32]], content: NDArray[np.float32]) -> Instances:
        there = np.flatnonzero(image["box_scores"] > 0)
        values = image["values"][there]  # (P, K, M)
        points = np.full((*values.shape[:2], 2), np.nan, np.float32)
        scores = np.zeros(values.shape[:2], np.float32)
        for k in range(values.shape[1]):  # matchings of keypoints do not depend on each other; scipy solves one at a time
            people, chosen = self._match(values[:, k])
            points[people, k] = image["candidates"][k, chosen, :2]
            scores[people, k] = image["candidates"][k, chosen, 2]
        low, high = np.tile(content[:2], 2), np.tile(content[2:], 2)
        boxes = image["boxes"][there].clip(low, high)
        own = self._scores(scores, image["box_scores"][there])
        if self.missing == "maximum":
            lacking, highest = scores == 0, image["highest"][there]
            points[lacking], scores[lacking] = highest[lacking][:, :2], highest[lacking][:, 2]
        order = np.argsort(-own, kind="stable")
        parts = (points.clip(content[:2], content[2:]), scores, own, boxes, image["box_scores"][there])
        keypoints, keypoint_scores, own_scores, own_boxes, box_scores = (torch.from_numpy(part[order]) for part in parts)
        labels = torch.zeros(len(order), dtype=torch.int64)
        return Instances(keypoints, keypoint_scores, own_scores, own_boxes, labels, box_scores=box_scores)

    def _match(self, values: NDArray[np.float32]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Pair people (rows) with candidates (columns) of values (P, M)."""
        if self.assignment == "independent":
            people = np.flatnonzero(values.max(1, initial=0.0) > 0)
            return people, values[people].argmax(1)
        people, chosen = linear_sum_assignment(values, maximize=True)
        worth = values[people, chosen] > 0
        return people[worth], chosen[worth]

    def _scores(self, keypoint_scores: NDArray[np.float32], box_scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """(P,) of instances with keypoint scores (P, K)."""
        found = (keypoint_scores > 0).sum(1)
        if self.score == "fraction":
            return np.asarray(found / keypoint_scores.shape[1], np.float32)
        return np.asarray(keypoint_scores.sum(1) / np.maximum(found, 1) * box_scores, np.float32)


def _highest(activation: Tensor, boxes: Tensor, window: int) -> Tensor:
    """Where each map (B, R, K, 56, 36) is highest, in input px, and the window's share of it there: (B, R, K, 3)."""
    cell = activation.flatten(3).argmax(-1)
    place = torch.stack((cell % CROP[1], cell // CROP[1]), dim=-1) + 0.5
    share = window_sums(activation, place[..., None, :], window) / activation.sum((-2, -1))[..., None]
    sides = (boxes[..., 2:] - boxes[..., :2])[:, :, None]
    return torch.cat((boxes[:, :, None, :2] + place / place.new_tensor(CROP[::-1]) * sides, share.clamp(max=1.0)), dim=-1)
