"""Published networks with weights that are drawn by a rule, as files that their authors could have written."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from bottomup.checkpoint import Checkpoint
from bottomup.contracts import Decoder
from bottomup.importers.naming import published_name
from bottomup.importers.pose_ae import NAMES
from bottomup.model import PoseModel
from bottomup.plan.model import ModelPlan
from bottomup.plan.predicting import predict_plan
from bottomup.skeletons import COCO
from bottomup.types import Task

Tensors = dict[str, Tensor]

_OUTPUTS = 68  # of each of pose-ae-train's stacks


class Reference(NamedTuple):
    """What a file of ``reference/networks`` holds: the names and shapes of a network's tensors, an input, its outputs."""

    layout: dict[str, list[int]]
    image: Tensor
    outputs: dict[str, Tensor]

    @classmethod
    def of(cls, shared: Path, name: str) -> Reference:
        """The reference of that name; skips where it is absent."""
        file = shared / "reference/networks" / f"{name}.npz"
        if not file.is_file():
            pytest.skip(f"no {file}")
        with np.load(file) as held:
            outputs = {key.removeprefix("output_"): torch.from_numpy(held[key]) for key in held if key.startswith("output_")}
            return cls(json.loads(str(held["layout"])), torch.from_numpy(held["input"]), outputs)

    def tensors(self) -> Tensors:
        """The weights, drawn by the rule that the outputs were made with."""
        with ThreadPoolExecutor(2) as pool:  # NumPy draws without holding Python's lock
            return dict(zip(self.layout, pool.map(drawn, self.layout, self.layout.values()), strict=True))


def drawn(name: str, shape: Sequence[int]) -> Tensor:
    """The weights of one tensor, by its name."""
    if name.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.int64)
    values: NDArray[Any] = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)
    if name.endswith("running_var"):
        values = np.exp(0.2 * values)
    elif name.endswith(("running_mean", "bias")):
        values *= 0.1
    elif len(shape) == 1:
        values = 0.5 + 0.05 * values
    else:
        values *= np.sqrt(2 / np.prod(shape[1:]))
    return torch.from_numpy(values.astype(np.float32))


def as_pose_ae(tensors: Tensors) -> Mapping[str, object]:
    """As pose-ae-train saves: with its optimiser, whose learning rate a NumPy number may be."""
    return {"state_dict": tensors, "optimizer": {"state": {}, "param_groups": [{"lr": np.float64(2e-4)}]}, "epoch": 3}


def as_mmpose(tensors: Tensors) -> Mapping[str, object]:
    """As mmpose's publishing tool leaves it."""
    return {"meta": {"mmpose_version": "0.29.0", "epoch": 300, "hook_msgs": {"best_score": np.float64(0.6)}}, "state_dict": tensors}


def as_higherhrnet(tensors: Tensors) -> Mapping[str, object]:
    """As HigherHRNet's authors save a network alone."""
    return tensors


def as_half(tensors: Tensors) -> Mapping[str, object]:
    """As they save one that was wrapped for training in half precision, by names."""
    return {f"1.{name}": tensor for name, tensor in tensors.items()}


def small_pose_ae() -> Tensors:
    """Random weights of a small network under the names of pose-ae-train, with the outputs that nobody reads."""
    sizes = ["backbone.stacks=2", "backbone.channels=8", "backbone.growth=4", "backbone.levels=2"]
    with torch.device("meta"):
        model, _ = predict_plan(["method=associative_embedding", *sizes]).model.compose(Task(COCO))
    named: Tensors = {}
    for ours, tensor in model.state_dict().items():
        name, (first, *others) = published_name(ours, NAMES), tensor.shape
        if name.startswith("outs."):
            first = _OUTPUTS
        elif name.startswith("merge_preds.") and others:
            others[0] = _OUTPUTS
        named[name] = 0.1 * torch.randn(first, *others)
    return named


def built(checkpoint: Checkpoint) -> tuple[PoseModel, Decoder]:
    """A checkpoint's model, for prediction, and its decoder."""
    model, decoder = ModelPlan.of(checkpoint.config).compose(checkpoint.task)
    model.load_state_dict(checkpoint.model)
    return model.eval(), decoder
