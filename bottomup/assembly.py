"""Components become a model: sources, stages and feedback are wired, and everything that does not fit is refused here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal

from torch import nn

from bottomup import needs
from bottomup.contracts import HEADS, Backbone, Decoder, FeatureSpec, Head, Neck, Source, Staged, requirements
from bottomup.errors import ConfigError, unknown
from bottomup.geometry import Grid
from bottomup.head_stack import HeadStack
from bottomup.model import BACKBONE, PoseModel
from bottomup.options import FromZero, Interval, check_value
from bottomup.types import Task


@dataclass(frozen=True)
class HeadSpec:
    """How one head is built and trained.

    ``build`` is a Head class, or a ``functools.partial`` of one that holds its options. ``neck`` names the neck it reads
    (None: ``default_neck``, "backbone": the backbone itself), ``level`` one level, a tuple of them, or "all" (None: the
    finest, among equals the deepest). ``share_stages`` uses one set of weights for all stages. ``last_stage`` is the last of those
    that it is supervised on, counted from the end; what it gives there is its ``prediction``, or the "mean" of all stages on the
    grid of the last (``Head.merge``).
    """

    build: Callable[[Source, Task], Head]
    neck: str | None = None
    level: str | tuple[str, ...] | None = None
    weight: FromZero | Mapping[str, FromZero] = 1.0
    stage_reduction: Literal["mean", "sum"] = "mean"
    share_stages: bool = False
    last_stage: Annotated[int, Interval(high=-1)] = -1
    prediction: Literal["last", "mean"] = "last"

    def __post_init__(self) -> None:
        check_value("a head's weight", self.weight, FromZero | Mapping[str, FromZero])
        check_value("a head's last_stage", self.last_stage, Annotated[int, Interval(high=-1)])

    @property
    def reads_features(self) -> bool:
        """Whether the head class reads features."""
        head = self.build.func if isinstance(self.build, partial) else self.build
        return bool(getattr(head, "reads_features", True))


def assemble(
    backbone: Backbone | None,
    task: Task,
    heads: Mapping[str, HeadSpec | type[Head]],
    *,
    necks: Mapping[str, Callable[[list[FeatureSpec]], Neck]] | None = None,
    default_neck: str | None = None,
    decoder: Decoder | None = None,
    trained: Iterable[str] | None = None,
    given: Iterable[str] = (),
    freeze: Iterable[str] = (),
) -> PoseModel:
    """Build a PoseModel from constructors.

    ``trained`` names the heads to train (default: all that define a loss and have weights); ``given`` those whose outputs are
    given (teacher forcing): they are not trained. ``freeze`` names parts, or modules within them ("backbone.stem"), that stay as
    they are. Raises ConfigError, before any forward, for whatever does not fit.
    """
    specs = {name: spec if isinstance(spec, HeadSpec) else HeadSpec(spec) for name, spec in heads.items()}
    if not specs:
        raise ConfigError("a model needs at least one head")
    _check_names("head", specs)
    _check_names("neck", necks or {})
    given = tuple(given)
    built_necks = _build_necks(backbone, necks or {}, specs, default_neck)
    stages = {name: neck.stages for name, neck in built_necks.items()}
    if backbone is not None:
        stages[BACKBONE] = backbone.stages
    stacks = _build_heads(specs, task, stages, default_neck, given)
    for name, neck in built_necks.items():
        neck.keep({level for stack in stacks.values() if stack.reads == name for levels in stack.levels for level in levels})
    _check_last_stages(stacks, built_necks)
    parts: dict[str, Staged] = built_necks | ({BACKBONE: backbone} if backbone is not None else {})
    fed_back = [name for part, staged in parts.items() for name in _connect(part, staged, stacks)]
    decoded = _decoded(decoder, stacks) if decoder is not None else None
    model = PoseModel(task, backbone, built_necks, stacks, fed_back, _trained(stacks, trained, given), decoded)
    _check_frozen(model, freeze)
    model.freeze(freeze, model.keys_of(given))
    return model


def _check_names(kind: str, names: Iterable[str]) -> None:
    """ConfigError for a name that cannot be one of a module, whose tensors are found by it."""
    for name in names:
        if not name.isidentifier() or hasattr(nn.ModuleDict, name):
            raise ConfigError(f"a {kind} cannot be called {name!r}; give it a word of letters, digits and _, such as {kind}_2")


def _build_necks(
    backbone: Backbone | None,
    necks: Mapping[str, Callable[[list[FeatureSpec]], Neck]],
    specs: Mapping[str, HeadSpec],
    default_neck: str | None,
) -> dict[str, Neck]:
    """The necks that some head reads."""
    read = {spec.neck or default_neck for spec in specs.values() if spec.reads_features} - {None, BACKBONE}
    for name in sorted(str(neck) for neck in read):
        if name not in necks:
            raise ConfigError(unknown("neck of this model", name, [BACKBONE, *sorted(necks)]))
    if backbone is None:
        return {}
    return {name: build(backbone.stages) for name, build in necks.items() if name in read}


def _build_heads(
    specs: Mapping[str, HeadSpec],
    task: Task,
    stages: Mapping[str, list[FeatureSpec]],
    default_neck: str | None,
    given: Iterable[str],
) -> dict[str, HeadStack]:
    """All heads, each checked against those before it."""
    stacks = dict[str, HeadStack]()
    for name, spec in specs.items():
        stack = _build_head(name, spec, task, stages, default_neck, stacks)
        _check_provided(name, stack, stacks)
        if name not in given:  # what is given is not made from anything
            _check_required(name, stack, stacks)
        stacks[name] = stack
    return stacks


def _build_head(
    name: str,
    spec: HeadSpec,
    task: Task,
    stages: Mapping[str, list[FeatureSpec]],
    default_neck: str | None,
    before: Mapping[str, HeadStack],
) -> HeadStack:
    """One head on every stage of what it reads."""
    if spec.reads_features:
        reads = spec.neck or default_neck or BACKBONE
        if reads not in stages:
            raise ConfigError(f"head {name!r} reads features, but the model has no backbone; give its outputs instead")
        specs = [_choose_levels(name, spec.level, stage) for stage in stages[reads]]
    else:
        reads, specs = None, [FeatureSpec()]
    if -spec.last_stage > len(specs):
        raise ConfigError(
            f"heads.{name}.last_stage should be from {-len(specs)} to -1, as {reads or 'a head without features'} has {len(specs)} "
            f"stage{'s' if len(specs) > 1 else ''}; got {spec.last_stage}"
        )
    numbered = list(enumerate(specs, -len(specs)))[: len(specs) + spec.last_stage + 1]
    heads = [spec.build(Source(features or None, _grids_before(before, stage)), task) for stage, features in numbered]
    if spec.share_stages:
        _share(heads)
    levels = [tuple(features) for _, features in numbered]
    return HeadStack(heads, levels, reads, spec.weight, spec.stage_reduction, spec.last_stage, spec.prediction)


def _choose_levels(head: str, level: str | tuple[str, ...] | None, stage: FeatureSpec) -> FeatureSpec:
    if level == "all":
        return stage
    if level is None:
        finest = min(entry.grid.stride for entry in stage.values())
        level = [name for name, entry in stage.items() if entry.grid.stride == finest][-1]
    chosen = FeatureSpec()
    for name in (level,) if isinstance(level, str) else level:
        if name not in stage:
            raise ConfigError(f"head {head!r}: " + unknown("level", name, list(stage)))
        chosen[name] = stage[name]
    return chosen


def _grids_before(before: Mapping[str, HeadStack], stage: int) -> dict[str, Grid]:
    """The grids of the maps of earlier heads that a head sees on a stage, counted from the end: on the last their predictions."""
    if stage == -1:
        seen = [stack.last for stack in before.values()]
    else:
        seen = [stack.at(stage) for stack in before.values() if stage in stack.stages]
    return {key: grid for head in seen for key, grid in head.grids.items()}


def _share(heads: list[Head]) -> None:
    """Let all heads use the first one's weights; grids stay their own."""
    for head in heads[1:]:
        for name, module in heads[0].named_children():
            setattr(head, name, module)


