"""What ``engine`` offers beyond the steps themselves: compilation, precisions, weights of loss terms, ranks that wait."""

from __future__ import annotations

import datetime
import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from bottomup.checkpoint import load_checkpoint
from bottomup.engine import distributed
from bottomup.errors import ConfigError
from tests.engine.runs import make_trainer

PLAIN = {"steps": 3, "validate_every": 0, "log_every": 1, "accumulate": 1, "schedule": {"name": "constant"}}


def losses(folder: Path, **options: object) -> list[float]:
    """The losses of a short run."""
    make_trainer(folder, **(PLAIN | options)).fit()
    entries = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [entry["loss"] for entry in entries if "loss" in entry]


def test_a_compiled_run_takes_the_same_steps_and_writes_the_same_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Any] = []
    torch.compiler.reset()  # dynamo counts what it made of the forward over all tests of a process, and gives up at eight

    def traced(graph: torch.fx.GraphModule, _: object) -> Any:  # dynamo alone: building kernels takes a minute
        calls.append(graph)
        return graph.forward

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=traced))
    eager, compiled = losses(tmp_path / "eager"), losses(tmp_path / "compiled", compile=True)
    assert calls and compiled == pytest.approx(eager, rel=1e-5)
    one, other = (load_checkpoint(tmp_path / name / "last.pt").model for name in ("eager", "compiled"))
    assert one.keys() == other.keys()


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_lower_precisions_train_alike(precision: str, tmp_path: Path) -> None:
    full, lower = losses(tmp_path / "full"), losses(tmp_path / precision, precision=precision)
    assert lower == pytest.approx(full, rel=0.02) and lower != full


@pytest.mark.parametrize(
    ("weight", "words"),
    [({"pull": 1.0, "push": 1.0, "psh": 5.0}, "heads.tags.weight: .* did you mean 'push'"), ({"pull": 1.0}, "nothing for push")],
)
def test_weights_name_every_loss_term_and_no_other(weight: dict[str, float], words: str, tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, **PLAIN)
    trainer.model.stack("tags").weight = weight
    with pytest.raises(ConfigError, match=words):
        trainer.fit()


def test_ranks_wait_hours_for_the_one_that_validates(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(distributed.dist, "init_process_group", lambda backend, **options: asked.update(options))
    monkeypatch.setattr(distributed.dist, "get_rank", lambda: 1)
    monkeypatch.setattr(distributed.dist, "barrier", lambda: None)
    monkeypatch.setattr(distributed.dist, "destroy_process_group", lambda: None)
    with distributed.ranks("cpu") as place:
        assert (place.rank, place.world) == (1, 2)
    assert asked["timeout"] >= datetime.timedelta(hours=6)
