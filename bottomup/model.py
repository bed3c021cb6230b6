"""PoseModel: normalise, backbone, necks, heads in order; the forward of every method."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Literal, Self

import torch
from torch import Tensor, nn

from bottomup import needs
from bottomup.contracts import Backbone, FeedBack, Neck, Staged
from bottomup.errors import ConfigError
from bottomup.geometry import Grid, smallest_side
from bottomup.head_stack import HeadStack
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
        self.depth = -min(stack.stages[0] for stack in heads.values())
        self.trained = tuple(heads if trained is None else trained)
        self.decoded = frozenset(self.keys_of(heads) if decoded is None else decoded)
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
        """Outputs of every supervised stage ("all": for the losses) or what is predicted alone ("last": for the decoder).

        ``images`` are (B, 3, H, W) uint8 RGB, or None where all running heads work on ``given`` alone. ``given`` are predictions
        that are known already: oracles, teacher forcing, merged views. ``trim`` spares heads the padding of earlier ones' outputs,
        whose shapes then depend on the images. ``wanted`` are other keys to give than ``wanted(stages)``. A head sees what earlier
        heads give on its own stage; on the last stage it sees what they predict, which stands there with "all", too, where a stage
        of theirs does not.
        """
        predicted = dict(given or {})
        running = self.running(self.wanted(stages) if wanted is None else wanted, predicted)
        outputs: list[Outputs] = [{} for _ in range(self.depth)]
        features = self._features(images, running, outputs)
        size = (0, 0) if images is None else (images.shape[-2], images.shape[-1])
        for stack in map(self.stack, running):
            for stage in stack.stages if stages == "all" else stack.predicting:
                if not stack.last.provides.keys() <= outputs[stage].keys():  # what is fed back has run
                    read = features[stack.reads][stage] if stack.reads else {}
                    found = stack.run(stage, read, predicted if stage == -1 else outputs[stage])
                    outputs[stage].update(stack.at(stage).trim(found) if trim else found)
            own = [{key: outputs[stage][key] for key in stack.last.provides} for stage in stack.predicting]
            predicted.update(stack.joined(own, size))
        return [*outputs[:-1], predicted | outputs[-1]] if stages == "all" else [predicted]

    def _features(self, images: Tensor | None, running: list[str], outputs: list[Outputs]) -> dict[str, list[Features]]:
        """The features of the backbone and of every neck that a running head reads; what is fed back enters ``outputs``."""
        read = needs.sources(self._heads, running)
        if not read:
            return {}
        if images is None or self.backbone is None:
            heads = [name for name in running if self.stack(name).reads]
            raise ValueError(f"heads {heads} read features: images are needed, or their outputs must be given")
        stages = self.backbone(self.normalise(images), self._feeding(BACKBONE, outputs))
        made = {name: neck(stages, self._feeding(name, outputs)) for name, neck in self.necks.items() if name in read}
        return {BACKBONE: stages} | made

    def _feeding(self, part: str, outputs: list[Outputs]) -> FeedBack | None:
        """What a part asks for predictions of a stage that are to enter its next; they enter ``outputs``, too."""
        stacks = [stack for stack in map(self.stack, self.fed_back) if stack.reads == part]
        count = len(self._part(part).stages)

        def feed_back(features: Features, stage: int) -> Tensor:
            from_end = stage - count
            maps = []
            for stack in stacks:
                found = stack.run(from_end, features, outputs[from_end])
                outputs[from_end].update(found)
                maps += [found[key].flatten(1, -3) for key in stack.last.provides]
            return torch.cat(maps, dim=1)

        return feed_back if stacks else None

    def normalise(self, images: Tensor) -> Tensor:
        """uint8 RGB to what the backbone was made for."""
        mean, std = self.get_buffer("mean"), self.get_buffer("std")
        return (images.to(mean.dtype) / 255 - mean) / std

    # ---- what runs -----------------------------------------------------------------------------------------------------

    def wanted(self, stages: Literal["all", "last"]) -> frozenset[str]:
        """The keys that a forward is asked for."""
        if stages == "last":
            return self.decoded
        return frozenset(self.keys_of(self.trained))

    def running(self, wanted: Iterable[str], given: Iterable[str] = ()) -> list[str]:
        """The heads that must run, in order, for the wanted keys where some are given."""
        return needs.running(self._heads, wanted, given)

    def reads_images(self, wanted: Iterable[str], given: Iterable[str] = ()) -> bool:
        """Whether a head that must run for the wanted keys reads features."""
        return bool(needs.sources(self._heads, self.running(wanted, given)))

    def looking(self, oracle: Collection[str] = ()) -> list[str]:
        """The heads with features from which all that the decoder reads comes, or of ``oracle``: those whose views are merged."""
        return needs.looking(self._heads, self.decoded, oracle)

    def keys_of(self, names: Iterable[str]) -> set[str]:
        """The keys that heads of these names provide."""
        return needs.keys_of(self._heads, names)

    # ---- its parts -----------------------------------------------------------------------------------------------------

    def stack(self, name: str) -> HeadStack:
        """A head on all its stages, by name."""
        stack = self.heads[name]
        assert isinstance(stack, HeadStack)
        return stack

    def stacks(self) -> Iterator[tuple[str, HeadStack]]:
        """All heads, by name, in order."""
        return ((name, self.stack(name)) for name in self.heads)

    def _part(self, name: str) -> Staged:
        """A neck, or the backbone, by the name by which heads read it."""
        part = self.backbone if name == BACKBONE else self.necks[name]
        assert isinstance(part, Staged)
        return part

    @property
    def _heads(self) -> dict[str, HeadStack]:
        return dict(self.stacks())

    @property
    def grids(self) -> dict[str, Grid]:
        """Where the maps that are predicted lie."""
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
        coarsest = [self.backbone.coarsest] if self.backbone is not None else []
        return smallest_side(side, coarsest + needs.grids(self._heads, self.running(self.wanted(stages))))

    def frame(self, batch: Batch) -> Frame:
        """Where the maps of a batch lie."""
        return Frame(self.grids, batch.size, batch.content)

    @property
    def fill(self) -> Tensor:
        """(3,) uint8, the colour of padding: the normalisation's mean."""
        return (self.get_buffer("mean").flatten() * 255).round().to(torch.uint8)

    # ---- oracles -------------------------------------------------------------------------------------------------------

    def ideal(self, batch: Batch, names: Iterable[str]) -> Outputs:
        """What flawless heads of these names would predict for a batch; ConfigError where they need others."""
        return {key: maps for stack in self._together(names) for key, maps in stack.ideal(batch).items()}

    def teaching(self, batch: Batch, names: Iterable[str]) -> Outputs:
        """What takes the place of the outputs of these heads in training (teacher forcing), as ``ideal`` but for their options."""
        return {key: maps for stack in self._together(names) for key, maps in stack.teaching(batch).items()}

    def _together(self, names: Iterable[str]) -> list[HeadStack]:
        """The heads of these names; ConfigError where one's ideal outputs are of those of a head not named."""
        names = list(names)
        for name in names:
            for key in self.stack(name).last.beside - self.keys_of(names):
                raise ConfigError(f"ideal outputs of head {name!r} are of ideal {key}: give the head of those, too")
        return [self.stack(name) for name in names]

    # ---- freezing ------------------------------------------------------------------------------------------------------

    def freeze(self, names: Iterable[str], given: Iterable[str] = ()) -> None:
        """Keep out of training "backbone", "necks.x", "heads.y" or a module within, and all that no trained head reaches."""
        self.frozen = tuple(dict.fromkeys([*names, *self.unreached(given)]))
        for name in self.frozen:
            self.get_submodule(name).requires_grad_(False)
        self.train(self.training)

    def unreached(self, given: Iterable[str] = ()) -> list[str]:
        """The parts with weights that no trained head learns through."""
        running = self.running(self.wanted("all"), given)
        read = needs.furthest(self._heads, running)
        idle = [f"heads.{name}" for name, stack in self.stacks() if name not in running and list(stack.parameters())]
        for name in self.necks:
            idle += self._beyond(f"necks.{name}", name, read[name]) if name in read else [f"necks.{name}"]
        if self.backbone is None:
            return idle
        if not read:
            return [*idle, BACKBONE]
        return idle + (self._beyond(BACKBONE, BACKBONE, read[BACKBONE]) if read.keys() == {BACKBONE} else [])

    def _beyond(self, path: str, part: str, stage: int) -> list[str]:
        """The modules of a part that only later stages than this one, counted from the end, have use for."""
        staged = self._part(part)
        return [f"{path}.{module}" for module in staged.used_from(stage + 1 + len(staged.stages))] if stage < -1 else []

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