def _check_provided(name: str, stack: HeadStack, before: Mapping[str, HeadStack]) -> None:
    provider = {key: other for other, earlier in before.items() for key in earlier.last.provides}
    for key in stack.last.provides:
        if key in provider:
            raise ConfigError(f"heads {provider[key]!r} and {name!r} both provide {key}; keep one of them")


def _check_required(name: str, stack: HeadStack, before: Mapping[str, HeadStack]) -> None:
    axes = {key: text for earlier in before.values() for key, text in earlier.last.provides.items()}
    provider = {key: other for other, earlier in before.items() for key in earlier.last.provides}
    check_requires(f"head {name!r}", stack.last.requires, axes)
    for requirement in requirements(stack.last.requires):
        needed = requirement.choose(axes)
        if needed is not None and set(stack.stages) - {-1} - set(before[provider[needed]].stages):
            raise ConfigError(
                f"head {name!r} is supervised on {len(stack)} stages but requires {needed}, which head {provider[needed]!r} "
                f"provides on {len(before[provider[needed]])}; let both read the same neck"
            )


def check_requires(who: str, requires: Mapping[str, str], provided: Mapping[str, str]) -> None:
    """Raise ConfigError unless every required key is provided with the axes that ``who`` expects."""
    missing = []
    for requirement in requirements(dict(requires)):
        key = requirement.choose(provided)
        if key is None and not requirement.optional:
            missing.append(" or ".join(requirement.keys))
        if key is not None and provided[key] != requirement.axes:
            raise ConfigError(f"{who} requires {key} with axes ({requirement.axes}); this model's has ({provided[key]})")
    if missing:
        heads = [name for name in HEADS.names() if any(name in keys.split(" or ")[0] for keys in missing)]
        remedy = f" (heads {', '.join(map(repr, heads))} provide such)" if heads else ""
        raise ConfigError(
            f"{who} requires {', '.join(missing)}{remedy}; this model has {', '.join(provided) or 'nothing before it'}"
        )


