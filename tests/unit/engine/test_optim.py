"""Averages of weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bottomup.engine.optim import make_average
from bottomup.errors import ConfigError


def averages(steps: int, **options: object) -> torch.Tensor:
    """The share that each step's weights have in the average after ``steps`` steps."""
    model = nn.Linear(steps, 1, bias=False)
    average = make_average(model, **options)  # type: ignore[arg-type]
    for step in range(steps):
        with torch.no_grad():
            model.weight.copy_(nn.functional.one_hot(torch.tensor([step]), steps))
        average.update_parameters(model)
    shares: torch.Tensor = average.module.weight.detach()[0]
    return shares


@pytest.mark.parametrize("options", [{"name": "ema", "decay": 0.999}, {"name": "ema", "decay": 0.5}, {"name": "polyak"}])
def test_an_average_is_of_all_steps_together(options: dict[str, object]) -> None:
    shares = averages(50, **options)
    torch.testing.assert_close(shares.sum(), torch.tensor(1.0))
    assert (shares >= 0).all()


def test_polyak_counts_all_steps_equally() -> None:
    torch.testing.assert_close(averages(20, name="polyak"), torch.full((20,), 0.05))


def test_ema_forgets_by_its_decay() -> None:
    shares = averages(40, name="ema", decay=0.5)
    torch.testing.assert_close(shares[-10:-1] / shares[-9:], torch.full((9,), 0.5))


def test_ema_of_a_short_run_is_not_that_of_its_first_weights() -> None:
    shares = averages(100, name="ema", decay=0.9999)
    assert shares[:10].sum() < 1e-3 < 0.5 < shares[-20:].sum()


def test_batch_norm_counters_are_copied() -> None:
    model = nn.BatchNorm1d(2)
    average = make_average(model, name="ema")
    for _ in range(3):
        model(torch.randn(4, 2))
        average.update_parameters(model)
    assert int(average.module.num_batches_tracked) == 3


def test_a_decay_that_never_learns_is_refused() -> None:
    with pytest.raises(ConfigError, match="decay"):
        make_average(nn.Linear(1, 1), name="ema", decay=1.0)
