"""Optimisers, learning rates and averages of weights; all of torch."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal, Self

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel

from bottomup.errors import CheckpointError, ConfigError
from bottomup.options import BelowOne, Fraction, FromZero, Natural, Positive, Share, check_values, checked, made, resolved

LEARNING_RATE = 2e-4  # where none is said

OptimiserName = Literal["sgd", "adam", "adamw"]

_OPTIMISERS: dict[OptimiserName, type[torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}
_BOUNDED: dict[str, Any] = {  # of torch's options, which torch bounds some of
    "momentum": BelowOne,
    "dampening": Fraction,
    "weight_decay": FromZero,
    "betas": tuple[BelowOne, BelowOne],
    "eps": Positive,
}
_NOT_OFFERED = ("params", "lr", "maximize")  # the last would turn the gradient round


@checked("engine.optimiser")
@dataclass(frozen=True, init=False)
class Optimiser:
    """An optimiser of torch over all trainable parameters.

    ``name`` is torch's, ``lr`` the learning rate, which a schedule multiplies.
    ``groups`` maps prefixes of parameter names to their own ``lr_scale``, ``weight_decay`` or other options of the optimiser,
    such as ``{backbone: {lr_scale: 0.1}}``; the longest prefix counts. Other ``options`` go to the optimiser; torch's ``fused``
    kernels, the default here, take a third of the time of its loops on a CPU too. ConfigError for what does not fit.
    """

    name: OptimiserName
    lr: float
    groups: Mapping[str, Mapping[str, object]]
    options: Mapping[str, object]

    def __init__(
        self,
        *,
        name: OptimiserName = "adam",
        lr: Positive = LEARNING_RATE,
        groups: Mapping[str, Mapping[str, object]] | None = None,
        **options: Any,
    ) -> None:
        known = _options_of(_OPTIMISERS[name])
        check_values("engine.optimiser", options, known, extra=("name", "lr", "groups"))
        for prefix, own in (groups or {}).items():
            check_values(f"engine.optimiser.groups.{prefix}", own, {"lr_scale": FromZero} | known)
        for field_name, value in {"name": name, "lr": lr, "groups": groups or {}, "options": options}.items():
            object.__setattr__(self, field_name, value)

    def plain(self) -> dict[str, object]:
        """As plain data."""
        groups: dict[str, object] = {"groups": dict(self.groups)} if self.groups else {}
        return {"name": self.name, "lr": self.lr, **groups, **self.options}

    def at_rate(self, lr: float) -> Self:
        """The same at another learning rate."""
        return made(type(self), options=self.plain() | {"lr": lr})

    def over(self, model: nn.Module) -> torch.optim.Optimizer:
        """The optimiser of a model; ConfigError where nothing is trained, or nothing of what a group names."""
        members: dict[str, list[nn.Parameter]] = {}
        for parameter_name, parameter in model.named_parameters():
            if parameter.requires_grad:
                prefixes = [prefix for prefix in self.groups if parameter_name.startswith(prefix)]
                members.setdefault(max(prefixes, key=len, default=""), []).append(parameter)
        for prefix in self.groups:
            if prefix not in members:
                raise ConfigError(f"engine.optimiser.groups: no trainable parameter's name starts with {prefix!r}")
        if not members:
            raise ConfigError("nothing to train: every part of the model is frozen")
        groups = [{"params": parameters, **_group(prefix, self.groups, self.lr)} for prefix, parameters in members.items()]
        options: dict[str, Any] = {"fused": True, **self.options}
        try:
            return _OPTIMISERS[self.name](groups, lr=self.lr, **options)  # type: ignore[call-arg]  # each takes lr
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"engine.optimiser: {self.name} does not take {dict(self.options)} with lr {self.lr}: {error}"
            ) from error


def optimiser_options(name: str) -> set[str] | None:
    """What ``engine.optimiser`` may hold where ``name`` is its optimiser; None where there is no such."""
    found = [_options_of(optimiser) for known, optimiser in _OPTIMISERS.items() if known == name]
    return {"name", "lr", "groups", *found[0]} if found else None


def _options_of(optimiser: type[torch.optim.Optimizer]) -> dict[str, Any]:
    """The options of one of torch's optimisers, all but the rate, with their annotations."""
    hints = resolved(optimiser.__init__)
    names = list(inspect.signature(optimiser).parameters)
    return {name: _BOUNDED.get(name, hints.get(name, Any)) for name in names if name not in _NOT_OFFERED}