def _check_last_stages(stacks: Mapping[str, HeadStack], necks: Iterable[str]) -> None:
    """Refuse a part whose last stage nothing reads: it would be computed for nothing."""
    for part, stage in needs.furthest(stacks, stacks).items():
        if stage < -1 and not (part == BACKBONE and list(necks)):
            names = ", ".join(name for name, stack in stacks.items() if stack.reads == part)
            raise ConfigError(f"no head reads the last stage of {part}: let one of {names} have last_stage -1")


def _connect(part: str, staged: Staged, stacks: Mapping[str, HeadStack]) -> list[str]:
    """Let a part that feeds predictions back take in those of the heads that it gives, by name."""
    if not staged.feeds_back or len(staged.stages) < 2:
        return []
    fed_back = _fed_back({name: stack for name, stack in stacks.items() if stack.reads == part})
    if fed_back:
        staged.connect(sum(stacks[name].last.feedback for name in fed_back))
    return fed_back


def _fed_back(stacks: Mapping[str, HeadStack]) -> list[str]:
    """Of the heads on one part those on every stage but the last that declare feedback and require only what is fed back too."""
    fed_back, keys = list[str](), set[str]()
    for name, stack in stacks.items():
        needed = [requirement for requirement in requirements(stack.last.requires) if not requirement.optional]
        if stack.last.feedback and stack.stages[-1] >= -2 and all(requirement.choose(keys) for requirement in needed):
            fed_back.append(name)
            keys |= stack.last.provides.keys()
    return fed_back


def _decoded(decoder: Decoder, stacks: Mapping[str, HeadStack]) -> list[str]:
    """The keys that a decoder reads of this model; ConfigError where it lacks one, or has it refined that should be raw."""
    who = f"decoder {type(decoder).__name__}"
    provided = {key: axes for stack in stacks.values() for key, axes in stack.last.provides.items()}
    check_requires(who, decoder.requires, provided)
    for name, stack in stacks.items():
        for key in sorted(decoder.raw & stack.last.refined):
            raise ConfigError(f"{who} refines {key} itself, but head {name!r} has done so already; set heads.{name}.refine=0")
    chosen = [requirement.choose(provided) for requirement in requirements(decoder.requires)]
    return [key for key in chosen if key is not None]


def _trained(stacks: Mapping[str, HeadStack], trained: Iterable[str] | None, given: Iterable[str]) -> list[str]:
    for name in (*given, *(trained or ())):
        if name not in stacks:
            raise ConfigError(unknown("head of this model", name, list(stacks)))
    judged = [name for name, stack in stacks.items() if type(stack.last).loss is not Head.loss and list(stack.parameters())]
    given = set(given)
    return [name for name in (trained or judged) if name not in given]


def _check_frozen(model: PoseModel, freeze: Iterable[str]) -> None:
    parts = [BACKBONE, *(f"necks.{name}" for name in model.necks), *(f"heads.{name}" for name in model.heads)]
    modules = [name for name, _ in model.named_modules() if name.startswith(tuple(f"{part}." for part in parts))]
    for name in freeze:
        if name not in parts and name not in modules:
            raise ConfigError(unknown("part to freeze", name, modules if "." in name else parts))
