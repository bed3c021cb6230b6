"""TF.js graph models of MobileNetV1 with PersonLab's heads in the layouts of PoseNet and BodyPix, and what they compute.

Written in NumPy and by TensorFlow's rules alone, so that nothing of the network under test is in it.
"""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Layout = Literal["posenet", "bodypix"]

SHARD = 1 << 22  # bytes of each but the last
CHANNELS = (32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)  # of the stem and the blocks, at width 1.00
HEADS: dict[Layout, dict[str, int]] = {
    "posenet": {"heatmap_2": 17, "offset_2": 34, "displacement_fwd_2": 32, "displacement_bwd_2": 32},
    "bodypix": {
        "offset_2": 34, "segment_2": 1, "part_offset_2": 48, "part_heatmap_2": 24, "embedding_2": 34, "heatmap_2": 17,
        "displacement_fwd_2": 32, "displacement_bwd_2": 32,
    },
}  # fmt: skip
BLOCKS = {  # output stride -> stride and dilation of each block
    8: ((1, 1), (2, 1), (1, 1), (2, 1), (1, 1), (1, 1), (1, 2), (1, 2), (1, 2), (1, 2), (1, 2), (1, 2), (1, 4)),
    16: ((1, 1), (2, 1), (1, 1), (2, 1), (1, 1), (2, 1), (1, 1), (1, 1), (1, 1), (1, 1), (1, 1), (1, 1), (1, 2)),
    32: ((1, 1), (2, 1), (1, 1), (2, 1), (1, 1), (2, 1), (1, 1), (1, 1), (1, 1), (1, 1), (1, 1), (2, 1), (1, 1)),
}


class Layer(NamedTuple):
    """One convolution: what Google calls it, its kernel (h, w, in, out) or, depthwise, (h, w, in, 1), and its bias."""

    name: str
    kernel: Array
    bias: Array

    @property
    def depthwise(self) -> bool:
        return "depthwise" in self.name


def drawn(layout: Layout, seed: int = 0) -> list[Layer]:
    """The layers of width 1.00, the heads last, with weights that keep the size of what goes through."""
    random = np.random.default_rng(seed)

    def layer(name: str, *shape: int) -> Layer:
        inputs = np.prod(shape[:2]) * (1 if "depthwise" in name else shape[2])
        out = shape[2] * shape[3] if "depthwise" in name else shape[3]
        kernel = random.standard_normal(shape) * np.sqrt(2 / inputs)
        return Layer(name, kernel.astype(np.float32), (0.1 * random.standard_normal(out)).astype(np.float32))

    layers = [layer("Conv2d_0", 3, 3, 3, CHANNELS[0])]
    for block, (inward, out) in enumerate(pairwise(CHANNELS), start=1):
        layers.append(layer(f"Conv2d_{block}_depthwise", 3, 3, inward, 1))
        layers.append(layer(f"Conv2d_{block}_pointwise", 1, 1, inward, out))
    return layers + [layer(name, 1, 1, CHANNELS[-1], channels) for name, channels in HEADS[layout].items()]


