"""Two ranks, accumulation and one process take the same steps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bottomup.engine.distributed import ranks
from bottomup.errors import ConfigError
from tests.engine.runs import IMAGENET, make_trainer
from tests.ranks import in_ranks

# Untrained behind frozen statistics MobileNetV2 is steep: only small steps keep rounding errors small.
RUNS = {
    "hourglass": {"steps": 10, "optimiser": {"name": "adam", "lr": 1e-3}},
    "untrained": {"steps": 8, "optimiser": {"name": "adam", "lr": 1e-5}},
    "imagenet": {"steps": 8, "optimiser": {"name": "sgd", "lr": 1e-5}},  # Adam turns rounding errors of small gradients into steps
}
PLAIN = {"batch_size": 8, "validate_every": 0, "log_every": 1, "schedule": {"name": "constant"}, "clip": None}


def losses(folder: Path) -> list[float]:
    entries = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [entry["loss"] for entry in entries if "loss" in entry]


def train_in_a_rank(folder: str, backbone: str) -> None:
    with ranks("cpu") as place:
        make_trainer(Path(folder), place, backbone=backbone, accumulate=1, **PLAIN, **RUNS[backbone]).fit()


@pytest.mark.parametrize("backbone", ["hourglass", "imagenet" if IMAGENET.is_file() else "untrained"])
def test_ranks_and_accumulation_give_the_losses_of_one_process(backbone: str, tmp_path: Path) -> None:
    make_trainer(tmp_path / "one", backbone=backbone, accumulate=1, **PLAIN, **RUNS[backbone]).fit()
    make_trainer(tmp_path / "accumulated", backbone=backbone, accumulate=2, **PLAIN, **RUNS[backbone]).fit()
    ended = in_ranks(train_in_a_rank, str(tmp_path / "ranks"), backbone)
    assert [one.code for one in ended] == [0, 0], ended
    one = losses(tmp_path / "one")
    assert len(one) == RUNS[backbone]["steps"] and one[-1] < one[0]
    for other in ("accumulated", "ranks"):
        assert max(abs(a - b) / max(1.0, a) for a, b in zip(one, losses(tmp_path / other), strict=True)) < 1e-4, other


def test_a_batch_that_does_not_divide_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not divide"):
        make_trainer(tmp_path, batch_size=5, accumulate=2)
