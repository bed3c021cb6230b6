"""What is minimised: sum over heads and terms of weight x mean over the head's stages x mean over the images."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bottomup.head_stack import HeadStack
from bottomup.model import PoseModel
from bottomup.types import Batch, Outputs, Targets

LOSS = "loss"  # what is minimised, among the figures of a run


@dataclass(frozen=True)
class Losses:
    """The losses of one batch, per image; their mean over the images of all ranks and accumulation steps is minimised."""

    total: Tensor  # (B,) weighted
    terms: dict[str, Tensor]  # "head/term" -> (B,) unweighted, joined over stages, detached
    metrics: dict[str, Tensor]  # "head/figure" -> (B,), NaN where an image has none; of the last stage
    heads: dict[str, Tensor]  # "head" -> (B,) its part of the total

    def cpu(self) -> Losses:
        """The same off the device, with nothing to go back through."""
        parts = ({name: value.detach().cpu() for name, value in own.items()} for own in (self.terms, self.metrics, self.heads))
        return Losses(self.total.detach().cpu(), *parts)


def forward_losses(
    model: PoseModel, batch: Batch, given: Collection[str], precision: torch.dtype, call: nn.Module | None = None
) -> Losses:
    """Run a model on a batch that lies on its device, and judge what comes out; heads of ``given`` give their ``Head.teaching``.

    ``call`` is the model as it is called, compiled or wrapped for several ranks, where that is not ``model`` itself.
    """
    device = batch.keypoints.device
    teaching = model.teaching(batch, given) if given else None
    with torch.autocast(device.type, precision, enabled=precision is not torch.float32):
        outputs = (model if call is None else call)(batch.images, given=teaching, stages="all")
    return compute_losses(model, outputs, batch)


def mean_figures(parts: Sequence[Losses]) -> dict[str, Tensor]:
    """The means over the images of all parts: ``loss``, ``loss/HEAD/TERM`` unweighted, ``HEAD/FIGURE``; each a scalar."""
    columns = {LOSS: [part.total.detach() for part in parts]}
    columns |= {f"{LOSS}/{name}": [part.terms[name] for part in parts] for name in parts[0].terms}
    columns |= {name: [part.metrics[name] for part in parts] for name in parts[0].metrics}
    return {name: torch.cat(column).nanmean() for name, column in columns.items()}


def compute_losses(model: PoseModel, outputs: list[Outputs], batch: Batch, heads: Iterable[str] | None = None) -> Losses:
    """Judge the outputs of all stages (``model(..., stages="all")``) against a batch's annotations."""
    nothing = torch.zeros(len(batch), device=batch.keypoints.device)
    parts, terms, metrics = dict[str, Tensor](), dict[str, Tensor](), dict[str, Tensor]()
    for name in model.trained if heads is None else heads:
        stack = model.stack(name)
        per_stage = []
        for stage, targets in _targets(stack, outputs, batch):
            per_stage.append(stack.at(stage).loss(outputs[stage], targets))
        weights = stack.loss_weights(name, per_stage[0])
        parts[name] = nothing
        for term in per_stage[0]:
            joined = torch.stack([losses[term] for losses in per_stage])
            joined = joined.sum(0) if stack.reduction == "sum" else joined.mean(0)
            parts[name] = parts[name] + weights[term] * joined
            terms[f"{name}/{term}"] = joined.detach()
        with torch.no_grad():
            figures = stack.last.metrics(outputs[stage], targets)
        metrics |= {f"{name}/{figure}": value for figure, value in figures.items()}
    return Losses(sum(parts.values(), nothing), terms, metrics, parts)


def _targets(stack: HeadStack, outputs: list[Outputs], batch: Batch) -> list[tuple[int, Targets]]:
    """Each stage (counted from the end) with its targets; stages on equal grids share them."""
    made: list[tuple[int, Targets]] = []
    for stage in stack.stages:
        head = stack.at(stage)
        detached = {key: maps.detach() for key, maps in outputs[stage].items()} if head.matches else {}
        same = bool(made) and not head.matches and head.grids == stack.at(made[-1][0]).grids
        with torch.no_grad():
            made.append((stage, made[-1][1] if same else head.encode(batch, detached)))
    return made
