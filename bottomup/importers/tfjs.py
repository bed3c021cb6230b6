"""TF.js graph models: a manifest, binary shards, a graph of TensorFlow's operations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bottomup.errors import CheckpointError
from bottomup.importers._tfjs_schema import Entry, Group, Node, read_schema
from bottomup.paths import path_of

_CONVOLUTIONS = ("Conv2D", "_FusedConv2D", "DepthwiseConv2dNative", "FusedDepthwiseConv2dNative")


class Convolution(NamedTuple):
    """One convolution of a graph: its node's name, what it reads, kernel (h, w, in, out) and bias.

    The kernel of a depthwise one is (h, w, in, 1).
    """

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

    All fields are checked, and the sizes of the shards with them, before a shard is read. Quantised tensors become float32: value
    * scale + min of uint8 and uint16. Raises CheckpointError naming file and field.
    """
    file = path_of(path)
    schema = read_schema(file)
    tensors: dict[str, NDArray[Any]] = {}
    for group in schema.groups:
        tensors |= _read_group(group, file.parent)
    return GraphModel(tensors, list(_convolutions(schema.nodes, tensors, file)))


def _read_group(group: Group, folder: Path) -> dict[str, NDArray[Any]]:
    """The tensors of one group of shards, which lie one after the other in its bytes."""
    expected = sum(entry.bytes for entry in group.entries)
    found = sum(_size(folder / name) for name in group.shards)
    if found != expected:
        shards = group.shards[0] + (f" to {group.shards[-1]}" if len(group.shards) > 1 else "")
        raise CheckpointError(
            f"{folder / shards}: {found} bytes, the JSON says {expected}; is the file whole, and of this network?"
        )
    try:
        data = b"".join((folder / name).read_bytes() for name in group.shards)
    except OSError as error:
        raise CheckpointError(f"{folder / group.shards[0]}: not readable ({error.strerror})") from error
    tensors, start = {}, 0
    for entry in group.entries:
        values: NDArray[Any] = np.frombuffer(data, entry.stored, entry.count, start).reshape(entry.shape)
        tensors[entry.name] = _plain(values, entry)
        start += entry.bytes
    return tensors


def _size(shard: Path) -> int:
    try:
        if shard.is_file():
            return shard.stat().st_size
    except OSError:  # a name that no file can have
        pass
    raise CheckpointError(f"{shard.parent}: the weights file {shard.name} of the graph model is missing; put it beside the JSON")


def _plain(values: NDArray[Any], entry: Entry) -> NDArray[Any]:
    """The values themselves of quantised ones."""
    if entry.scale is None:
        return values.astype(np.float32) if entry.stored is np.float16 else values
    with np.errstate(over="ignore"):  # what is not finite is refused with all weights
        return (values * np.float64(entry.scale) + entry.low).astype(np.float32)


def _convolutions(nodes: Sequence[Node], tensors: dict[str, NDArray[Any]], file: Path) -> Iterator[Convolution]:
    """The convolutions with their biases, in the graph's order; batch norm must be folded in already."""
    biases = {node.inputs[0]: node for node in nodes if node.operation == "BiasAdd" and len(node.inputs) > 1}
    for node in nodes:
        if node.operation not in _CONVOLUTIONS:
            continue
        added = biases.get(node.name)
        source, kernel, bias = (*node.inputs, *(added.inputs[1:2] if added else ()), "", "", "")[:3]
        if kernel not in tensors or bias not in tensors:
            raise CheckpointError(
                f"{file}: the convolution {node.name} has no kernel and bias in the weights; is batch norm folded in?"
            )
        depthwise = "Depthwise" in node.operation
        _check_shapes(tensors[kernel], tensors[bias], depthwise, f"{file}: the convolution {node.name}")
        yield Convolution(node.name, source, depthwise, tensors[kernel], tensors[bias], kernel, bias)


def _check_shapes(kernel: NDArray[Any], bias: NDArray[Any], depthwise: bool, where: str) -> None:
    """Raise CheckpointError unless a kernel has four axes, float32, and its bias one value for each channel that comes out."""
    if kernel.dtype != np.float32 or bias.dtype != np.float32:
        raise CheckpointError(f"{where}: kernel and bias should be float32, got {kernel.dtype} and {bias.dtype}")
    if kernel.ndim != 4:
        raise CheckpointError(f"{where}: the kernel should have axes (h, w, in, out), got {kernel.shape}")
    out = kernel.shape[2] * kernel.shape[3] if depthwise else kernel.shape[3]
    if bias.shape != (out,):
        raise CheckpointError(f"{where}: the bias should be ({out},), as the kernel is {kernel.shape}, got {bias.shape}")
