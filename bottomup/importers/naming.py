"""A published network's tensors under our names: tables of substitutions, and one check of names and shapes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from bottomup.checkpoint import Checkpoint, versions
from bottomup.errors import CheckpointError, ConfigError
from bottomup.importers.published import Published
from bottomup.plan.predicting import predict_plan
from bottomup.types import Task

Names = Sequence[tuple[str, str]]  # regular expressions with replacements that make a published name of ours, one after the other

_COUNTER = "num_batches_tracked"  # files from before PyTorch 0.4.1 lack it, and nothing reads it


def as_checkpoint(published: Published, overrides: Sequence[str], task: Task, names: Names) -> Checkpoint:
    """The checkpoint of the model that ``overrides`` configure, with a file's weights.

    Several of our tensors with one published name lie in it one after the other, along the first axis: heatmaps and tags from one
    convolution, features and predictions into one. Raises CheckpointError with the first difference between what the model expects
    and the file has, a tensor too many included.
    """
    try:
        plan = predict_plan(overrides).model
        with torch.device("meta"):  # names and shapes alone
            model, _ = plan.compose(task)
    except ConfigError as error:  # of sizes that were read from the file
        raise CheckpointError(f"{published.path}: no network has its sizes ({error}); is it another network's file?") from error
    weights, used = _fitted(published, model.state_dict(), names)
    for name, tensor in published.tensors.items():
        if name not in used:
            raise published.differs(name, "no such tensor", tuple(tensor.shape))
    return Checkpoint(plan.carried(), task, weights, average=None, training=None, versions=versions())


def published_name(ours: str, names: Names) -> str:
    """What a published file calls a tensor of ours."""
    for pattern, replacement in names:
        ours = re.sub(pattern, replacement, ours)
    return ours


def _check_numbers(published: Published, theirs: str, own: Tensor) -> None:
    """Refuse whole numbers where a model has others, as of a file that was made smaller: they are no weights without a scale."""
    found = published.tensors.get(theirs)
    if found is not None and own.is_floating_point() and not found.is_floating_point():
        raise published.differs(theirs, own.dtype, found.dtype)


def _fitted(published: Published, own: Mapping[str, Tensor], names: Names) -> tuple[dict[str, Tensor], set[str]]:
    """The weights by our names, and the published names that they come from."""
    parts: dict[str, list[str]] = {}
    for ours in own:
        parts.setdefault(published_name(ours, names), []).append(ours)
    weights: dict[str, Tensor] = {}
    for theirs, sharing in parts.items():
        if theirs not in published and theirs.endswith(_COUNTER):
            weights |= {ours: torch.zeros((), dtype=torch.int64) for ours in sharing}
            continue
        shape = tuple(own[sharing[0]].shape)
        _check_numbers(published, theirs, own[sharing[0]])
        if len(sharing) == 1:
            weights[sharing[0]] = published.expect(theirs, shape).clone()  # the file's own memory is the file's
            continue
        lengths = [len(own[ours]) for ours in sharing]
        pieces = published.expect(theirs, (sum(lengths), *shape[1:])).split(lengths)
        weights |= {ours: piece.clone() for ours, piece in zip(sharing, pieces, strict=True)}
    return weights, set(parts) & published.tensors.keys()
