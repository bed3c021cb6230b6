"""A network that a page holds is small, and computes what it did."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs pip install 'bottomup[export]'")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs pip install 'bottomup[export]'")

from bottomup.page.networks import small  # noqa: E402


def test_weights_take_less_room_and_lose_a_rounding() -> None:
    random = np.random.default_rng(0)
    weights = (random.normal(size=(64, 32)) * np.exp(random.normal(size=(64, 1)) * 3)).astype(np.float32)
    weights[0] = 0.0
    product = onnx.helper.make_node("Gemm", ["x", "w", "b"], ["y"], transB=1)
    product.doc_string = "where it was written"
    shapes = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in (("x", [1, 32]), ("y", [1, 64]))
    ]
    bias = random.normal(size=64).astype(np.float32)
    tensors = [onnx.numpy_helper.from_array(array, name) for array, name in ((weights, "w"), (bias, "b"))]
    graph = onnx.helper.make_graph([product], "graph", shapes[:1], shapes[1:], tensors)
    whole = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9).SerializeToString()
    given = random.normal(size=(1, 32)).astype(np.float32)
    results = {}
    for stored_as in ("int20", "float32"):
        file = small(whole, stored_as)  # type: ignore[arg-type]
        results[stored_as] = onnxruntime.InferenceSession(file).run(None, {"x": given})[0], len(gzip.compress(file))
        assert b"where it was written" not in file
    (ours, size), (theirs, whole_size) = results["int20"], results["float32"]
    step = np.abs(weights).max(1) / (2**19 - 1)
    assert (np.abs(ours - theirs) <= 0.51 * step * np.abs(given).sum() + 1e-5).all()
    assert size < 0.85 * whole_size
    np.testing.assert_array_equal(ours[0, 0], bias[0])  # a channel of zeros
