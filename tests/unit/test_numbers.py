"""Numbers that make no sense are refused before anything runs: not finite, of the wrong sign, or out of their range."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any, get_args, get_type_hints

import pytest

from bottomup.assembly import HeadSpec
from bottomup.backbones.mobilenet_v1 import MobilenetV1
from bottomup.contracts import BACKBONES, DECODERS, HEADS, NECKS, Level, Source
from bottomup.dataset import DATASETS
from bottomup.engine.optim import Average, Optimiser, Schedule
from bottomup.engine.settings import Settings
from bottomup.errors import ConfigError
from bottomup.geometry import Grid
from bottomup.options import annotations_of, check_options, check_value
from bottomup.plan.schema import Configuration
from bottomup.plan.training import train_plan
from bottomup.samples.augment import Augment
from bottomup.skeletons import COCO
from bottomup.types import Task

NOT_FINITE = (math.nan, math.inf, -math.inf)
PARTS = {Average, Optimiser, Schedule}
COMPONENTS = [Augment, Settings, Average, Optimiser, Schedule] + [
    registry[name] for registry in (BACKBONES, NECKS, HEADS, DECODERS, DATASETS) for name in registry.names()
]
BAD_HEADS: dict[str, dict[str, Sequence[object]]] = {
    "candidates": {
        "threshold": (-0.1, 1.0), "radius": (0.0, -1.0), "jitter": (-0.1,), "misses": (-0.1, 1.0), "false_peaks": (-0.1, 1.1),
        "count": (0,), "window": (2, 1),
    },
    "heatmap": {"sigma": (0.0, -8.0), "radius": (0.0, -32.0)},
    "short_offsets": {"radius": (0.0, -32.0)},
    "mid_offsets": {"radius": (0.0, -32.0), "refine": (-1, 0.5)},
    "long_offsets": {"radius": (0.0, -32.0), "refine": (-1, 0.5)},
    "prn": {
        "dropout": (-0.1, 1.0), "input_sigma": (0.0,), "input_mass": (0.0, -1.0), "margin": (-0.1,), "heatmap_sigma": (0.0,),
        "target_sigma": (0.0,), "match_iou": (0.0, 1.1),
    },
    "proposals": {"threshold": (-0.1, 1.0), "nms": (0.0, 1.1), "jitter": (-0.1,), "least_iou": (0.0, 1.1), "count": (0,)},
    "retinanet": {
        "size": (0.0,), "scales": ((), (0.0,), (1.0, -1.0)), "ratios": ((), (0.0,)), "positive": (0.0, 1.0, 0.3),
        "negative": (0.0, 1.0, 0.6), "gamma": (-1.0,), "alpha": (0.0, 1.0),
    },
    "tags": {"dim": (0, 1.5)},
}  # fmt: skip
HEAD_CASES = [(head, option, value) for head, options in BAD_HEADS.items() for option in options for value in options[option]]
BAD_OVERRIDES = (
    "engine.clip=-1", "engine.clip=0", "engine.clip=nan", "engine.steps=0", "engine.checkpoint_every=-1",
    "engine.optimiser.lr=inf", "engine.optimiser.lr=0", "engine.optimiser.lr=-1e-3", "engine.optimiser.lr=nan",
    "engine.optimiser.weight_decay=-1", "engine.optimiser.betas=[0.9,1.0]", "engine.optimiser.betas=[-0.1,0.9]",
    "engine.optimiser.eps=0", "engine.optimiser.maximize=true", "engine.optimiser.groups={backbone: {lr_scale: -1}}",
    "engine.optimiser.groups={backbone: {lr_scale: inf}}", "engine.optimiser={name: sgd, momentum: 1.0}",
    "engine.optimiser={name: sgd, momentum: -0.9}", "engine.optimiser={name: sgd, momentum: .nan}",
    "engine.schedule={name: step, gamma: -0.1}", "engine.schedule={name: step, gamma: 2.0}",
    "engine.schedule={name: step, milestones: [-5]}", "engine.schedule={name: cosine, floor: -0.1}",
    "engine.schedule={name: constant, warmup: -1}", "engine.average={name: ema, decay: 1.0}",
    "engine.average={name: ema, decay: -0.1}", "engine.average={name: ema, decay: nan}",
    "augment.rotate=nan", "augment.rotate=-1", "augment.rotate=inf", "augment.translate=-0.1", "augment.translate=nan",
    "augment.flip=1.1", "augment.flip=nan", "augment.scale=[0,1]", "augment.scale=[1.5,0.5]", "augment.scale=[0.5,inf]",
    "augment.scale=[1.0]", "augment.transforms=[{name: Rotate, limit: .nan}]",
    "heads.heatmap.weight=-1", "heads.heatmap.weight=nan", "heads.tags.weight={pull: -1, push: 1}",
    "heads.tags.weight={pull: inf, push: 1}", "heads.heatmap.sigma=nan", "heads.heatmap.sigma=0",
    "decoder.detection_threshold=nan", "decoder.tag_threshold=inf", "decoder.detection_threshold=-1",
    "data.height=[0,1]", "data.height=[nan,1]", "data.overlap=2", "data.inside=-1", "data.inside=nan", "data.size=0",
)  # fmt: skip


def make_source() -> Source:
    return Source({"C2": Level(4, Grid.centred(4))})


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda component: component.__name__)
def test_no_option_takes_a_number_that_is_not_finite(component: Callable[..., object]) -> None:
    for option, annotation in annotations_of(component).items():
        for value in NOT_FINITE:
            options = [] if {annotation, *get_args(annotation)} & PARTS else [{"a": value}]  # a part judges its own options
            for given in (value, [value, value], *options):
                with pytest.raises(ConfigError, match=option):
                    check_options("here", component, {option: given})
                with pytest.raises(ConfigError):
                    check_value("here", given, annotation)


@pytest.mark.parametrize("key", sorted(get_type_hints(Configuration)))
def test_no_key_of_a_command_does_either(key: str) -> None:
    annotation = get_type_hints(Configuration, include_extras=True)[key]
    for value in NOT_FINITE:
        with pytest.raises(ConfigError, match="here"):
            check_value("here", [value] if "Sequence" in str(annotation) else value, annotation)


def test_factors_of_scales_are_positive() -> None:
    for key in ("scales", "learning_rates"):
        annotation = get_type_hints(Configuration, include_extras=True)[key]
        for factor in (0, -1.0):
            with pytest.raises(ConfigError, match="above 0"):
                check_value(key, [factor], annotation)


@pytest.mark.parametrize(("head", "option", "value"), HEAD_CASES)
def test_heads_refuse_it_whoever_makes_them(head: str, option: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=rf"head {head}: .*{option}"):
        HEADS[head](make_source(), Task(COCO), **{option: value})  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("head", "option"), [(head, o) for head, options in BAD_HEADS.items() for o, hint in annotations_of(HEADS[head]).items()
                         if o in options and (hint is float or float in get_args(hint))]
)  # fmt: skip
def test_heads_refuse_what_is_not_finite_whoever_makes_them(head: str, option: str) -> None:
    bad = [math.nan, 1.0] if option in ("scales", "ratios") else math.nan
    with pytest.raises(ConfigError, match=option):
        HEADS[head](make_source(), Task(COCO), **{option: bad})  # type: ignore[call-arg]


def compose(override: str) -> None:
    """All that a training run composes of a configuration."""
    plan = train_plan(["backbone=hourglass_tiny", override])
    model, _ = plan.model.compose(Task(COCO))
    plan.engine.optimiser.over(model)
    check_options("augment", Augment, plan.augment)
    Augment((64, 64), (0, 0, 0), COCO.flip_order, **plan.augment)
    plan.data.dataset("train")


@pytest.mark.parametrize("override", BAD_OVERRIDES)
def test_a_configuration_with_it_is_refused_and_the_option_named(override: str) -> None:
    option = re.split(r"[.]", override.split("=")[0])[-1]
    with pytest.raises(ConfigError, match=option):
        compose(override)


def test_the_configuration_itself_is_not_refused() -> None:
    compose("engine.clip=1.0")


def test_python_users_hear_of_it_too() -> None:
    with pytest.raises(ConfigError, match="weight"):
        HeadSpec(HEADS["heatmap"], weight=-1.0)
    with pytest.raises(ConfigError, match="decay"):
        Average(name="ema", decay=math.nan)
    with pytest.raises(ConfigError, match="clip"):
        Settings(steps=1, batch_size=1, clip=-1.0)
    with pytest.raises(ConfigError, match="depth"):
        MobilenetV1(depth=0.0)
