"""Checkpoints and TF.js files with changed fields or bytes are the network that was written, or one sentence."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bottomup.checkpoint import load_checkpoint, save_folder
from bottomup.importers.published import read_published
from bottomup.importers.tfjs import read_graph_model
from bottomup.loading import load
from tests.coco_folders import untrained
from tests.fuzz.outcomes import outcome, paths_of, put
from tests.fuzz.strategies import JUNK, changed, flipped
from tests.unit.importers.test_tfjs_files import DATA, MODEL, write

TENSORS = (
    lambda tensor: torch.full(tensor.shape, torch.nan),
    lambda tensor: tensor.new_zeros(3, 5),
    lambda tensor: tensor.new_zeros(1).expand(10**9),
    lambda tensor: tensor.to_sparse(),
    lambda tensor: tensor.to(torch.complex64),
    lambda tensor: tensor.to(torch.float8_e4m3fn),
    lambda tensor: tensor.to(torch.int64),
    lambda tensor: tensor.to("meta"),
)


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("networks")


@pytest.fixture(scope="session")
def checkpoint(place: Path) -> Path:
    return untrained(place / "whole")


@cache
def held(file: Path) -> tuple[bytes, Any]:
    return file.read_bytes(), torch.load(file, weights_only=True)


@given(data=st.data())
def test_changed_bytes_of_checkpoints(data: st.DataObject, checkpoint: Path, place: Path) -> None:
    content, before = held(checkpoint)
    file = place / "flipped.pt"
    file.write_bytes(data.draw(flipped(content)))
    read = outcome("checkpoints", lambda: load_checkpoint(file))
    if read is not None:
        assert read.config == before["config"]
        assert all(torch.equal(read.model[name], tensor) for name, tensor in before["model"].items())
    outcome("published", lambda: read_published(file))


@given(data=st.data())
def test_changed_bytes_of_model_folders(data: st.DataObject, checkpoint: Path, place: Path) -> None:
    whole = load_checkpoint(checkpoint)
    folder = place / "folder"
    save_folder(folder, whole)
    file = folder / data.draw(st.sampled_from(["config.json", "model.safetensors"]))
    file.write_bytes(data.draw(flipped(file.read_bytes())))
    read = outcome("model folders", lambda: load_checkpoint(folder))
    if read is not None:
        assert all(torch.equal(read.model[name], tensor) for name, tensor in whole.weights.items())


@given(data=st.data())
def test_changed_fields_of_checkpoints(data: st.DataObject, checkpoint: Path, place: Path) -> None:
    _, whole = held(checkpoint)
    part = data.draw(st.sampled_from(["config", "config", "config", "task", "all", "model"]))
    found = dict(whole)
    if part == "model":
        name = data.draw(st.sampled_from(list(whole["model"])))
        change = data.draw(st.sampled_from(TENSORS))
        found["model"] = {**whole["model"], name: change(whole["model"][name])}
    elif part == "all":
        name = data.draw(st.sampled_from([name for name in whole if name != "format"]))
        found[name] = data.draw(JUNK)
    else:
        found[part] = data.draw(changed(json.loads(json.dumps(whole[part]))))
    file = place / "changed.pt"
    torch.save(found, file)
    outcome("checkpoints", lambda: load(file))


@given(data=changed(MODEL), shards=flipped(DATA, most=1) | st.just(DATA))
def test_changed_fields_of_graph_models(data: Any, shards: bytes, place: Path) -> None:
    file = write(place, data, shards)
    read = outcome("TF.js", lambda: read_graph_model(file))
    if read is not None:
        assert sum(values.nbytes for values in read.tensors.values()) <= 16 * len(DATA)
        assert all(isinstance(values, np.ndarray) for values in read.tensors.values())


@given(
    names=st.lists(
        st.sampled_from(["first.bin", "second.bin", "../first.bin", "/etc/passwd", "C:\\a.bin"]), min_size=1, max_size=40
    )
)
def test_shards_of_any_names(names: list[str], place: Path) -> None:
    model = json.loads(json.dumps(MODEL))
    put(model, ("weightsManifest", 0, "paths"), names)
    assert paths_of(model)
    read = outcome("TF.js", lambda: read_graph_model(write(place, model)))
    assert (read is not None) == (sorted(names) == ["first.bin", "second.bin"])
