"""A TF.js graph model is judged field by field before anything of it is read: one sentence each."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bottomup.errors import CheckpointError
from bottomup.importers.tfjs import read_graph_model

MODEL: dict[str, Any] = {
    "modelTopology": {
        "node": [
            {"name": "image", "op": "Placeholder"},
            {"name": "layer", "op": "Conv2D", "input": ["image", "kernel"]},
            {"name": "sum", "op": "BiasAdd", "input": ["layer", "bias"]},
        ]
    },
    "weightsManifest": [
        {
            "paths": ["first.bin", "second.bin"],
            "weights": [
                {"name": "kernel", "shape": [1, 1, 2, 3], "dtype": "float32"},
                {"name": "bias", "shape": [3], "dtype": "float32", "quantization": {"dtype": "uint8", "scale": 0.5, "min": -1.0}},
            ],
        }
    ],
}
DATA = np.arange(6, dtype=np.float32).tobytes() + bytes([0, 2, 255])
Change = Callable[[dict[str, Any]], object]


def write(folder: Path, model: object, data: bytes = DATA) -> Path:
    """The model's JSON and its two shards, cut within a value."""
    (folder / "first.bin").write_bytes(data[:10])
    (folder / "second.bin").write_bytes(data[10:])
    file = folder / "model.json"
    file.write_text(json.dumps(model))
    return file


def at(path: str, value: object) -> Change:
    """Put a value at a path of the model, ``weightsManifest.0.paths``."""
    *above, last = (int(part) if part.isdigit() else part for part in path.split("."))

    def change(model: Any) -> None:
        for part in above:
            model = model[part]
        model[last] = value

    return change


def test_a_whole_one_is_read(tmp_path: Path) -> None:
    graph = read_graph_model(write(tmp_path, MODEL))
    (layer,) = graph.convolutions
    assert layer.kernel.tolist() == [[[[0, 1, 2], [3, 4, 5]]]] and layer.bias.tolist() == [-1.0, 0.0, 126.5]
    assert (layer.source, layer.kernel_name, layer.bias_name, layer.depthwise) == ("image", "kernel", "bias", False)