def _group(prefix: str, groups: Mapping[str, Mapping[str, object]], lr: float) -> dict[str, Any]:
    own = dict(groups.get(prefix, {}))
    scale = own.pop("lr_scale", 1.0)
    assert isinstance(scale, int | float)  # checked
    return {"lr": lr * scale, **own}


@dataclass
class Factor:
    """The learning rate's factor at a step, as ``Schedule`` says: plain fields, so that a checkpoint holds it."""

    name: str = "constant"
    steps: int = 0
    warmup: int = 0
    milestones: list[int] = field(default_factory=list)
    gamma: float = 0.1
    floor: float = 0.0
    patience: int = 3
    scale: float = 1.0
    best: float = -math.inf
    waited: int = 0  # validations since the best one, or since the factor fell
    stale: int = 0  # validations since the best one

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
        """Take note of a validation's score; the factor of "plateau" alone follows from it."""
        better = score > self.best
        self.best = max(self.best, score)
        self.stale, self.waited = (0, 0) if better else (self.stale + 1, self.waited + 1)
        if self.name == "plateau" and self.waited > self.patience:
            self.scale, self.waited = self.scale * self.gamma, 0

    def forget(self) -> None:
        """Compare no more with the scores so far; what they brought stays."""
        self.best, self.waited, self.stale = -math.inf, 0, 0


@checked("engine.schedule")
@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How the learning rate goes over a run, by factors on it.

    ``name`` "constant" changes nothing; "step" multiplies by ``gamma`` at each of the ``milestones``; "cosine" comes down to
    ``floor`` at the end; "plateau" multiplies by ``gamma`` where ``patience`` validations brought nothing better. ``warmup`` is how
    many of the first steps rise linearly.
    """

    name: Literal["constant", "step", "cosine", "plateau"] = "constant"
    warmup: Annotated[Natural, "steps"] = 0
    milestones: Annotated[Sequence[Natural], "steps"] = ()
    gamma: Share = 0.1
    floor: Fraction = 0.0
    patience: Annotated[Natural, "validations"] = 3

    def plain(self) -> dict[str, object]:
        """As plain data."""
        return asdict(self) | {"milestones": list(self.milestones)}

    def over(self, optimiser: torch.optim.Optimizer, steps: int) -> tuple[LambdaLR, Factor]:
        """The schedule of a run of so many steps, and its factor, which validations tell their scores."""
        milestones = [int(milestone) for milestone in self.milestones]
        factor = Factor(self.name, steps, self.warmup, milestones, self.gamma, self.floor, self.patience)
        return LambdaLR(optimiser, factor), factor


def resume_optimiser(optimiser: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Take over what an optimiser has gathered (its moments); its options stay as they are configured now.

    CheckpointError where what it gathered is of other parameters or of no use to this optimiser.
    """
    _check_gathered(optimiser, state)
    options = [{key: value for key, value in group.items() if key != "params"} for group in optimiser.param_groups]
    optimiser.load_state_dict(state)
    for group, configured in zip(optimiser.param_groups, options, strict=True):
        group.update(configured)


