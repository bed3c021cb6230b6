"""Optimisers, learning rates and averages of weights; all of torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel

from bottomup.errors import ConfigError
from bottomup.registry import unknown

_OPTIMISERS: dict[str, type[torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}
_SCHEDULES = ("constant", "step", "cosine", "plateau")
_AVERAGES = ("ema", "polyak")
_Tensors = list[Tensor] | tuple[Tensor, ...]


def make_optimiser(
    model: nn.Module,
    *,
    name: str = "adam",
    lr: float = 2e-4,
    groups: Mapping[str, Mapping[str, float]] | None = None,
    **options: Any,
) -> torch.optim.Optimizer:
    """An optimiser ("sgd", "adam", "adamw") over all trainable parameters.

    ``groups`` maps prefixes of parameter names to their own ``lr_scale`` and ``weight_decay``, e.g.
    ``{backbone: {lr_scale: 0.1}}``; the longest prefix counts. Other options go to the optimiser; torch's ``fused`` kernels,
    the default here, take a third of the time of its loops on a CPU too.
    """
    if name not in _OPTIMISERS:
        raise ConfigError(unknown("optimiser", name, list(_OPTIMISERS)))
    groups = groups or {}
    members: dict[str, list[nn.Parameter]] = {}
    for parameter_name, parameter in model.named_parameters():
        if parameter.requires_grad:
            prefixes = [prefix for prefix in groups if parameter_name.startswith(prefix)]
            members.setdefault(max(prefixes, key=len, default=""), []).append(parameter)
    for prefix in groups:
        if prefix not in members:
            raise ConfigError(f"engine.optimiser.groups: no trainable parameter's name starts with {prefix!r}")
    if not members:
        raise ConfigError("nothing to train: every part of the model is frozen")
    parameter_groups = [{"params": parameters, **_group(prefix, groups, lr)} for prefix, parameters in members.items()]
    try:
        return _OPTIMISERS[name](parameter_groups, lr=lr, **{"fused": True} | options)  # type: ignore[call-arg]  # each takes lr
    except (TypeError, ValueError) as error:
        raise ConfigError(f"engine.optimiser: {name} does not take {options} with lr {lr}: {error}") from error


def _group(prefix: str, groups: Mapping[str, Mapping[str, float]], lr: float) -> dict[str, float]:
    settings = dict(groups.get(prefix, {}))
    return {"lr": lr * settings.pop("lr_scale", 1.0), **settings}


@dataclass
class Factor:
    """The learning rate's factor at a step: plain fields, so that a checkpoint holds it.

    "constant"; "step": times ``gamma`` at each of ``milestones`` (steps); "cosine": to ``floor`` at ``steps``; "plateau":
    times ``gamma`` where ``patience`` validations brought nothing better. The first ``warmup`` steps rise linearly.
    """

    name: str = "constant"
    steps: int = 0
    warmup: int = 0
    milestones: list[int] = field(default_factory=list)
    gamma: float = 0.1
    floor: float = 0.0
    patience: int = 3
    scale: float = 1.0
    best: float = -math.inf
    waited: int = 0

    def __call__(self, step: int) -> float:
        """The factor of the step after ``step`` finished ones."""
        rise = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        if self.name == "step":
            return rise * float(self.gamma ** sum(step >= milestone for milestone in self.milestones))
        if self.name == "cosine":
            done = min(1.0, step / max(1, self.steps))
            return rise * (self.floor + (1 - self.floor) * (1 + math.cos(math.pi * done)) / 2)
        return rise * self.scale

    def observe(self, score: float) -> None:
        """Take note of a validation's score; only "plateau" reacts."""
        if self.name != "plateau":
            return
        self.waited = 0 if score > self.best else self.waited + 1
        self.best = max(self.best, score)
        if self.waited > self.patience:
            self.scale, self.waited = self.scale * self.gamma, 0


def make_schedule(
    optimiser: torch.optim.Optimizer, steps: int, *, name: str = "constant", **options: Any
) -> tuple[LambdaLR, Factor]:
    """A learning-rate schedule over ``steps`` steps; options as in Factor."""
    if name not in _SCHEDULES:
        raise ConfigError(unknown("schedule", name, list(_SCHEDULES)))
    known = ["warmup", "milestones", "gamma", "floor", "patience"]
    for option in options:
        if option not in known:
            raise ConfigError("engine.schedule: " + unknown("option", option, known))
    if isinstance(options.get("milestones"), Sequence):
        options["milestones"] = [int(milestone) for milestone in options["milestones"]]
    factor = Factor(name=name, steps=steps, **options)
    return LambdaLR(optimiser, factor), factor


def resume_optimiser(optimiser: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Take over what an optimiser has gathered (its moments); its options stay as they are configured now."""
    options = [{key: value for key, value in group.items() if key != "params"} for group in optimiser.param_groups]
    optimiser.load_state_dict(state)
    for group, configured in zip(optimiser.param_groups, options, strict=True):
        group.update(configured)


def resume_schedule(schedule: LambdaLR, factor: Factor, state: dict[str, Any]) -> None:
    """Take over how far a schedule has come and what its validations brought, and set its learning rates."""
    saved = state["lr_lambdas"][0]  # the one factor of all groups
    factor.scale, factor.best, factor.waited = saved["scale"], saved["best"], saved["waited"]
    schedule.load_state_dict(state | {"lr_lambdas": [None] * len(schedule.base_lrs), "base_lrs": schedule.base_lrs})
    set_rates(schedule, factor)


def set_rates(schedule: LambdaLR, factor: Factor) -> None:
    """Set the learning rates of the step that a schedule has come to, as the factor is now."""
    rates = [base * factor(schedule.last_epoch) for base in schedule.base_lrs]
    for group, rate in zip(schedule.optimizer.param_groups, rates, strict=True):
        group["lr"] = rate
    schedule._last_lr = rates


def make_average(model: nn.Module, *, name: str, decay: float = 0.999) -> AveragedModel:
    """An average of the weights and float buffers: "ema" with ``decay``, or "polyak", all with equal weights.

    The first of n averaged steps forget faster, by at most (1 + n) / (10 + n) as in TensorFlow: else a short run's average
    would be that of its first, untrained weights.
    """
    if name not in _AVERAGES:
        raise ConfigError(unknown("average", name, list(_AVERAGES)))
    if not 0 <= decay < 1:
        raise ConfigError(f"engine.average: decay should be from 0 to below 1, got {decay}")
    average = AveragedModel(model, multi_avg_fn=_warmed_up(decay) if name == "ema" else None, use_buffers=True)
    return average.requires_grad_(False)


def _warmed_up(decay: float) -> Callable[[_Tensors, _Tensors, Tensor | int], None]:
    @torch.no_grad()
    def update(averages: _Tensors, currents: _Tensors, count: Tensor | int) -> None:
        if not averages[0].is_floating_point():  # counters, such as batch norm's
            torch._foreach_copy_(averages, currents)
            return
        changes = torch._foreach_sub(currents, averages)
        torch._foreach_mul_(
            changes, (9 / (10 + torch.as_tensor(count))).clamp(min=1 - decay)
        )  # on the device: no step waits for it
        torch._foreach_add_(averages, changes)

    return update
