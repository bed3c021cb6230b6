"""Google's PoseNet and BodyPix, MobileNetV1 with PersonLab's heads, as checkpoints of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bottomup.checkpoint import Checkpoint, load_weights, versions
from bottomup.errors import CheckpointError
from bottomup.importers.tfjs import Convolution, read_graph_model
from bottomup.plan.model import ModelPlan
from bottomup.skeletons import COCO
from bottomup.types import Task

_BLOCKS = 13
_STEM_AT_DEPTH_ONE = 64  # channels of the first pointwise convolution
_HEADS = {  # what the names of Google's 1x1 convolutions hold -> our head
    "heatmap_2": "heatmap",
    "offset_2": "short_offsets",
    "displacement_fwd_2": "mid_offsets",
    "displacement_bwd_2": "mid_offsets",
    "segment_2": "segmentation",
    "embedding_2": "long_offsets",
}
_UNUSED = ("part_heatmap_2", "part_offset_2")  # body parts


def import_personlab(path: str | Path, output_stride: int = 16, refine: int = 2) -> tuple[Checkpoint, list[str]]:
    """Read PoseNet's or BodyPix's TF.js graph model into a checkpoint; also the names of the tensors that it does not use.

    ``output_stride`` 8 or 16 runs the same weights; ``refine`` is the offset heads' option: 2 as in
    the paper, 0, raw fields, as ``decoder=posenet`` demands.
    Raises CheckpointError where the graph is another network.
    """
    graph = read_graph_model(path)
    heads = {name: [one for one in graph.convolutions if _is_head(one, name)] for name in _HEADS}
    body = [one for one in graph.convolutions if not any(_is_head(one, name) for name in (*_HEADS, *_UNUSED))]
    if len(body) != 1 + 2 * _BLOCKS or any(len(found) > 1 for found in heads.values()) or not heads["heatmap_2"]:
        raise CheckpointError(f"{path}: not MobileNetV1 with PersonLab's heads; {len(body)} convolutions before the heads")
    present = {name: found[0] for name, found in heads.items() if found}
    config = _config(body, present, output_stride, refine)
    task = Task(COCO)
    model, _ = ModelPlan.of(config).compose(task)
    load_weights(model, _backbone_weights(body) | _head_weights(present), str(path))
    used = {name for one in (*body, *present.values()) for name in (one.kernel_name, one.bias_name)}
    checkpoint = Checkpoint(config, task, model.state_dict(), None, None, versions())
    return checkpoint, sorted(name for name, values in graph.tensors.items() if values.ndim and name not in used)


def _is_head(convolution: Convolution, name: str) -> bool:
    return f"/{name}/" in f"/{convolution.kernel_name}/" or f"/{name}/" in f"/{convolution.name}/"


def _config(body: list[Convolution], heads: dict[str, Convolution], output_stride: int, refine: int) -> dict[str, Any]:
    depth = body[2].kernel.shape[-1] / _STEM_AT_DEPTH_ONE
    ours: dict[str, Any] = {
        "heatmap": {"shape": "disk", "criterion": "logistic", "weight": 4.0},
        "short_offsets": {"weight": 1.0},
        "mid_offsets": {"refine": refine, "weight": 0.25},
    }
    if "segment_2" in heads:
        ours["segmentation"] = {"criterion": "logistic", "weight": 2.0}
    if "embedding_2" in heads:
        ours["long_offsets"] = {"refine": refine, "weight": 0.125}
    return {
        "method": "personlab",
        "backbone": {"name": "mobilenet_v1", "depth": depth, "output_stride": output_stride},
        "heads": ours,
        "decoder": {"name": "personlab"},
        "input_size": 513,
        "side": "long",
    }


def _backbone_weights(body: list[Convolution]) -> dict[str, Tensor]:
    """The stem, then each block's depthwise and pointwise convolution."""
    places = ["stem.0", *(f"blocks.{block}.{layer}" for block in range(_BLOCKS) for layer in (0, 2))]
    weights: dict[str, Tensor] = {}
    for place, convolution in zip(places, body, strict=True):
        weights[f"backbone.{place}.weight"] = _kernel(convolution)
        weights[f"backbone.{place}.bias"] = torch.from_numpy(convolution.bias.copy())
    return weights


def _kernel(convolution: Convolution) -> Tensor:
    """TensorFlow's (h, w, in, out), or (h, w, in, 1) where depthwise, as (out, in, h, w)."""
    axes = (2, 3, 0, 1) if convolution.depthwise else (3, 2, 0, 1)
    return torch.from_numpy(convolution.kernel.transpose(axes).copy())


def _head_weights(heads: dict[str, Convolution]) -> dict[str, Tensor]:
    """Google's offsets hold all y, then all x; ours x and y of each field. Forward edges stand before backward ones in both."""
    parts: dict[str, list[tuple[Tensor, Tensor]]] = {}
    for name, convolution in heads.items():
        kernel, bias = _kernel(convolution), torch.from_numpy(convolution.bias.copy())
        if _HEADS[name] not in ("heatmap", "segmentation"):
            kernel, bias = (torch.stack(part.chunk(2)[::-1], dim=1).flatten(0, 1) for part in (kernel, bias))
        parts.setdefault(_HEADS[name], []).append((kernel, bias))
    weights: dict[str, Tensor] = {}
    for head, pieces in parts.items():
        kernels, biases = zip(*pieces, strict=True)
        weights[f"heads.{head}.heads.0.conv.weight"] = torch.cat(kernels)
        weights[f"heads.{head}.heads.0.conv.bias"] = torch.cat(biases)
    return weights
