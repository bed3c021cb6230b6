"""pose-ae-train, the authors' hourglasses of Associative Embedding in PyTorch, as a checkpoint of ours."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from bottomup.checkpoint import Checkpoint
from bottomup.importers.hourglass import WORDS, sizes
from bottomup.importers.naming import as_checkpoint
from bottomup.importers.published import Published, read_published
from bottomup.skeletons import COCO
from bottomup.types import Task

NAMES = (
    (r"^backbone\.stem\.(\d+)\.0\.", r"pre.\1.conv."),
    (r"^backbone\.hourglasses\.(.*)\.0\.(weight|bias)$", r"features.\1.conv.\2"),
    *WORDS,
    (r"^backbone\.merge_features\.(\d+)\.", r"merge_features.\1.conv.conv."),
    (r"^backbone\.merge_predictions\.(\d+)\.", r"merge_preds.\1.conv.conv."),
    (r"^heads\.(heatmap|tags)\.heads\.(\d+)\.conv\.", r"outs.\2.conv."),
)
_OVERRIDES = ("method=associative_embedding", "decoder=pose_ae", "backbone.normalisation=none", "input_size=512", "side=long")
_USED = 2 * len(COCO)  # of the outputs: heatmaps, then tags


def import_pose_ae(path: str | Path) -> tuple[Checkpoint, list[str]]:
    """Read a ``checkpoint.pth.tar`` of pose-ae-train; also the names of the tensors that it does not use, of which there are none.

    Its stacks have 68 outputs, of which nobody reads the last 34; they enter the next stack all the same, as linear functions of
    this one's features, and so become a part of those. Raises CheckpointError where the file is another network's.
    """
    published = without_leftovers(read_published(path))
    return as_checkpoint(published, [*_OVERRIDES, *sizes(published, "features")], Task(COCO), NAMES), []


def without_leftovers(published: Published) -> Published:
    """The same network with those outputs alone that are read.

    What enters the next stack is merge(f) + back(out(f)). With back = (back₁, back₂) and out = (out₁, out₂), of which out₂ is not
    read, that is (merge + back₂ out₂)(f) + back₁(out₁(f)).
    """
    tensors = dict(published.tensors)
    for weight_name in published.matching(r"outs\.\d+\.conv\.weight"):
        stack = weight_name.split(".")[1]
        outputs, channels = max(_USED, published.size(weight_name)), published.size(weight_name, axis=1)
        weight = published.expect(weight_name, (outputs, channels, 1, 1))
        bias = published.expect(f"outs.{stack}.conv.bias", (outputs,))
        tensors |= {weight_name: weight[:_USED].clone(), f"outs.{stack}.conv.bias": bias[:_USED].clone()}
        back_name, merge = f"merge_preds.{stack}.conv.conv.weight", f"merge_features.{stack}.conv.conv"
        if back_name not in published:  # behind the last stack there is none
            continue
        back = published.expect(back_name, (channels, outputs, 1, 1))
        tensors[back_name] = back[:, :_USED].clone()
        merged = torch.cat((weight[_USED:, :, 0, 0], bias[_USED:, None]), dim=1)  # (leftover, channels + 1)
        added = back[:, _USED:, 0, 0].double() @ merged.double()
        tensors[f"{merge}.weight"] = _sum(
            published.expect(f"{merge}.weight", (channels, channels, 1, 1)), added[:, :-1, None, None]
        )
        tensors[f"{merge}.bias"] = _sum(published.expect(f"{merge}.bias", (channels,)), added[:, -1])
    return replace(published, tensors=tensors)


def _sum(tensor: Tensor, added: Tensor) -> Tensor:
    return (tensor.double() + added).float()
