"""The trainer's own steps on a GPU: none waits for it but those that are logged."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from bottomup.engine.distributed import Ranks
from bottomup.engine.optim import Average
from bottomup.engine.settings import Settings
from bottomup.engine.trainer import Trainer
from tests.gpu_path.cells import batch_for, cells, composed
from tests.gpu_path.conftest import Card
from tests.gpu_path.fake_card import FakeCard

NEVER_WAITS = {"clip": 1.0, "average": Average(name="ema"), "precision": "bf16", "tensorboard": False, "log_every": 0}


def make_trainer(card: Card, cell: tuple[str, ...], folder: Path, ranks: Ranks | None = None, **options: Any) -> Trainer:
    """A trainer on the card, in its second step, which is not logged as the first one is."""
    model, _, given = composed(cell)
    settings = Settings(steps=100, batch_size=2, **(NEVER_WAITS | options))
    batch, place = batch_for(model), ranks or Ranks(device=card.device)
    trainer = Trainer(copy.deepcopy(model), lambda _: repeat(batch), settings, folder, given=given, ranks=place)
    card.adopt(trainer.model)
    trainer.step = 1
    return trainer


def convolved(model: nn.Module) -> Iterator[tuple[str, Any]]:
    """The names of convolutions, each with a list that its outputs come into."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            found: list[torch.Tensor] = []
            module.register_forward_hook(lambda *call, found=found: found.append(call[2]))
            yield name, found


@pytest.mark.parametrize("cell", cells())
def test_a_step_waits_for_nobody(cell: tuple[str, ...], card: Card, tmp_path: Path) -> None:
    """Forward, targets, losses, backward, clipping, optimiser and average, in bf16; channels stay last in every convolution."""
    trainer = make_trainer(card, cell, tmp_path)
    outputs = dict(convolved(trainer.model))
    assert trainer.average is not None
    trainer.average.n_averaged.fill_(1)
    with card.quiet():
        trainer._advance(trainer.batches(0), None)
    assert int(trainer.average.n_averaged) == 2
    maps = {name: found[-1] for name, found in outputs.items() if found}
    assert maps and all(found.dtype == torch.bfloat16 and found.device == card.device for found in maps.values())
    wide = {name: found for name, found in maps.items() if min(found.shape[1:]) > 1}
    assert not [name for name, found in wide.items() if not found.is_contiguous(memory_format=torch.channels_last)]


def test_a_logged_step_waits_for_its_figures_alone(card: Card, tmp_path: Path) -> None:
    trainer = make_trainer(card, ("method=associative_embedding", "backbone=hourglass_tiny"), tmp_path, log_every=2)
    trainer._advance(trainer.batches(0), None)
    if isinstance(card, FakeCard):
        places = [wait.split(":")[0] for wait in card.waits if "__init__" not in wait]
        assert places[-4:] == ["engine/trainer.py"] * 2 + ["engine/interruption.py", "engine/trainer.py"]


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_no_optimiser_waits_in_any_precision(precision: str, name: str, card: Card, tmp_path: Path) -> None:
    options = {"precision": precision, "optimiser": {"name": name}, "accumulate": 2, "average": Average(name="polyak")}
    settings = Settings.of({"steps": 1, "batch_size": 2} | options | {"average": {"name": "polyak"}})
    trainer = make_trainer(
        card, ("method=single_person", "backbone=hourglass_tiny"), tmp_path, precision=precision,
        optimiser=settings.optimiser, accumulate=2, average=settings.average,
    )  # fmt: skip
    with card.quiet():
        trainer._advance(trainer.batches(0), None)
