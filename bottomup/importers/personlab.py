"""Google's PoseNet and BodyPix, MobileNetV1 with PersonLab's heads, as checkpoints of ours."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bottomup.backbones.mobilenet_v1 import widths
from bottomup.checkpoint import Checkpoint, load_weights, versions
from bottomup.errors import CheckpointError
from bottomup.importers.tfjs import Convolution, GraphModel, read_graph_model
from bottomup.plan.model import ModelPlan
from bottomup.skeletons import COCO
from bottomup.types import Task

_BLOCKS = 13
_AT_DEPTH_ONE = 64  # channels of the first pointwise convolution
_HEADS = {  # what the names of Google's 1x1 convolutions hold -> our head, and its channels
    "heatmap_2": ("heatmap", len(COCO)),
    "offset_2": ("short_offsets", 2 * len(COCO)),
    "displacement_fwd_2": ("mid_offsets", 2 * len(COCO.edges)),
    "displacement_bwd_2": ("mid_offsets", 2 * len(COCO.edges)),
    "segment_2": ("segmentation", 1),
    "embedding_2": ("long_offsets", 2 * len(COCO)),
}
_OPTIONAL = ("segment_2", "embedding_2")  # BodyPix has them
_UNUSED = ("part_heatmap_2", "part_offset_2")  # body parts

Heads = dict[str, Convolution]  # by Google's names


def import_personlab(path: str | Path, output_stride: int = 16, refine: int = 2) -> tuple[Checkpoint, list[str]]:
    """Read PoseNet's or BodyPix's TF.js graph model into a checkpoint; also the names of the tensors that it does not use.

    MobileNetV1 of any width: those of 0.50 and 0.75 lack its last stride and its last doubling of channels, that of 1.00 has both
    (``native_stride`` 16 and 32 of our backbone). ``output_stride`` 8 or 16, and of width 1.00 also 32, runs the same weights;
    ``refine`` is the offset heads' option: 2 as in the paper, 0, raw fields, as ``decoder=posenet`` demands.
    Raises CheckpointError where the graph is another network.
    """
    graph = read_graph_model(path)
    body, heads = _parts(graph, path)
    depth, native_stride = _check_body(body, path)
    _check_heads(heads, body[-1].kernel.shape[-1], path)
    backbone = {"name": "mobilenet_v1", "depth": depth, "output_stride": output_stride, "native_stride": native_stride}
    config = _config(backbone, heads, refine)
    task = Task(COCO)
    model, _ = ModelPlan.of(config).compose(task)
    load_weights(model, _backbone_weights(body) | _head_weights(heads), str(path))
    used = {name for one in (*body, *heads.values()) for name in (one.kernel_name, one.bias_name)}
    checkpoint = Checkpoint(config, task, model.state_dict(), None, None, versions())
    return checkpoint, sorted(name for name, values in graph.tensors.items() if values.ndim and name not in used)


def _parts(graph: GraphModel, path: str | Path) -> tuple[list[Convolution], Heads]:
    """The convolutions before the heads, in order, and those of the heads; CheckpointError where there are others."""
    found = {name: [one for one in graph.convolutions if _is_head(one, name)] for name in _HEADS}
    body = [one for one in graph.convolutions if not any(_is_head(one, name) for name in (*_HEADS, *_UNUSED))]
    if len(body) != 1 + 2 * _BLOCKS:
        raise CheckpointError(
            f"{path}: not MobileNetV1 with PersonLab's heads; {len(body)} convolutions before the heads, expected {1 + 2 * _BLOCKS}"
        )
    for name, convolutions in found.items():
        if len(convolutions) > 1 or not (convolutions or name in _OPTIONAL):
            raise CheckpointError(f"{path}: not MobileNetV1 with PersonLab's heads; {len(convolutions)} convolutions called {name}")
    return body, {name: convolutions[0] for name, convolutions in found.items() if convolutions}


def _check_body(body: list[Convolution], path: str | Path) -> tuple[float, int]:
    """The depth and the native stride of a MobileNetV1; CheckpointError where the shapes of kernels are those of no such."""
    depth = body[2].kernel.shape[-1] / _AT_DEPTH_ONE
    native_stride = next((stride for stride in (16, 32) if widths(depth, stride)[-1] == body[-1].kernel.shape[-1]), 16)
    channels = widths(depth, native_stride)
    expected = [(3, 3, 3, channels[0])]
    for inward, out in pairwise(channels):
        expected += [(3, 3, inward, 1), (1, 1, inward, out)]
    for place, (convolution, shape) in enumerate(zip(body, expected, strict=True)):
        _check(convolution, shape, place % 2 == 1, f"MobileNetV1 of width {depth:.2f}", path)
    return depth, native_stride


def _check_heads(heads: Heads, channels: int, path: str | Path) -> None:
    for name, convolution in heads.items():
        _check(convolution, (1, 1, channels, _HEADS[name][1]), False, f"PersonLab's head {name}", path)


def _check(convolution: Convolution, shape: tuple[int, ...], depthwise: bool, whose: str, path: str | Path) -> None:
    if convolution.kernel.shape != shape or convolution.depthwise != depthwise:
        kinds = {True: "depthwise ", False: ""}
        raise CheckpointError(
            f"{path}: {convolution.name} has a {kinds[convolution.depthwise]}kernel of {convolution.kernel.shape}, "
            f"expected a {kinds[depthwise]}one of {shape}, as {whose} has; is it another network?"
        )


def _is_head(convolution: Convolution, name: str) -> bool:
    return f"/{name}/" in f"/{convolution.kernel_name}/" or f"/{name}/" in f"/{convolution.name}/"


def _config(backbone: dict[str, Any], heads: Heads, refine: int) -> dict[str, Any]:
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
        "backbone": backbone,
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


def _head_weights(heads: Heads) -> dict[str, Tensor]:
    """Google's offsets hold all y, then all x; ours x and y of each field. Forward edges stand before backward ones in both."""
    parts: dict[str, list[tuple[Tensor, Tensor]]] = {}
    for name, convolution in heads.items():
        head = _HEADS[name][0]
        kernel, bias = _kernel(convolution), torch.from_numpy(convolution.bias.copy())
        if head not in ("heatmap", "segmentation"):
            kernel, bias = (torch.stack(part.chunk(2)[::-1], dim=1).flatten(0, 1) for part in (kernel, bias))
        parts.setdefault(head, []).append((kernel, bias))
    weights: dict[str, Tensor] = {}
    for head, pieces in parts.items():
        kernels, biases = zip(*pieces, strict=True)
        weights[f"heads.{head}.heads.0.conv.weight"] = torch.cat(kernels)
        weights[f"heads.{head}.heads.0.conv.bias"] = torch.cat(biases)
    return weights
