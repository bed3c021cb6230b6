"""The architecture that an entry names, as `bottomup train` takes it, is the one whose weights its file holds."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from bottomup.checkpoint import Checkpoint
from bottomup.importers.kinds import KINDS, import_file
from bottomup.plan.files import choices
from bottomup.plan.model import ModelPlan
from bottomup.plan.training import train_plan
from bottomup.skeletons import COCO
from bottomup.types import Task
from bottomup.zoo.entries import Entry, entries, entry_named
from tests.unit.zoo.test_entries import LAYOUTS

TFJS = {
    "posenet": "posenet_mobilenetv1_075_stride16/posenet.json",
    "bodypix_050_16": "bodypix_mobilenetv1_050_float/model-stride16.json",
    "bodypix_050_8": "bodypix_mobilenetv1_050_float/model-stride8.json",
}


def shapes(plan: ModelPlan, task: Task) -> dict[str, tuple[int, ...]]:
    """The tensors of a model that is described, which is not built."""
    with torch.device("meta"):
        model, _ = plan.without_pretraining().compose(task)
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def assert_same(entry: Entry, checkpoint: Checkpoint) -> None:
    plan = train_plan([*entry.architecture, "data=none"]).model
    assert shapes(plan, checkpoint.task) == shapes(ModelPlan.of(checkpoint.config), checkpoint.task)
    skeleton = checkpoint.task.skeleton
    assert skeleton is not None and (skeleton.name, len(skeleton)) == (entry.skeleton, entry.keypoints)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_file_holds_the_architecture(layout: str, shared: Path, tmp_path: Path) -> None:
    first, *others = map(entry_named, LAYOUTS[layout])
    held = json.loads(str(np.load(shared / "reference" / "networks" / f"{layout}.npz")["layout"]))
    file = write(dict(held), first.importer, tmp_path / first.file)
    assert_same(first, import_file(file, first.importer, **first.options)[0])
    assert all((other.architecture, other.importer) == (first.architecture, first.importer) for other in others)


def write(layout: Mapping[str, Sequence[int]], importer: str, file: Path) -> Path:
    """A file of that kind with one value everywhere, which takes hardly any place."""
    if importer == "multiposenet":
        h5py = pytest.importorskip("h5py", reason="needs the extra hdf5")
        with h5py.File(file, "w") as written:
            sparse = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            sparse.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
            sparse.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
            for name, shape in layout.items():
                if shape:
                    written.create_dataset(name, tuple(shape), "f4", dcpl=sparse)
                else:
                    written[name] = np.int64(0)
        return file
    ones = torch.ones(max(math.prod(shape) for shape in layout.values()))  # of which all are views: it is written once
    tensors: dict[str, Tensor] = {
        name: torch.tensor(0) if name.endswith("num_batches_tracked") else ones[: math.prod(shape)].view(tuple(shape))
        for name, shape in layout.items()
    }
    torch.save({"state_dict": tensors} if importer in ("mmpose", "pose_ae") else tensors, file)
    return file


@pytest.mark.parametrize("entry", [one for one in entries() if one.importer == "tfjs"], ids=lambda entry: entry.name)
def test_the_architecture_has_as_many_parameters_as_the_entry_says(entry: Entry) -> None:
    plan = train_plan([*entry.architecture, "data=none"]).model
    counted = sum(math.prod(shape) for shape in shapes(plan, Task(COCO)).values())
    assert round(counted / 1e6, 1) == pytest.approx(entry.parameters)


@pytest.mark.parametrize("name", TFJS)
def test_google_s_files_hold_the_architecture(name: str, shared: Path) -> None:
    entry = entry_named(name)
    assert_same(entry, import_file(shared / "weights" / TFJS[name], entry.importer, **entry.options)[0])


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_what_an_entry_names_is_there(entry: Entry) -> None:
    assert entry.importer in KINDS and entry.decoder in choices("decoder")
