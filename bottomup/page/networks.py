"""A network with its decoder as a page holds it: a small ONNX file, and what that says of itself."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bottomup.errors import ConfigError
from bottomup.export.files import contract_of, quiet, write
from bottomup.export.graph import maps_of, program_of
from bottomup.grouping.tags import TagGrouping
from bottomup.predictor import Predictor
from bottomup.runtime.contract import Contract

StoredAs = Literal["int20", "float32"]

GROUPINGS = frozenset({"TagGrouping", "SeedGrouping", "PosenetGrouping", "BoxGrouping"})  # that scripts/grouping/kinds.js has
_DECODERS = "associative_embedding, personlab, posenet, prn"
_MANY = 256  # numbers of a tensor that are worth another type
_MOST = 2**19 - 1  # of 20 bits with a sign
_BYTE, _NIBBLE = 256, 16
_ROW = 9  # weights, for which a scale is worth its room: a filter of 3 x 3


@dataclass(frozen=True)
class PageNetwork:
    """One of the networks of a page."""

    name: str
    onnx: bytes
    contract: Contract
    weights: str  # as Python is given them
    options: Mapping[str, object] = field(default_factory=dict)  # of ``bottomup.load``, with which Python does the same


def page_network(
    predictor: Predictor,
    weights: str,
    hover: Sequence[str] = (),
    stored_as: StoredAs = "int20",
    options: Mapping[str, object] = MappingProxyType({}),
) -> PageNetwork:
    """A predictor's network and decoder for a page, which gives those of the maps ``hover`` that the network has.

    It is called by its ``weights``, a checkpoint's file or a name; they are kept as ``stored_as`` and computed with as float32.
    ``options`` are those of ``bottomup.load`` that give the predictor. ConfigError for a decoder whose sequential part the page
    does not have, and as ``program_of``.
    """
    grouping = predictor.decoder.grouping
    if type(grouping).__name__ not in GROUPINGS:
        raise ConfigError(
            f"{weights}: a page has no sequential part of decoder {type(predictor.decoder).__module__.rpartition('.')[2]}; it has "
            f"those of {_DECODERS}"
        )
    if isinstance(grouping, TagGrouping) and grouping.whole_map:
        raise ConfigError(
            f"{weights}: a page fills keypoints from peaks alone, not from the whole map; give decoder.fill_from=peaks"
        )
    with quiet():
        maps = [map_name for map_name in maps_of(predictor.model) if map_name in hover]
        program = program_of(predictor.model, predictor.decoder, maps=maps)
    contract = contract_of(predictor, program, None)
    with tempfile.TemporaryDirectory() as folder:
        path = write(program, contract, Path(folder) / "model.onnx")
        return PageNetwork(_name(weights), small(path.read_bytes(), stored_as), contract, weights, dict(options))


def _name(weights: str) -> str:
    """What a network is called: its name in the zoo, or the folder of its run."""
    path = Path(weights)
    return path.absolute().parent.name if path.suffix == ".pt" and path.stem in ("best", "last") else path.stem


def small(onnx_file: bytes, stored_as: StoredAs) -> bytes:
    """An ONNX file without what is said about its nodes, and with its weights as another type; it computes with float32."""
    import onnx  # which ``write`` has found

    model = onnx.ModelProto.FromString(onnx_file)
    del model.metadata_props[:]
    del model.graph.value_info[:]
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string, node.name = "", ""
    for tensor in model.graph.initializer:
        del tensor.metadata_props[:]
        tensor.doc_string = ""
    if stored_as == "int20":
        _quantise(model)
    _rename(model)
    return bytes(onnx.ModelProto.SerializeToString(model))


def _rename(model: Any) -> None:
    """Call what is within the graph by numbers, unless graphs within it may call it, too."""
    graph = model.graph
    if any(attribute.HasField("g") or attribute.graphs for node in graph.node for attribute in node.attribute):
        return
    names = {value.name: value.name for value in (*graph.input, *graph.output)} | {"": ""}  # "": an input that is left out
    for tensor in graph.initializer:
        tensor.name = names.setdefault(tensor.name, f"_{len(names):x}")
    for node in graph.node:
        for values in (node.input, node.output):
            values[:] = [names.setdefault(name, f"_{len(names):x}") for name in values]


def _quantise(model: Any) -> None:
    """Keep large tensors of weights as whole numbers of 20 bits, with a scale for every channel; nodes before all others undo it.

    Of a channel's largest weight that leaves 2^-20. With 2^-16 one of ten people's keypoints moves by a tenth of a pixel and more,
    with float16 by half a pixel. Higher bytes, lower bytes and the last four bits stand each by themselves, so that they are
    compressed: most of the first are small, and the last are half bytes.
    """
    from onnx import TensorProto, helper, numpy_helper

    undone = []
    for index, tensor in enumerate(list(model.graph.initializer)):
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < _MANY:
            continue
        name, (high, middle, low, scale) = tensor.name, _parts(numpy_helper.to_array(tensor))
        model.graph.initializer[index].CopyFrom(numpy_helper.from_array(high, f"{name}.high"))
        known: dict[str, NDArray[Any]] = {"middle": middle, "low": low, "scale": scale}
        known |= {"byte": np.array([_BYTE], np.float32), "nibble": np.array([_NIBBLE], np.float32)}
        for part, array in known.items():
            model.graph.initializer.append(numpy_helper.from_array(array, f"{name}.{part}"))
        for part in ("high", "middle", "low"):
            undone.append(helper.make_node("Cast", [f"{name}.{part}"], [f"{name}.{part}.float"], to=TensorProto.FLOAT))
        for kind, first, second, made in (
            ("Mul", "high.float", "byte", "higher"), ("Add", "higher", "middle.float", "most"),
            ("Mul", "most", "nibble", "shifted"), ("Add", "shifted", "low.float", "whole"), ("Mul", "whole", "scale", ""),
        ):  # fmt: skip
            undone.append(helper.make_node(kind, [f"{name}.{first}", f"{name}.{second}"], [f"{name}.{made}" if made else name]))
    nodes = [*undone, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _parts(weights: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.uint8], NDArray[np.uint8], NDArray[np.float32]]:
    """Weights as whole numbers times a scale: their highest eight bits, the next eight, the last four, and the scale.

    There is one for each entry of the first axis, or one alone where such entries have few weights.
    """
    alone = weights.size < _ROW * weights.shape[0]
    largest = np.abs(weights).max(axis=None if alone else tuple(range(1, weights.ndim)), keepdims=True)
    scale = np.where(largest > 0, largest / _MOST, 1).astype(np.float32)
    whole = np.round(weights / scale).astype(np.int32)
    middle, low = (whole // _NIBBLE) % _BYTE, whole % _NIBBLE
    return (whole // (_BYTE * _NIBBLE)).astype(np.int8), middle.astype(np.uint8), low.astype(np.uint8), scale


def numbered(networks: Sequence[PageNetwork]) -> list[PageNetwork]:
    """The networks under names of their own: where several have one name, all of these are numbered."""
    names = [network.name for network in networks]
    return [
        network
        if names.count(network.name) == 1
        else replace(network, name=f"{network.name} ({names[: index + 1].count(network.name)})")
        for index, network in enumerate(networks)
    ]