def _check_gathered(optimiser: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Refuse a state that ``optimiser`` could not go on with."""
    numbered = [number for group in state["param_groups"] for number in group["params"]]
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    gathered = [(state["state"].get(number, {}), parameter) for number, parameter in zip(numbered, parameters, strict=False)]
    sizes = [[len(group["params"]) for group in groups] for groups in (state["param_groups"], optimiser.param_groups)]
    moved = any(isinstance(t, Tensor) and t.dim() and t.shape != p.shape for entries, p in gathered for t in entries.values())
    if sizes[0] != sizes[1] or moved:
        raise CheckpointError(
            "the interrupted run trained other parameters, or in other groups; to resume, engine.optimiser.groups, trained, given "
            "and freeze must be as before. To start anew from its weights, use init= and another output="
        )
    needed = _gathers(optimiser)
    if any(entries and not needed <= entries.keys() for entries, _ in gathered):
        raise CheckpointError(
            f"what the interrupted run's optimiser gathered is of no use to this {type(optimiser).__name__}; to resume, name and "
            "amsgrad of engine.optimiser must be as before. To start anew from its weights, use init= and another output="
        )


def _gathers(optimiser: torch.optim.Optimizer) -> set[str]:
    """What an optimiser remembers of a parameter, as it is configured: a step of a copy tells."""
    parameter = nn.Parameter(torch.zeros_like(optimiser.param_groups[0]["params"][0]))
    parameter.grad = torch.zeros_like(parameter)
    copy = type(optimiser)([parameter])  # type: ignore[call-arg]  # all that are offered have defaults
    copy.param_groups[0].update({key: value for key, value in optimiser.param_groups[0].items() if key != "params"})
    copy.step()
    return {key for key, value in copy.state[parameter].items() if value is not None}


def resume_schedule(schedule: LambdaLR, factor: Factor, state: dict[str, Any]) -> None:
    """Take over how far a schedule has come and what its validations brought, and set its learning rates."""
    saved = state["lr_lambdas"][0]  # the one factor of all groups
    factor.scale, factor.best, factor.waited = saved["scale"], saved["best"], saved["waited"]
    factor.stale = saved.get("stale", saved["waited"])  # earlier versions did not write it
    schedule.load_state_dict(state | {"lr_lambdas": [None] * len(schedule.base_lrs), "base_lrs": schedule.base_lrs})
    set_rates(schedule, factor)


def set_rates(schedule: LambdaLR, factor: Factor) -> None:
    """Set the learning rates of the step that a schedule has come to, as the factor is now."""
    rates = [base * factor(schedule.last_epoch) for base in schedule.base_lrs]
    for group, rate in zip(schedule.optimizer.param_groups, rates, strict=True):
        group["lr"] = rate
    schedule._last_lr = rates


@checked("engine.average")
@dataclass(frozen=True, kw_only=True)
class Average:
    """An average of the weights and float buffers.

    ``name`` "ema" forgets by ``decay`` a step, "polyak" weighs all alike.

    The first of n averaged steps forget faster, by at most (1 + n) / (10 + n) as in TensorFlow: else a short run's average
    would be that of its first, untrained weights.
    """

    name: Literal["ema", "polyak"]
    decay: BelowOne = 0.999

    def plain(self) -> dict[str, object]:
        """As plain data."""
        return asdict(self)

    def over(self, model: nn.Module) -> AveragedModel:
        """The average of a model's weights, of which no step is taken yet."""
        return Averaged(model, self).requires_grad_(False)

    def share(self, count: int) -> float:
        """How far the average of ``count`` steps moves towards the next one's weights."""
        return max(9 / (10 + count), 1 - self.decay) if self.name == "ema" else 1 / (count + 1)


class Averaged(AveragedModel):
    """torch's average of a model with its buffers, whose number of steps the host counts: for torch's the device is waited for."""

    def __init__(self, model: nn.Module, average: Average) -> None:
        super().__init__(model, use_buffers=True)
        self.average = average

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Take another step's weights into the average; those of the first, and counters such as batch norm's, as they are."""
        count = int(self.n_averaged)  # a tensor of the host
        own, others = ([*part.parameters(), *part.buffers()] for part in (self.module, model))
        mixed = [count > 0 and tensor.is_floating_point() for tensor in own]
        averages, currents, kept, copied = (
            [tensor for tensor, mixes in zip(part, mixed, strict=True) if mixes == wanted]
            for wanted in (True, False)
            for part in (own, others)
        )
        if averages:
            torch._foreach_lerp_(averages, currents, self.average.share(count))
        if kept:
            torch._foreach_copy_(kept, copied)
        self.n_averaged += 1
