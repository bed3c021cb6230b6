"""What the default method learns in seconds: which keypoints are whose."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from bottomup.cli import main

DRAWINGS = [
    "data=synthetic",
    "data.size=64",
    "data.images=4",
    "data.people=[2,2]",
    "data.keep=true",
    "input_size=64",
    "augment=none",
]
NETWORK = ["backbone=hourglass_tiny", "backbone.stacks=1", "backbone.batch_norm=true"]
TRAINING = ["engine=default", "engine.optimiser.lr=3e-3", "engine.steps=120", "engine.batch_size=4", "engine.validate_every=0"]
QUIET = ["engine.tensorboard=false", "device=cpu", "workers=0"]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """So small a network is slower on several, by far where they are busy."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize(("options", "apart"), [([], True), (["heads.tags.pull=sum"], False)], ids=["default", "as published"])
def test_the_default_method_tells_two_people_apart(options: list[str], apart: bool, tmp_path: Path) -> None:
    """With the sum over a person's keypoints, as published, tags stay equal meanwhile."""
    command = ["train", "method=associative_embedding", *DRAWINGS, *NETWORK, *TRAINING, *QUIET, *options]
    assert main([*command, f"output={tmp_path}/run"]) == 0
    last = json.loads((tmp_path / "run" / "log.jsonl").read_text().splitlines()[-1])
    assert (last["tags/between"] > 0.4 + last["tags/within"]) == apart, last
