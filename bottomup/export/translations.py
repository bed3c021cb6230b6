"""What PyTorch's exporter has no ONNX for, in ONNX's operators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from bottomup.ops import padded_nms as _registers_the_operator  # noqa: F401

_INT64 = 7  # ONNX's number of the type


def translations() -> dict[Callable[..., Any], Callable[..., Any]]:
    """PyTorch's operators with functions that write each as ONNX's; onnxscript is there.

    The functions are traced by onnxscript: their arguments are values of the graph, but for those that are annotated.
    """
    from onnxscript import opset18

    op: Any = opset18  # whose types fit scripts, not traces

    def sort(self: Any, *, stable: bool | None = None, dim: int = -1, descending: bool = False) -> Any:
        """Of equal values ONNX's TopK gives the first place first, as a stable sort."""
        count = op.Gather(op.Shape(self), op.Constant(value_ints=[dim]))
        return op.TopK(self, count, axis=dim, largest=int(descending), sorted=1)

    def remainder(self: Any, other: Any) -> Any:
        """Of whole numbers; what divides may be a size that is open."""
        return op.Mod(self, op.CastLike(other, self))

    def padded_nms(boxes: Any, scores: Any, threshold: float, count: int) -> Any:
        """ONNX gives the chosen of all images one after the other, (S, 3), best first; each goes to its place of its image."""
        bounds = op.Constant(value_ints=[count]), op.Constant(value_floats=[threshold]), op.Constant(value_floats=[0.0])
        chosen = op.NonMaxSuppression(boxes, op.Unsqueeze(scores, op.Constant(value_ints=[1])), *bounds)
        image, box = (op.Gather(chosen, op.Constant(value_ints=[column]), axis=1) for column in (0, 2))  # (S, 1)
        earlier = op.Cast(op.Less(op.Transpose(image), image), to=_INT64)  # (S, S): those of images before
        before = op.ReduceSum(earlier, op.Constant(value_ints=[1]), keepdims=1)
        numbers = op.Range(op.Constant(value_int=0), op.Squeeze(op.Shape(image, end=1)), op.Constant(value_int=1))
        place = op.Sub(op.Unsqueeze(numbers, op.Constant(value_ints=[1])), before)
        rows = op.Concat(op.Shape(scores, end=1), op.Constant(value_ints=[count]), axis=0)
        none = op.Expand(op.Constant(value_ints=[-1]), rows)
        return op.ScatterND(none, op.Concat(image, place, axis=1), op.Squeeze(box, op.Constant(value_ints=[1])))

    return {
        torch.ops.aten.sort.stable: sort,
        torch.ops.aten.remainder.Scalar: remainder,
        torch.ops.bottomup.padded_nms.default: padded_nms,
    }