def convolved(maps: Array, layer: Layer, stride: int = 1, dilation: int = 1) -> Array:
    """TensorFlow's convolution of maps (h, w, C) with padding "SAME"."""
    side = layer.kernel.shape[0]
    padding, starts = [], []
    for length in maps.shape[:2]:
        cells = -(-length // stride)
        missing = max((cells - 1) * stride + (side - 1) * dilation + 1 - length, 0)
        padding.append((missing // 2, missing - missing // 2))
        starts.append((cells - 1) * stride + 1)
    padded = np.pad(maps, [*padding, (0, 0)])
    result: Any = layer.bias.astype(np.float64)
    for row in range(side):
        for column in range(side):
            y, x = row * dilation, column * dilation
            seen = padded[y : y + starts[0] : stride, x : x + starts[1] : stride]
            kernel = layer.kernel[row, column].astype(np.float64)
            result = result + (seen * kernel[:, 0] if layer.depthwise else seen @ kernel)
    return np.asarray(result)


def forward(image: Array, layers: list[Layer], output_stride: int) -> dict[str, Array]:
    """The maps (h, w, C) of each head, by Google's names, of an image (H, W, 3) in [-1, 1]."""
    stem, *body = layers[:27]
    maps = convolved(image, stem, 2).clip(0, 6)
    for depthwise, pointwise, (stride, dilation) in zip(body[::2], body[1::2], BLOCKS[output_stride], strict=True):
        maps = convolved(maps, depthwise, stride, dilation).clip(0, 6)
        maps = convolved(maps, pointwise).clip(0, 6)
    return {head.name: convolved(maps, head) for head in layers[27:]}


def write(folder: Path, layout: Layout, layers: list[Layer]) -> tuple[Path, list[Layer]]:
    """Write a graph model as Google publishes them, and return its JSON and the layers as a reader sees them.

    PoseNet has fused convolutions and nameless constants, BodyPix a node for each step, and here two bytes a value.
    """
    nodes: list[dict[str, Any]] = [{"name": "image", "op": "Placeholder", "attr": {"dtype": {"type": "DT_FLOAT"}}}]
    entries, pieces, seen, source = [], [], [], "image"
    for index, layer in enumerate(layers):
        kernel, bias = (f"Const_{2 * index}", f"Const_{2 * index + 1}") if layout == "posenet" else named(layer)
        source = str(nodes[-1]["name"]) if index <= 27 else source  # all heads read the last block
        nodes += (fused if layout == "posenet" else apart)(layer, source, kernel, bias, head=index >= 27)
        plain = []
        for name, values in ((kernel, layer.kernel), (bias, layer.bias)):
            entry, stored, read = quantised(values) if layout == "bodypix" else ({"dtype": "float32"}, values, values)
            entries.append({"name": name, "shape": list(values.shape)} | entry)
            pieces.append(stored.tobytes())
            plain.append(read)
        seen.append(Layer(layer.name, *plain))
    data = b"".join(pieces)
    shards = [data[start : start + SHARD] for start in range(0, len(data), SHARD)]
    names = [f"group1-shard{number}of{len(shards)}.bin" for number in range(1, len(shards) + 1)]
    for name, shard in zip(names, shards, strict=True):
        (folder / name).write_bytes(shard)
    manifest = [{"paths": names, "weights": entries}]
    file = folder / "model-stride16.json"
    file.write_text(json.dumps({"format": "graph-model", "modelTopology": {"node": nodes}, "weightsManifest": manifest}))
    return file, seen


def named(layer: Layer) -> tuple[str, str]:
    """What BodyPix calls a kernel and its bias."""
    kind = "depthwise" if layer.depthwise else "Conv2D"
    return (
        f"MobilenetV1/{layer.name}/{'depthwise_weights' if layer.depthwise else 'weights'}",
        f"MobilenetV1/{layer.name}/{kind}_bias",
    )


def fused(layer: Layer, source: str, kernel: str, bias: str, head: bool) -> list[dict[str, Any]]:
    """PoseNet's node of a layer."""
    name = f"MobilenetV1/{layer.name}/BiasAdd" if head else f"MobilenetV1/MobilenetV1/{layer.name}/Relu6"
    kind = "FusedDepthwiseConv2dNative" if layer.depthwise else "_FusedConv2D"
    return [{"name": name, "op": kind, "input": [source, kernel, bias]}]


def apart(layer: Layer, source: str, kernel: str, bias: str, head: bool) -> list[dict[str, Any]]:
    """BodyPix's nodes of a layer."""
    name = f"MobilenetV1/{layer.name}"
    kind = "DepthwiseConv2dNative" if layer.depthwise else "Conv2D"
    nodes = [
        {"name": f"{name}/conv", "op": kind, "input": [source, kernel]},
        {"name": f"{name}/add", "op": "BiasAdd", "input": [f"{name}/conv", bias]},
    ]
    return nodes if head else [*nodes, {"name": f"{name}/Relu6", "op": "Relu6", "input": [f"{name}/add"]}]


def quantised(values: Array) -> tuple[dict[str, Any], Array, Array]:
    """How a manifest says that values take two bytes each, those bytes, and what a reader makes of them."""
    low = float(values.min())
    scale = float(np.ptp(values)) / 65535 or 1.0
    stored = np.round((values - low) / scale).astype(np.uint16)
    entry = {"dtype": "float32", "quantization": {"dtype": "uint16", "scale": scale, "min": low}}
    return entry, stored, (stored * scale + low).astype(np.float32)
