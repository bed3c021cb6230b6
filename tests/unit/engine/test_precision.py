"""Which number format a device runs in."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml

from bottomup.cli import main
from bottomup.engine.settings import Settings
from bottomup.precision import PRECISIONS, precision_on
from tests.engine.runs import make_trainer

CPU = torch.device("cpu")


@pytest.mark.parametrize("instructions", ["_is_avx512_bf16_supported", "_is_amx_tile_supported", None])
def test_auto_is_bf16_where_there_are_instructions_for_it(instructions: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda there=name == instructions: there)
    assert precision_on(CPU, "auto") == ("bf16" if instructions else "fp32")


@pytest.mark.parametrize("asked", PRECISIONS)
def test_what_is_asked_for_by_name_is_taken(asked: str) -> None:
    settings = Settings.of({"steps": 1, "batch_size": 1, "precision": asked})
    assert settings.on(CPU) == settings


def test_a_trainer_says_what_auto_has_become(tmp_path: Path) -> None:
    assert make_trainer(tmp_path, steps=1, precision="auto").settings.precision in PRECISIONS


def test_a_run_is_trained_judged_and_goes_on_in_what_auto_has_become(tmp_path: Path) -> None:
    small = ["data.size=64", "input_size=64", "engine.batch_size=2", "limit=4", "validation.limit=2", "workers=0", "device=cpu"]
    typed = ["experiment=demo/associative_embedding", *small, "engine.steps=1", "engine.validate_every=1", f"output={tmp_path}"]
    assert main(["train", *typed]) == 0
    assert yaml.safe_load((tmp_path / "config.yaml").read_text())["engine"]["precision"] in PRECISIONS
