"""The Pose Residual Network: which of the keypoints in a person's box are that person's. MultiPoseNet §3.4."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import box_iou

from bottomup.errors import ConfigError
from bottomup.geometry import Grid
from bottomup.ops.crops import CROP, best_scored, cropped, cropped_gaussians, gaussians, inside, to_crop, within_margin
from bottomup.options import BELOW_ONE, FROM_ZERO, POSITIVE, SHARE, Options
from bottomup.shapes import check_shape
from bottomup.stages import HEADS, Head, Source, probability, probability_grid
from bottomup.types import Batch, Features, Outputs, Targets, Task

Relation = Literal["prn", "plain", "ucr", "max"]
Input = Literal["peaks", "crop"]
Softmax = Literal["all", "keypoint"]

_NOTHING, _NEAR_ONE = 1e-12, 1 - 1e-7  # activations, and what is left of them to 1, whose logarithms are finite
_UNLIKELY = -6.0  # the logit that UCR's prior starts from: of 2016 cells, about 5 hold a gaussian of σ = 2


@HEADS.register
class Prn(Head):
    """For each proposal the keypoints of its person, as ``CROP`` maps of each keypoint over its box.

    ``relation`` is "prn" (eq. 1, a residual multilayer perceptron), "plain" (eq. 3, without the residual), "ucr" (eq. 2, the
    input times a prior learned from the targets) or "max" (a gaussian at the input's highest cell). ``hidden`` are the widths
    of the perceptron's hidden layers, each with ReLU and ``dropout``; ``output_relu`` says whether its output has a ReLU, too,
    before the input is added. ``softmax`` is over "all" cells of a person or over those of each "keypoint".

    ``input`` "peaks" are gaussians of ``input_sigma`` crop cells, times ``input_mass``, about the candidates in the box; those at
    most ``margin`` of the box's sides outside it are moved to its border. With ``input_scores`` each counts by its score, as it
    does by default for "ucr" and "max", which say nothing of several that count alike.
    "crop" is the heatmap, cropped and resized; where no head gives one, as in training on labels alone, one that is drawn about
    the candidates: gaussians of ``heatmap_sigma`` input px, as high as their scores, on cells of ``heatmap_stride``.

    Targets are gaussians of ``target_sigma`` crop cells about the keypoints of the annotated person whose box overlaps the
    proposal most, if by an IoU of ``match_iou`` or more and if that person has ``min_keypoints`` or more.

    Where the paper is silent the defaults are those of the authors' code: peaks of σ = 1, targets of σ = 2 and mass 1, a margin of
    0.21, the softmax over all cells and a ReLU on the output. Deviates from it: peaks of mass 1 are 0.16 high, which the residual
    adds to logits that it hardly moves, so theirs is 40; candidates keep their place between the cells, of more than 16 of a kind
    in one box the 16 best count, and the loss is the sum over a person's cells: of their mean the gradients are as small as
    Adam's epsilon.
    """

    reads_features = False
    matches = True
    beside = frozenset({"proposals"})

    def __init__(
        self,
        source: Source,
        task: Task,
        *,
        relation: Relation = "prn",
        hidden: Sequence[int] = (1024,),
        dropout: float = 0.5,
        output_relu: bool = True,
        softmax: Softmax = "all",
        input: Input = "peaks",
        input_sigma: float = 1.0,
        input_mass: float = 40.0,
        input_scores: bool | None = None,
        margin: float = 0.21,
        heatmap_sigma: float = 7.0,
        heatmap_stride: int = 4,
        target_sigma: float = 2.0,
        match_iou: float = 0.5,
        min_keypoints: int = 2,
    ) -> None:
        super().__init__(source, task)
        options = Options("head prn")
        options.choice("relation", relation, Relation)
        options.choice("softmax", softmax, Softmax)
        options.choice("input", input, Input)
        of_peaks = (input_sigma, input_mass, input_scores, margin) != (1.0, 40.0, None, 0.21)
        options.check("input", input, input == "peaks" or not of_peaks, "peaks where its sigma, mass, scores or margin are set")
        options.check("hidden", list(hidden), len(hidden) > 0 and min(hidden) > 0, "a list of widths, at least one")
        options.number("dropout", dropout, BELOW_ONE)
        options.number("input_sigma", input_sigma, POSITIVE)
        options.number("target_sigma", target_sigma, POSITIVE)
        options.number("input_mass", input_mass, POSITIVE)
        options.number("margin", margin, FROM_ZERO)
        options.number("match_iou", match_iou, SHARE)
        options.number("heatmap_sigma", heatmap_sigma, POSITIVE)
        options.whole("heatmap_stride", heatmap_stride)
        options.whole("min_keypoints", min_keypoints)
        if not task.keypoints:
            raise ConfigError("head prn needs a skeleton; the task has none")
        self.input, self.input_scores = input, relation in ("ucr", "max") if input_scores is None else input_scores
        self.input_sigma, self.input_mass, self.target_sigma, self.margin = input_sigma, input_mass, target_sigma, margin
        self.match_iou, self.min_keypoints = match_iou, min_keypoints
        self.relate: Perceptron | Prior | Highest
        if relation == "ucr":
            self.relate = Prior(task.keypoints)
        elif relation == "max":
            self.relate = Highest(target_sigma)
        else:
            self.relate = Perceptron(task.keypoints, hidden, dropout, output_relu, relation == "prn", softmax)
        no_heatmap = source.grids.keys().isdisjoint(("heatmap", "heatmap_logits"))
        self.heatmap_sigma, self.drawn = heatmap_sigma, Grid.centred(heatmap_stride) if no_heatmap else None
        peaks, crop = {"candidates": "B K M 3"}, {"heatmap | heatmap_logits": "B K h w"}
        boxes = {"proposals": "B R 4", "proposal_scores": "B R"}
        self.requires = (peaks if input == "peaks" or no_heatmap else crop) | boxes
        self.provides = {"assignment_logits": "B R K 56 36"}

    def forward(self, features: Features, outputs: Outputs) -> Outputs:
        """(B, R, K, 56, 36) float32, the logarithms of each cell's activation."""
        crops = self.peaks(outputs) if self.input == "peaks" else self._crops(outputs)
        return {"assignment_logits": self.relate(crops)}

    def peaks(self, outputs: Outputs) -> Tensor:
        """(B, R, K, 56, 36) gaussians about the candidates in each box."""
        candidates, boxes = outputs["candidates"], outputs["proposals"]
        check_shape("candidates", candidates, "B K M 3", {"K": self.task.keypoints})
        points = to_crop(candidates[:, None, ..., :2], boxes[:, :, None, None])  # (B, R, K, M, 2)
        scores = candidates[:, None, ..., 2].expand(points.shape[:-1])
        scores = torch.where(within_margin(points, self.margin), scores, 0.0)
        points, scores, _ = best_scored(inside(points), scores)
        weights = scores if self.input_scores else (scores > 0).to(scores.dtype)
        return gaussians(points, weights * self.input_mass, self.input_sigma)

    def _crops(self, outputs: Outputs) -> Tensor:
        """(B, R, K, 56, 36) of the heatmap in each box."""
        if self.drawn:
            points, scores = outputs["candidates"].split((2, 1), dim=-1)
            return cropped_gaussians(points, scores[..., 0], outputs["proposals"], self.heatmap_sigma, self.drawn)
        heatmap = probability(outputs, "heatmap").float().detach()  # maps learn from their own loss alone
        return cropped(heatmap, outputs["proposals"], probability_grid(self.source, "heatmap"))

    def encode(self, batch: Batch, outputs: Outputs) -> Targets:
        """The gaussians of each proposal's person, and which proposals count."""
        boxes = outputs["proposals"]
        overlap = torch.stack([box_iou(*pair) for pair in zip(boxes, batch.boxes, strict=True)])  # (B, R, N)
        enough = batch.labelled.sum(-1) >= self.min_keypoints  # (B, N)
        iou, person = torch.where(batch.present[:, None], overlap, -1.0).max(-1)  # (B, R)
        counted = (iou >= self.match_iou) & (outputs["proposal_scores"] > 0) & enough.gather(1, person)
        index = person[..., None].expand(-1, -1, self.task.keypoints)
        labelled = batch.labelled.gather(1, index)  # (B, R, K)
        keypoints = batch.keypoints.gather(1, index[..., None].expand(-1, -1, -1, 2))
        points = inside(to_crop(keypoints, boxes[:, :, None]))
        target = gaussians(points[..., None, :], labelled[..., None].float(), self.target_sigma)
        return {"target": target, "counted": counted}

    def loss(self, outputs: Outputs, targets: Targets) -> dict[str, Tensor]:
        """Binary cross entropy with the activations, the sum over all cells, the mean over the people that count."""
        logits, target, counted = outputs["assignment_logits"], targets["target"], targets["counted"]
        check_shape("assignment_logits", logits, "B R K 56 36", {"K": self.task.keypoints})
        log = self.relate.taught(logits)
        log_rest = torch.log1p(-log.exp().clamp(max=_NEAR_ONE))
        likelihood = torch.lerp(log_rest, log, target)  # F.binary_cross_entropy would take both logarithms anew, cell by cell
        per_person = likelihood.sum((2, 3, 4)) * counted  # (B, R)
        return {"bce": -per_person.sum(1) / counted.sum(1).clamp(min=1)}

    def ideal(self, batch: Batch) -> Outputs:
        """The targets of the annotated people's own boxes, in their order."""
        proposals = {"proposals": batch.boxes, "proposal_scores": batch.present.float()}
        return {"assignment_logits": self.encode(batch, proposals)["target"].clamp(min=_NOTHING).log()}


class Perceptron(nn.Module):
    """The residual multilayer perceptron of eq. 1, or eq. 3's without the residual, and its softmax."""

    def __init__(
        self, keypoints: int, hidden: Sequence[int], dropout: float, output_relu: bool, residual: bool, softmax: Softmax
    ) -> None:
        super().__init__()
        self.residual, self.softmax = residual, softmax
        widths = [keypoints * CROP[0] * CROP[1], *hidden]
        layers: list[nn.Module] = []
        for width, wider in zip(widths, hidden, strict=False):
            layers += [nn.Linear(width, wider), nn.ReLU(), nn.Dropout(dropout)]
        layers += [nn.Linear(widths[-1], widths[0]), nn.ReLU() if output_relu else nn.Identity()]
        self.layers = nn.Sequential(*layers)

    def forward(self, crops: Tensor) -> Tensor:
        """The logarithms (B, R, K, 56, 36) of what softmax makes of crops of that shape."""
        corrected: Tensor = self.layers(crops.flatten(2)).float().reshape(crops.shape)
        if self.residual:
            corrected = corrected + crops
        return corrected.flatten(2 if self.softmax == "all" else 3).log_softmax(-1).view_as(crops)

    def taught(self, logits: Tensor) -> Tensor:
        """The logarithms of what should be the targets: the activations themselves."""
        return logits


class Prior(nn.Module):
    """Eq. 2, the unary conditional relationship: crops times where in a box each keypoint is expected, learned from the targets.

    Not counted but learned: a parameter, which under the one engine comes to the prior that the loss likes best, the mean of the
    targets, at a learning rate of some 3e-2.
    """

    def __init__(self, keypoints: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.full((keypoints, *CROP), _UNLIKELY))

    def forward(self, crops: Tensor) -> Tensor:
        """The logarithms of crops (B, R, K, 56, 36) times the prior."""
        return (crops * self.logits.sigmoid()).clamp(min=_NOTHING).log()

    def taught(self, logits: Tensor) -> Tensor:
        """The logarithms of what should be the targets: the prior, of everybody; the best one is their mean."""
        return F.logsigmoid(self.logits).expand_as(logits)


class Highest(nn.Module):
    """The first baseline of §3.4: a gaussian at the highest cell of each crop. It learns nothing."""

    def __init__(self, sigma: float) -> None:
        super().__init__()
        self.sigma = sigma

    def forward(self, crops: Tensor) -> Tensor:
        """The logarithms of the gaussians (B, R, K, 56, 36), of crops of that shape."""
        highest = crops.flatten(3).argmax(-1)  # (B, R, K)
        peak = torch.stack((highest % CROP[1], highest // CROP[1]), dim=-1) + 0.5
        there = crops.flatten(3).amax(-1) > 0
        return gaussians(peak[..., None, :], there[..., None].float(), self.sigma).float().clamp(min=_NOTHING).log()

    def taught(self, logits: Tensor) -> Tensor:
        """The logarithms of what should be the targets: the activations themselves."""
        return logits.clamp(max=0.0)
