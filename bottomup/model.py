"""PoseModel: normalise, backbone, necks, heads in order; the forward of every method."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Literal, Self

import torch
from torch import Tensor, nn

from bottomup.errors import ConfigError
from bottomup.geometry import Grid, smallest_side
from bottomup.head_stack import HeadStack
from bottomup.stages import Backbone, Neck, requirements
from bottomup.types import Batch, Features, Frame, Outputs, Task

BACKBONE = "backbone"  # what a head reads that reads no neck


class PoseModel(nn.Module):
    """Images to the outputs of all heads.

    ``trained`` names the heads that are trained: their keys are wanted with ``stages="all"``; ``decoded`` are the keys that
    the decoder reads: they are wanted with ``stages="last"``. A head runs only where a wanted key that is not given comes
    from it; backbone and necks run only where a running head has features. Build one with ``assembly.assemble``.
    """

    def __init__(
        self,
        task: Task,
        backbone: Backbone | None,
        necks: Mapping[str, Neck],
        heads: Mapping[str, HeadStack],
        fed_back: Iterable[str] = (),
        trained: Iterable[str] | None = None,
        decoded: Iterable[str] | None = None,
    ) -> None:
        super().__init__()
        self.task = task
        self.backbone = backbone
        self.necks = nn.ModuleDict(necks)
        self.heads = nn.ModuleDict(heads)
        self.fed_back = tuple(fed_back)
        self.depth = max(len(stack) for stack in heads.values())
        self.trained = tuple(heads if trained is None else trained)
        self.decoded = frozenset(self.provided if decoded is None else decoded)
        self.frozen: tuple[str, ...] = ()
        mean, std = _statistics(backbone)
        self.register_buffer("mean", mean.view(3, 1, 1), persistent=False)
        self.register_buffer("std", std.view(3, 1, 1), persistent=False)

    # ---- the forward ---------------------------------------------------------------------------------------------------

    def forward(
        self,
        images: Tensor | None,
        given: Outputs | None = None,
        stages: Literal["all", "last"] = "last",
        trim: bool = False,
        wanted: Collection[str] | None = None,
    ) -> list[Outputs]:
        """Outputs of every supervised stage ("all": for the losses) or of the last alone ("last": for the decoder).

        ``images`` are (B, 3, H, W) uint8 RGB, or None where all running heads work on ``given`` alone. ``given`` are outputs
        of the last stage that are known already: oracles, teacher forcing, merged views. ``trim`` spares heads the padding of
        earlier ones' outputs, whose shapes then depend on the images. ``wanted`` are other keys to give than ``wanted(stages)``.
        """
        given = given or {}
        running = self.running(self.wanted(stages) if wanted is None else wanted, given)
        outputs: list[Outputs] = [{} for _ in range(self.depth)]
        outputs[-1].update(given)
        done: set[tuple[str, int]] = set()
        features = self._features(images, running, outputs, done)
        for stage in range(-self.depth if stages == "all" else -1, 0):
            for name in running:
                stack = self.stack(name)
                if stage >= -len(stack) and (name, stage) not in done:
                    read = features[stack.reads][stage] if stack.reads else {}
                    found = stack.run(stage, read, outputs[stage])
                    outputs[stage].update(stack.at(stage).trim(found) if trim else found)
        return outputs if stages == "all" else outputs[-1:]

    def _features(
        self, images: Tensor | None, running: list[str], outputs: list[Outputs], done: set[tuple[str, int]]
    ) -> dict[str | None, list[Features]]:
        """The features of the backbone and of every neck that a running head reads."""
        readers = {self.stack(name).reads for name in running} - {None}
        if not readers:
            return {}
        if images is None or self.backbone is None:
            heads = [name for name in running if self.stack(name).reads]
            raise ValueError(f"heads {heads} read features: images are needed, or their outputs must be given")

        def predict(features: Features, stage: int) -> Tensor:
            from_end = stage - len(self.backbone_stages)
            maps = []
            for name in self.fed_back:
                predicted = self.stack(name).run(from_end, features, outputs[from_end])
                outputs[from_end].update(predicted)
                done.add((name, from_end))
                maps += [predicted[key].flatten(1, -3) for key in self.stack(name).last.provides]
            return torch.cat(maps, dim=1)

        stages = self.backbone(self.normalise(images), predict if self.fed_back else None)
        features: dict[str | None, list[Features]] = {BACKBONE: stages}
        for name, neck in self.necks.items():
            if name in readers:
                features[name] = neck(stages)
        return features

    def normalise(self, images: Tensor) -> Tensor:
        """uint8 RGB to what the backbone was made for."""
        mean, std = self.get_buffer("mean"), self.get_buffer("std")
        return (images.to(mean.dtype) / 255 - mean) / std

    # ---- what runs -----------------------------------------------------------------------------------------------------

    def wanted(self, stages: Literal["all", "last"]) -> frozenset[str]:
        """The keys that a forward is asked for."""
        if stages == "last":
            return self.decoded
        return frozenset(key for name in self.trained for key in self.stack(name).last.provides)

    def running(self, wanted: Iterable[str], given: Iterable[str] = ()) -> list[str]:
        """The heads that must run, in order, for the wanted keys where some are given."""
        known = set(given)
        needed = set(wanted) - known
        running: list[str] = []
        for name in reversed(list(self.heads)):
            head = self.stack(name).last
            if needed.isdisjoint(head.provides):
                continue
            running.insert(0, name)
            available = known | self.provided_before(name)
            for requirement in requirements(head.requires):
                key = requirement.choose(available)
                if key is not None and key not in known:
                    needed.add(key)
        return running

    def reads_images(self, wanted: Iterable[str], given: Iterable[str] = ()) -> bool:
        """Whether a head that must run for the wanted keys reads features."""
        return any(self.stack(name).reads for name in self.running(wanted, given))

    def looking(self, given: Collection[str] = ()) -> list[str]:
        """The heads with features from which all that the decoder reads comes, or is ``given``: those whose views are merged."""
        running = self.running(self.decoded, self.keys_of(given))
        return [name for name, stack in self.stacks() if stack.reads and (name in running or name in given)]

    def keys_of(self, names: Iterable[str]) -> set[str]:
        """The keys that heads of these names provide."""
        return {key for name in names for key in self.stack(name).last.provides}

    def provided_before(self, name: str) -> set[str]:
        """The keys of all heads that stand before one."""
        keys: set[str] = set()
        for other, stack in self.stacks():
            if other == name:
                return keys
            keys |= stack.last.provides.keys()
        return keys

    @property
    def provided(self) -> set[str]:
        """The keys of all heads."""
        return {key for _, stack in self.stacks() for key in stack.last.provides}

    # ---- its parts -----------------------------------------------------------------------------------------------------

    def stack(self, name: str) -> HeadStack:
        """A head on all its stages, by name."""
        stack = self.heads[name]
        assert isinstance(stack, HeadStack)
        return stack

    def stacks(self) -> Iterator[tuple[str, HeadStack]]:
        """All heads, by name, in order."""
        return ((name, self.stack(name)) for name in self.heads)

    @property
    def backbone_stages(self) -> list[object]:
        """One entry per stage of the backbone."""
        return list(self.backbone.stages) if self.backbone is not None else []

    @property
    def grids(self) -> dict[str, Grid]:
        """Where the maps of the last stage lie."""
        return {key: grid for _, stack in self.stacks() for key, grid in stack.last.grids.items()}

    @property
    def ignores(self) -> frozenset[str]:
        """The ignore maps that the trained heads' losses read, and "instances" where one reads those."""
        names = set[str]()
        for name in self.trained:
            head = self.stack(name).last
            names |= head.ignores | ({"instances"} if head.reads_instances else set())
        return frozenset(names)

    def side(self, side: int, stages: Literal["all", "last"] = "last") -> int:
        """The smallest input side >= ``side`` that every level in use fits: those of training ("all") or of prediction ("last")."""
        grids = [self.backbone.coarsest] if self.backbone is not None else []
        for stack in map(self.stack, self.running(self.wanted(stages))):
            for head in map(stack.at, range(-len(stack), 0)):
                grids += [*head.grids.values(), *(level.grid for level in (head.source.features or {}).values())]
        return smallest_side(side, grids)

    def frame(self, batch: Batch) -> Frame:
        """Where the maps of a batch lie."""
        return Frame(self.grids, batch.size, batch.content)

    @property
    def fill(self) -> Tensor:
        """(3,) uint8, the colour of padding: the normalisation's mean."""
        return (self.get_buffer("mean").flatten() * 255).round().to(torch.uint8)

    # ---- oracles -------------------------------------------------------------------------------------------------------

    def ideal(self, batch: Batch, names: Iterable[str]) -> Outputs:
        """What flawless heads of these names would give for a batch, on the last stage; ConfigError where they need others."""
        names = list(names)
        for name in names:
            for key in self.stack(name).last.beside - self.keys_of(names):
                raise ConfigError(f"ideal outputs of head {name!r} are of ideal {key}: give the head of those, too")
        return {key: maps for name in names for key, maps in self.stack(name).last.ideal(batch).items()}

    # ---- freezing ------------------------------------------------------------------------------------------------------

    def freeze(self, names: Iterable[str], given: Iterable[str] = ()) -> None:
        """Keep out of training "backbone", "necks.x", "heads.y" or a module within, and all that no trained head reaches."""
        self.frozen = tuple(dict.fromkeys([*names, *self._unreached(given)]))
        for name in self.frozen:
            self.get_submodule(name).requires_grad_(False)
        self.train(self.training)

    def _unreached(self, given: Iterable[str]) -> list[str]:
        running = self.running(self.wanted("all"), given)
        read = {self.stack(name).reads for name in running}
        unreached = [f"heads.{name}" for name, stack in self.stacks() if name not in running and list(stack.parameters())]
        unreached += [f"necks.{name}" for name in self.necks if name not in read]
        return unreached + (["backbone"] if self.backbone is not None and not read - {None} else [])

    def train(self, mode: bool = True) -> Self:
        """As nn.Module.train, but frozen parts stay in evaluation mode."""
        super().train(mode)
        for name in self.frozen:
            self.get_submodule(name).eval()
        return self


def _statistics(backbone: Backbone | None) -> tuple[Tensor, Tensor]:
    if backbone is None:
        return torch.zeros(3), torch.ones(3)
    return torch.tensor(backbone.normalisation.mean), torch.tensor(backbone.normalisation.std)
