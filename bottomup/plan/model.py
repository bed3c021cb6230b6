"""A model before it is built: its parts, how they are wired, and how images enter it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from bottomup.assembly import HeadSpec, assemble
from bottomup.contracts import BACKBONES, DECODERS, HEADS, NECKS, Decoder
from bottomup.errors import ConfigError
from bottomup.model import PoseModel
from bottomup.options import check_value, check_values, resolved
from bottomup.plan.component import Component
from bottomup.plan.composing import with_typed
from bottomup.plan.keys import WIRING, check_heads_there, check_typed, without_leftovers
from bottomup.plan.overrides import key_of, parts_of
from bottomup.plan.schema import Configuration
from bottomup.samples.letterbox import Side
from bottomup.types import Task

_OWN = (  # keys of a configuration that are a model's
    "method", "backbone", "necks", "heads", "decoder", "trained", "given", "freeze", "input_size", "side", "head_scales",
)  # fmt: skip
_NEVER_NULL = ("input_size", "side", "head_scales")
_OWN_NECK = "preset"  # what a backbone's own neck is called among the model's


@dataclass(frozen=True)
class HeadPlan:
    """A head, and how it is wired and trained."""

    component: Component
    wiring: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, given: Mapping[str, Any] | None) -> Self:
        """The head called ``name``, of plain data; ConfigError for wiring that does not fit."""
        options = dict(given or {})
        wiring = {key: options.pop(key) for key in WIRING if key in options}
        check_values(f"heads.{name}", wiring, resolved(HeadSpec))
        return cls(Component.of(f"heads.{name}", options, name), wiring)

    def spec(self, name: str) -> HeadSpec:
        """What the assembly builds; ConfigError for options that do not fit."""
        wiring: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in self.wiring.items()}
        return HeadSpec(self.component.builder(HEADS, f"heads.{name}", extra=("name", *WIRING)), **wiring)

    def plain(self, name: str) -> dict[str, Any]:
        """As plain data."""
        return self.component.plain(name) | dict(self.wiring)


@dataclass(frozen=True, kw_only=True)
class ModelPlan:
    """A model's parts by name, what of them is trained, and the px in which images enter; what a checkpoint carries."""

    method: str | None = None
    backbone: Component | None = None
    neck: Component | None = None  # the backbone's own, which heads read that name none
    necks: Mapping[str, Component] = field(default_factory=dict)
    heads: Mapping[str, HeadPlan] = field(default_factory=dict)
    decoder: Component | None = None
    trained: tuple[str, ...] | None = None  # heads; None: all that have a loss
    given: tuple[str, ...] = ()  # heads whose ideal outputs take the place of their predictions
    freeze: tuple[str, ...] = ()
    input_size: int = 512
    side: Side = "long"
    head_scales: Mapping[str, Sequence[float]] = field(default_factory=dict)

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Self:
        """The model's part of a configuration, or what a checkpoint says; ConfigError for what it cannot be."""
        kinds = resolved(Configuration)
        said = {key: config[key] for key in _OWN if config.get(key) is not None or (key in _NEVER_NULL and key in config)}
        check_values("", said, {key: kinds[key] for key in _OWN})
        backbone = dict(config.get("backbone") or {})
        own_neck = backbone.pop("neck", None)
        check_value("backbone.neck", own_neck, Mapping[str, Any] | None)
        trained, decoder = config.get("trained"), config.get("decoder")
        return cls(
            method=config.get("method"),
            backbone=Component.of("backbone", backbone, kind="backbone") if backbone else None,
            neck=Component.of("backbone.neck", own_neck, _OWN_NECK) if own_neck else None,
            necks={name: Component.of(f"necks.{name}", options, name) for name, options in (config.get("necks") or {}).items()},
            heads={name: HeadPlan.of(name, options) for name, options in (config.get("heads") or {}).items()},
            decoder=Component.of("decoder", decoder, kind="decoder") if decoder else None,
            trained=None if trained is None else tuple(trained),
            given=tuple(config.get("given") or ()),
            freeze=tuple(config.get("freeze") or ()),
            **{key: config[key] for key in _NEVER_NULL if key in config},
        )

    def compose(self, task: Task) -> tuple[PoseModel, Decoder]:
        """Build the model and its decoder; ConfigError for whatever does not fit."""
        if self.decoder is None:
            raise ConfigError(f"decoder: no `name`; known decoders: {', '.join(DECODERS.names())}")
        decoder = self.decoder.builder(DECODERS, "decoder", task)()
        necks = ({_OWN_NECK: self.neck} if self.neck else {}) | dict(self.necks)
        model = assemble(
            self.backbone.builder(BACKBONES, "backbone")() if self.backbone else None,
            task,
            {name: head.spec(name) for name, head in self.heads.items()},
            necks={name: neck.builder(NECKS, f"necks.{name}") for name, neck in necks.items()},
            default_neck=_OWN_NECK if self.neck else None,
            decoder=decoder,
            trained=self.trained,
            given=self.given,
            freeze=self.freeze,
        )
        return model, decoder

    def plain(self) -> dict[str, Any]:
        """As plain data, from which ``of`` makes it again."""
        backbone = self.backbone.plain() if self.backbone else None
        if backbone is not None and self.neck:
            backbone["neck"] = self.neck.plain(_OWN_NECK)
        return {
            "method": self.method,
            "backbone": backbone,
            "necks": {name: neck.plain(name) for name, neck in self.necks.items()},
            "heads": {name: head.plain(name) for name, head in self.heads.items()},
            "decoder": self.decoder.plain() if self.decoder else None,
            "trained": None if self.trained is None else list(self.trained),
            "given": list(self.given),
            "freeze": list(self.freeze),
            "input_size": self.input_size,
            "side": self.side,
            "head_scales": {name: list(scales) for name, scales in self.head_scales.items()},
        }

    def carried(self) -> dict[str, Any]:
        """What a checkpoint carries: all but what is trained."""
        return {key: value for key, value in self.plain().items() if key != "trained"}

    def without_pretraining(self) -> Self:
        """The same model for weights that come from a checkpoint: nothing is loaded twice."""
        if self.backbone is None:
            return self
        kept = {key: value for key, value in self.backbone.options.items() if key not in ("pretrained", "weights")}
        return replace(self, backbone=replace(self.backbone, options=kept))

    def of_checkpoint(self, saved: Mapping[str, Any], overrides: Sequence[str]) -> Self:
        """A checkpoint's model with what the user typed, which is in this one, on top.

        ``decoder.window=5`` or ``backbone.output_stride=8`` changes one option of the saved model, ``decoder=NAME`` the whole part.
        """
        own = self.carried()
        said = [override for override in overrides if parts_of(override)[0] in own]
        check_heads_there(said, saved.get("heads") or ())
        if "method" in map(key_of, said) and saved.get("method") != self.method:
            raise ConfigError(f"the checkpoint holds {saved.get('method')!r}, not {self.method!r}; leave the method out")
        model = {key: value for key, value in saved.items() if key in own}
        merged = without_leftovers(with_typed(model, own, said), said)
        check_typed(merged, said)
        return type(self).of(merged | {"trained": self.trained})
