"""Optimisers, schedules and averages of weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bottomup.engine.optim import Average, Factor, Optimiser, Schedule, resume_optimiser
from bottomup.errors import CheckpointError, ConfigError


def averages(steps: int, **options: object) -> torch.Tensor:
    """The share that each step's weights have in the average after ``steps`` steps."""
    model = nn.Linear(steps, 1, bias=False)
    average = Average(**options).over(model)  # type: ignore[arg-type]
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
    average = Average(name="ema").over(model)
    for _ in range(3):
        model(torch.randn(4, 2))
        average.update_parameters(model)
    assert int(average.module.num_batches_tracked) == 3


def test_a_decay_that_never_learns_is_refused() -> None:
    with pytest.raises(ConfigError, match="decay"):
        Average(name="ema", decay=1.0)


# ---- optimisers ----------------------------------------------------------------------------------------------------------


class Two(nn.Module):
    """Two parts of one weight each, at 1."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone, self.head = (nn.Linear(1, 1, bias=False) for _ in range(2))
        nn.init.ones_(self.backbone.weight)
        nn.init.ones_(self.head.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.backbone(x) + self.head(x)  # equal gradients


def stepped(gradient: float, **options: object) -> tuple[float, float]:
    """The weights of both parts after one step."""
    model = Two()
    optimiser = Optimiser(**options).over(model)  # type: ignore[arg-type]
    (gradient * model(torch.ones(1, 1))).sum().backward()
    optimiser.step()
    return model.backbone.weight.item(), model.head.weight.item()


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_a_groups_rate_is_a_share_of_the_rate(name: str) -> None:
    options = {"name": name, "lr": 0.5, "weight_decay": 0.0}
    backbone, head = stepped(2.0, groups={"backbone": {"lr_scale": 0.1}}, **options)
    assert 1 - backbone == pytest.approx(0.1 * (1 - head)) and head < 1


def test_the_longest_prefix_counts_and_a_group_has_options_of_its_own() -> None:
    groups = {"": {"lr_scale": 0.0}, "backbone": {"weight_decay": 1.0}}
    backbone, head = stepped(1.0, name="sgd", lr=0.1, groups=groups)
    assert (backbone, head) == (pytest.approx(1 - 0.1 * (1 + 1)), 1.0)


def test_adamw_shrinks_weights_whatever_their_gradients() -> None:
    """By rate x decay, where Adam hides the decay in its moments."""
    for gradient in (0.0, 3.0):
        decayed = stepped(gradient, name="adamw", lr=0.1, weight_decay=0.5)[1]
        plain = stepped(gradient, name="adamw", lr=0.1, weight_decay=0.0)[1]
        assert plain - decayed == pytest.approx(0.1 * 0.5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"groups": {"backbone": {"lr_scal": 0.1}}}, "did you mean 'lr_scale'"),
        ({"groups": {"bacbone": {"lr_scale": 0.1}}}, "starts with 'bacbone'"),
        ({"groups": {"backbone": {"weight_decay": "little"}}}, "groups.backbone.weight_decay should be a number"),
        ({"name": "adamm"}, "did you mean 'adam'"),
        ({"weight_deca": 0.1}, "did you mean 'weight_decay'"),
        ({"lr": -1.0}, "lr should be a number above 0"),
    ],
)
def test_what_an_optimiser_does_not_know_is_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Optimiser(**options).over(Two())  # type: ignore[arg-type]


def gathered(**options: object) -> tuple[torch.optim.Optimizer, dict[str, object]]:
    """An optimiser after one step, with its state."""
    model = Two()
    optimiser = Optimiser(**options).over(model)  # type: ignore[arg-type]
    model(torch.ones(1, 1)).sum().backward()
    optimiser.step()
    return optimiser, optimiser.state_dict()


@pytest.mark.parametrize(
    ("before", "after", "fits"),
    [
        ({"name": "adam"}, {"name": "adam", "lr": 1.0, "betas": (0.8, 0.9)}, True),
        ({"name": "adam"}, {"name": "adamw"}, True),
        ({"name": "adam", "amsgrad": True}, {"name": "adam"}, True),
        ({"name": "sgd"}, {"name": "sgd", "momentum": 0.9}, True),
        ({"name": "sgd"}, {"name": "adam"}, True),  # which then starts anew
        ({"name": "adam"}, {"name": "adam", "amsgrad": True}, False),
        ({"name": "sgd", "momentum": 0.9}, {"name": "adam"}, False),
        ({"name": "adam"}, {"name": "sgd", "momentum": 0.9}, False),
        ({"name": "adam"}, {"name": "adam", "groups": {"backbone": {"lr_scale": 0.1}}}, False),
    ],
)
def test_a_state_is_taken_over_where_the_optimiser_can_go_on_with_it(before: dict, after: dict, fits: bool) -> None:  # type: ignore[type-arg]
    _, state = gathered(**before)
    optimiser, _ = gathered(**after)
    if fits:
        resume_optimiser(optimiser, state)
        optimiser.step()
        return
    with pytest.raises(CheckpointError, match=r"must be as before\. To start anew"):
        resume_optimiser(optimiser, state)


# ---- schedules -----------------------------------------------------------------------------------------------------------


def test_steps_lower_the_rate_at_their_milestones() -> None:
    optimiser = Optimiser(name="sgd", lr=1.0, groups={"backbone": {"lr_scale": 0.5}}).over(Two())
    schedule, _ = Schedule(name="step", milestones=[2, 5], gamma=0.1).over(optimiser, 8)
    rates = []
    for _ in range(7):
        rates.append([group["lr"] for group in optimiser.param_groups])
        optimiser.step()
        schedule.step()
    torch.testing.assert_close(torch.tensor([head for _, head in rates]), torch.tensor([1, 1, 0.1, 0.1, 0.1, 0.01, 0.01]))
    assert all(backbone == pytest.approx(0.5 * head) for backbone, head in rates)


def test_a_warm_up_rises_evenly_to_the_rate() -> None:
    factor = Factor(name="step", warmup=4, milestones=[6])
    torch.testing.assert_close(
        torch.tensor([factor(step) for step in range(8)]), torch.tensor([0.25, 0.5, 0.75, 1, 1, 1, 0.1, 0.1])
    )


def test_a_plateau_lowers_the_rate_where_patience_ends() -> None:
    factor = Factor(name="plateau", patience=1, gamma=0.5)
    scales = []
    for score in (0.1, 0.3, 0.2, 0.3, 0.2, 0.4, float("nan")):
        factor.observe(score)
        scales.append(factor(0))
    assert scales == [1, 1, 1, 0.5, 0.5, 0.5, 0.5]
