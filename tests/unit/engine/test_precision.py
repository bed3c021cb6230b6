"""Which number format a device runs in."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
import yaml

from bottomup.cli import main
from bottomup.engine.distributed import ranks
from bottomup.engine.settings import Settings
from bottomup.plan.training import train_plan
from bottomup.precision import PRECISIONS, precision_on
from bottomup.workflows.train import in_one_precision
from tests.engine.runs import make_trainer
from tests.ranks import in_ranks

CPU = torch.device("cpu")
SMALL = ["data.size=64", "input_size=64", "engine.batch_size=2", "limit=4", "validation.limit=2", "workers=0", "device=cpu"]


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
    typed = ["experiment=demo/associative_embedding", *SMALL, "engine.steps=1", "engine.validate_every=1", f"output={tmp_path}"]
    assert main(["train", *typed]) == 0
    assert yaml.safe_load((tmp_path / "config.yaml").read_text())["engine"]["precision"] in PRECISIONS


@pytest.mark.parametrize("experiment", [True, False])
def test_a_run_goes_on_as_it_began_on_a_processor_of_other_instructions(
    experiment: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = ["experiment=demo/associative_embedding", *SMALL, "engine.validate_every=0"]
    for steps, instructions in ((1, True), (2, False)):
        for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
            monkeypatch.setattr(torch.cpu, name, lambda there=instructions: there)
        again = ["resume=true"] if steps > 1 else []
        said = typed if experiment or not again else []
        assert main(["train", *said, *again, f"engine.steps={steps}", f"output={tmp_path}"]) == 0
        assert yaml.safe_load((tmp_path / "config.yaml").read_text())["engine"]["precision"] == "bf16"


def _asked(output: Path, settings: str) -> None:
    rank = int(os.environ["RANK"])
    with ranks("cpu") as place, pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: settings[rank] == "1")
        patch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
        plan = train_plan(["experiment=demo/associative_embedding", "engine.precision=auto"])
        (output / str(rank)).write_text(in_one_precision(plan, output, place).precision)


@pytest.mark.parametrize(("instructions", "wanted"), [("11", "bf16"), ("10", "fp32")])
def test_ranks_train_in_bf16_where_all_have_instructions_for_it(instructions: str, wanted: str, tmp_path: Path) -> None:
    in_ranks(_asked, tmp_path, instructions, world=2)
    assert [(tmp_path / str(rank)).read_text() for rank in range(2)] == [wanted, wanted]
