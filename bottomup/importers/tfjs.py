"""TF.js graph models: a manifest, binary shards, a graph of TensorFlow's operations."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bottomup.errors import CheckpointError
from bottomup.paths import path_of

_DTYPES = {"float32": np.float32, "int32": np.int32, "uint8": np.uint8, "uint16": np.uint16, "bool": np.bool_}
_CONVOLUTIONS = ("Conv2D", "_FusedConv2D", "DepthwiseConv2dNative", "FusedDepthwiseConv2dNative")


class Convolution(NamedTuple):
    """One convolution of a graph: its node's name, what it reads, kernel (h, w, in, out) and bias."""

    name: str
    source: str
    depthwise: bool
    kernel: NDArray[np.float32]
    bias: NDArray[np.float32]
    kernel_name: str
    bias_name: str


class GraphModel(NamedTuple):
    """The tensors of a TF.js graph model by name, and its convolutions in order."""

    tensors: dict[str, NDArray[Any]]
    convolutions: list[Convolution]


def read_graph_model(path: str | Path) -> GraphModel:
    """Read a graph model's JSON and the shards beside it.

    Quantised tensors (uint8, uint16) become float32: value * scale + min. Raises CheckpointError naming file and field.
    """
    file = path_of(path)
    try:
        model = json.loads(file.read_text())
        nodes = model["modelTopology"]["node"]
        groups = model["weightsManifest"]
    except OSError as error:
        raise CheckpointError(f"{file}: not readable ({error.strerror}); give the JSON of a TF.js graph model") from error
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{file}: not a TF.js graph model ({error!r}); expected JSON with modelTopology.node and weightsManifest"
        ) from error
    tensors: dict[str, NDArray[Any]] = {}
    for group in groups:
        tensors |= _read_group(group, file.parent)
    return GraphModel(tensors, _convolutions(nodes, tensors, file))


def _read_group(group: dict[str, Any], folder: Path) -> dict[str, NDArray[Any]]:
    """The tensors of one group of shards, which lie one after the other in its bytes."""
    missing = [name for name in group["paths"] if not (folder / name).is_file()]
    if missing:
        raise CheckpointError(f"{folder}: the weights file {missing[0]} of the graph model is missing; put it beside the JSON")
    data = b"".join((folder / name).read_bytes() for name in group["paths"])
    tensors, start = {}, 0
    for entry in group["weights"]:
        quantisation = entry.get("quantization")
        stored = _dtype(quantisation["dtype"] if quantisation else entry["dtype"], entry["name"], folder)
        count = math.prod(entry["shape"])
        end = start + count * np.dtype(stored).itemsize
        if end > len(data):
            raise CheckpointError(f"{folder}/{group['paths'][0]}: ends within {entry['name']}; is the file whole?")
        values = np.frombuffer(data, stored, count, start).reshape(entry["shape"])
        if quantisation and stored is not np.float32:
            values = (values * np.float64(quantisation["scale"]) + quantisation["min"]).astype(np.float32)
        tensors[entry["name"]], start = values, end
    return tensors


def _dtype(name: str, tensor: str, folder: Path) -> type:
    if name not in _DTYPES:
        raise CheckpointError(f"{folder}: {tensor} is stored as {name}; expected one of {', '.join(_DTYPES)}")
    return _DTYPES[name]


def _convolutions(nodes: list[dict[str, Any]], tensors: dict[str, NDArray[Any]], file: Path) -> list[Convolution]:
    """The convolutions with their biases, in the graph's order; batch norm must be folded in already."""
    biases = {node["input"][0]: node for node in nodes if node["op"] == "BiasAdd"}
    found = []
    for node in nodes:
        if node["op"] not in _CONVOLUTIONS:
            continue
        source, kernel = node["input"][:2]
        bias = node["input"][2] if len(node["input"]) > 2 else biases[node["name"]]["input"][1] if node["name"] in biases else None
        if bias is None or kernel not in tensors or bias not in tensors:
            raise CheckpointError(f"{file}: the convolution {node['name']} has no kernel and bias in the weights")
        depthwise = "Depthwise" in node["op"]
        found.append(Convolution(node["name"], source, depthwise, tensors[kernel], tensors[bias], kernel, bias))
    return found