KERNEL, BIAS, NODE = "weightsManifest.0.weights.0", "weightsManifest.0.weights.1", "modelTopology.node.1"
BESIDE = r"weightsManifest\[0\]\.paths\[0\] should be the name of a file beside the JSON, without folders"
FAULTS: dict[str, tuple[Change, str]] = {
    "no topology": (lambda model: model.pop("modelTopology"), "expected JSON with modelTopology.node and weightsManifest"),
    "no manifest": (lambda model: model.pop("weightsManifest"), "expected JSON with modelTopology.node and weightsManifest"),
    "topology is a list": (at("modelTopology", [1]), r"modelTopology should be an object, got \[1\]"),
    "no nodes": (at("modelTopology", {}), "modelTopology.node should be a list, got nothing"),
    "a node is text": (at(NODE, "x"), r"modelTopology\.node\[1\] should be an object, got 'x'"),
    "a node without operation": (at(f"{NODE}.op", None), r"node\[1\]\.op should be a name, got nothing"),
    "a node without name": (at(f"{NODE}.name", ""), r"node\[1\]\.name should be a name, got ''"),
    "inputs are text": (at(f"{NODE}.input", "kernel"), r"node\[1\]\.input should be a list, got 'kernel'"),
    "an input is a number": (at(f"{NODE}.input", [1]), r"node\[1\]\.input\[0\] should be a name, got 1"),
    "two nodes of a name": (at(f"{NODE}.name", "sum"), "two nodes are called 'sum'"),
    "manifest is an object": (at("weightsManifest", {}), "weightsManifest should be a list, got {}"),
    "a group is a number": (at("weightsManifest.0", 3), r"weightsManifest\[0\] should be an object, got 3"),
    "no shards": (at("weightsManifest.0.paths", []), r"paths should be the names of the weights files, got \[\]"),
    "a shard in a folder": (at("weightsManifest.0.paths.0", "sub/first.bin"), BESIDE),
    "a shard above": (at("weightsManifest.0.paths.0", "../first.bin"), BESIDE),
    "the folder above": (at("weightsManifest.0.paths.0", ".."), BESIDE),
    "this folder": (at("weightsManifest.0.paths.0", "."), BESIDE),
    "a shard anywhere": (at("weightsManifest.0.paths.0", "/etc/passwd"), BESIDE),
    "a shard on Windows": (at("weightsManifest.0.paths.0", "..\\first.bin"), BESIDE),
    "a shard on a drive": (at("weightsManifest.0.paths.0", "c:first.bin"), BESIDE),
    "a shard with a zero": (at("weightsManifest.0.paths.0", "first.bin\0"), BESIDE),
    "a shard of no file's name": (at("weightsManifest.0.paths.0", "x" * 5000), "x of the graph model is missing"),
    "a shard that is not there": (at("weightsManifest.0.paths.1", "third.bin"), r"third\.bin of the graph model is missing"),
    "a shard twice": (at("weightsManifest.0.paths.1", "first.bin"), "two shards are called 'first.bin'"),
    "a shard in two groups": (lambda model: model["weightsManifest"].append({"paths": ["first.bin"], "weights": []}), "two shards"),
    "weights are an object": (at("weightsManifest.0.weights", {}), r"weights should be a list, got {}"),
    "a tensor without name": (at(f"{KERNEL}.name", 5), r"weights\[0\]\.name should be a name, got 5"),
    "a tensor twice": (at(f"{KERNEL}.name", "bias"), "two tensors are called 'bias'"),
    "no shape": (at(f"{KERNEL}.shape", None), r"weights\[0\]\.shape should be a list, got nothing"),
    "a side of 0": (at(f"{KERNEL}.shape", [0, 1 << 70]), r"shape\[0\] should be a whole number from 1 on, got 0"),
    "a negative side": (at(f"{KERNEL}.shape", [-1, -6]), r"shape\[0\] should be a whole number from 1 on, got -1"),
    "a side and a half": (at(f"{KERNEL}.shape", [1.5]), r"shape\[0\] should be a whole number from 1 on, got 1.5"),
    "a true side": (at(f"{KERNEL}.shape", [True]), r"shape\[0\] should be a whole number from 1 on, got True"),
    "too many axes": (at(f"{KERNEL}.shape", [1] * 100), r"shape should be at most 6 axes"),
    "too many values": (at(f"{KERNEL}.shape", [1 << 40, 1 << 40]), r"first\.bin to second\.bin: 27 bytes, the JSON says \d{25}; "),
    "values too few": (at(f"{KERNEL}.shape", [1, 1, 1, 3]), r"27 bytes, the JSON says 15"),
    "an unknown type": (at(f"{KERNEL}.dtype", "complex64"), r"dtype should be one of float32, int32, .*, got 'complex64'"),
    "a type that is a list": (at(f"{KERNEL}.dtype", []), r"weights\[0\]\.dtype should be one of float32, .*, got \[\]"),
    "quantisation is text": (at(f"{BIAS}.quantization", "uint8"), r"weights\[1\]\.quantization should be an object"),
    "quantised as float32": (at(f"{BIAS}.quantization.dtype", "float32"), r"quantization\.dtype should be one of uint8, uint16, f"),
    "no scale": (at(f"{BIAS}.quantization.scale", None), r"quantization\.scale should be a finite number, got nothing"),
    "an infinite scale": (at(f"{BIAS}.quantization.scale", float("inf")), r"scale should be a finite number, got inf"),
    "a huge scale": (at(f"{BIAS}.quantization.scale", 10**400), r"scale should be a finite number, got 10+\.\.\.0+;"),
    "a least that is text": (at(f"{BIAS}.quantization.min", "0"), r"quantization\.min should be a finite number, got '0'"),
    "a convolution of nothing": (at(f"{NODE}.input", []), "convolution layer has no kernel and bias in the weights"),
    "no kernel": (at(f"{NODE}.input", ["image", "other"]), "convolution layer has no kernel and bias in the weights"),
    "no bias": (at("modelTopology.node.2.op", "Relu"), "convolution layer has no kernel and bias in the weights"),
    "a kernel of whole numbers": (at(f"{KERNEL}.dtype", "int32"), "kernel and bias should be float32, got int32 and float32"),
    "a kernel of two axes": (at(f"{KERNEL}.shape", [2, 3]), r"kernel should have axes \(h, w, in, out\), got \(2, 3\)"),
    "a bias of another layer": (
        at(f"{KERNEL}.shape", [1, 1, 3, 2]),
        r"bias should be \(2,\), as the kernel is \(1, 1, 3, 2\), got \(3,\)",
    ),
    "depthwise, of another": (at(f"{NODE}.op", "DepthwiseConv2dNative"), r"bias should be \(6,\)"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_does_not_fit_is_one_sentence(name: str, tmp_path: Path) -> None:
    change, expected = FAULTS[name]
    model = copy.deepcopy(MODEL)
    change(model)
    file = write(tmp_path, model)
    with pytest.raises(CheckpointError, match=expected) as told:
        read_graph_model(file)
    assert str(told.value).startswith(str(tmp_path)) and "\n" not in str(told.value) and len(str(told.value)) < 6000


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "not JSON"),
        (b"\x00\xff\x80", "not JSON"),
        (b'{"modelTopology": ', "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[1, 2]", "not a TF.js graph model"),
        (b"null", "not a TF.js graph model"),
    ],
)
def test_what_is_no_graph_model_at_all_is_refused(content: bytes, expected: str, tmp_path: Path) -> None:
    (tmp_path / "model.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=expected):
        read_graph_model(tmp_path / "model.json")


def test_files_that_are_not_there_or_cut_short_are_told(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"none\.json: no such file"):
        read_graph_model(tmp_path / "none.json")
    with pytest.raises(CheckpointError, match="no such file"):
        read_graph_model(tmp_path)
    with pytest.raises(CheckpointError, match="26 bytes, the JSON says 27; is the file whole"):
        read_graph_model(write(tmp_path, MODEL, DATA[:-1]))
    with pytest.raises(CheckpointError, match="28 bytes, the JSON says 27"):
        read_graph_model(write(tmp_path, MODEL, DATA + b"\0"))


def test_half_precision_is_read(tmp_path: Path) -> None:
    model = copy.deepcopy(MODEL)
    at(f"{BIAS}.quantization", {"dtype": "float16"})(model)
    graph = read_graph_model(write(tmp_path, model, DATA[:24] + np.array([0.5, -2, 3], np.float16).tobytes()))
    bias = graph.convolutions[0].bias
    assert bias.dtype == np.float32 and bias.tolist() == [0.5, -2.0, 3.0]
