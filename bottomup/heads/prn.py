"""The Pose Residual Network: which of the keypoints in a person's box are that person's. MultiPoseNet §3.4."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from torch import Tensor
from torchvision.ops import box_iou

from bottomup.contracts import HEADS, Head, Source, probability_grid
from bottomup.errors import ConfigError
from bottomup.geometry import Grid
from bottomup.heads._person_crops import Crops, DrawnCrops, HeatmapCrops, PeakCrops
from bottomup.heads._relations import NOTHING, Highest, Perceptron, Prior, Relation, Residual, Softmax, Weights
from bottomup.ops.crops import gaussians, inside, to_crop
from bottomup.options import BelowOne, Count, FromZero, NotEmpty, Positive, Share
from bottomup.shapes import check_shape
from bottomup.types import Batch, Features, Outputs, Targets, Task

Kind = Literal["prn", "plain", "ucr", "max"]
Input = Literal["peaks", "crop"]

_NEAR_ONE = 1 - 1e-7  # what is left of activations to 1, whose logarithm is finite


@HEADS.register
class Prn(Head):
    """For each proposal the keypoints of its person, as ``CROP`` maps of each keypoint over its box.

    ``relation`` is "prn" (eq. 1, a residual multilayer perceptron), "plain" (eq. 3, without the residual), "ucr" (eq. 2, the
    input times a prior learned from the targets) or "max" (a gaussian at the input's highest cell). ``hidden`` are the widths
    of the perceptron's hidden layers, each with ReLU and ``dropout``; ``output_relu`` says whether its output has a ReLU, too,
    before the input is added. ``softmax`` is over "all" cells of a person or over those of each "keypoint". With ``weights`` "int8"
    a CPU predicts from weights of eight bits (``ops.int8``), which few people wait for half as long or less; training, other
    devices, exported graphs and layers after one whose width is no multiple of 32 have those of "fp32", and so has the checkpoint.

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
        relation: Kind = "prn",
        hidden: Annotated[Sequence[Count], NotEmpty()] = (1024,),
        dropout: BelowOne = 0.5,
        output_relu: bool = True,
        softmax: Softmax = "all",
        weights: Weights = "fp32",
        input: Input = "peaks",
        input_sigma: Annotated[Positive, "crop cells"] = 1.0,
        input_mass: Positive = 40.0,
        input_scores: bool | None = None,
        margin: Annotated[FromZero, "sides of the box"] = 0.21,
        heatmap_sigma: Annotated[Positive, "input px"] = 7.0,
        heatmap_stride: Annotated[Count, "input px"] = 4,
        target_sigma: Annotated[Positive, "crop cells"] = 2.0,
        match_iou: Share = 0.5,
        min_keypoints: Count = 2,
    ) -> None:
        super().__init__(source, task)
        peaks = PeakCrops(input_sigma, input_mass, relation in ("ucr", "max") if input_scores is None else input_scores, margin)
        own_peaks = (input_sigma, input_mass, input_scores, margin) != (1.0, 40.0, None, 0.21)
        _check_together(task, input, own_peaks)
        self.crops: Crops = peaks if input == "peaks" else _heatmap_crops(source, heatmap_sigma, heatmap_stride)
        self.relate = _relation(relation, (task.keypoints, hidden, dropout, output_relu, softmax, weights), target_sigma)
        self.target_sigma, self.match_iou, self.min_keypoints = target_sigma, match_iou, min_keypoints
        self.requires = self.crops.requires | {"proposals": "B R 4", "proposal_scores": "B R"}
        self.provides = {"assignment_logits": "B R K 56 36"}

    def forward(self, features: Features, outputs: Outputs) -> Outputs:
        """(B, R, K, 56, 36) float32, the logarithms of each cell's activation."""
        if "candidates" in self.crops.requires:
            check_shape("candidates", outputs["candidates"], "B K M 3", {"K": self.task.keypoints})
        return {"assignment_logits": self.relate(self.crops(outputs))}

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
        log = self.relate.supervised(logits)
        log_rest = torch.log1p(-log.exp().clamp(max=_NEAR_ONE))
        likelihood = torch.lerp(log_rest, log, target)  # F.binary_cross_entropy would take both logarithms anew, cell by cell
        per_person = likelihood.sum((2, 3, 4)) * counted  # (B, R)
        return {"bce": -per_person.sum(1) / counted.sum(1).clamp(min=1)}

    def ideal(self, batch: Batch) -> Outputs:
        """The targets of the annotated people's own boxes, in their order."""
        proposals = {"proposals": batch.boxes, "proposal_scores": batch.present.float()}
        return {"assignment_logits": self.encode(batch, proposals)["target"].clamp(min=NOTHING).log()}


def _check_together(task: Task, input: Input, own_peaks: bool) -> None:
    """Raise ConfigError for options that do not fit each other, or the task."""
    if not task.keypoints:
        raise ConfigError("head prn needs a skeleton; the task has none")
    if input != "peaks" and own_peaks:
        raise ConfigError(f"head prn: input should be peaks where its sigma, mass, scores or margin are set, got {input}")


def _heatmap_crops(source: Source, sigma: float, stride: int) -> Crops:
    """Of the heatmap, or of a drawn one where no earlier head gives any."""
    if source.grids.keys().isdisjoint(("heatmap", "heatmap_logits")):
        return DrawnCrops(Grid.centred(stride), sigma)
    return HeatmapCrops(probability_grid(source, "heatmap"))


def _relation(kind: Kind, network: tuple[int, Sequence[int], float, bool, Softmax, Weights], sigma: float) -> Relation:
    """The relation called ``kind``, of the perceptron's options or of the targets' ``sigma``."""
    if kind == "ucr":
        return Prior(network[0])
    if kind == "max":
        return Highest(sigma)
    return Residual(*network) if kind == "prn" else Perceptron(*network)
