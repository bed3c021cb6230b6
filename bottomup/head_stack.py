"""One head on all the stages that it is supervised on."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal

from torch import nn

from bottomup.contracts import Head
from bottomup.errors import ConfigError, unknown
from bottomup.types import Features, Outputs


class HeadStack(nn.Module):
    """One head on each stage that it is supervised on, aligned at the end.

    ``reads`` is the name of a neck, "backbone", or None for a head without features, which exists on the last stage only.
    ``levels`` says, for each stage, which levels it reads. ``weight`` multiplies each loss term, ``reduction`` ("mean" or
    "sum") joins the stages' losses.
    """

    def __init__(
        self,
        heads: list[Head],
        levels: list[tuple[str, ...]],
        reads: str | None,
        weight: float | Mapping[str, float] = 1.0,
        reduction: Literal["mean", "sum"] = "mean",
    ) -> None:
        super().__init__()
        self.heads = nn.ModuleList(heads)
        self.levels, self.reads, self.weight, self.reduction = levels, reads, weight, reduction

    def __len__(self) -> int:
        return len(self.heads)

    @property
    def last(self) -> Head:
        """The head of the last stage: the one that predicts."""
        return self.at(-1)

    def at(self, stage: int) -> Head:
        """The head of a stage counted from the end: -1 is the last."""
        head = self.heads[stage]
        assert isinstance(head, Head)
        return head

    def is_due(self, stage: int, outputs: Outputs) -> bool:
        """Whether the head is there on a stage (counted from the end) and not all of its outputs are."""
        return -stage <= len(self) and not self.at(stage).provides.keys() <= outputs.keys()

    def run(self, stage: int, features: Features, outputs: Outputs) -> Outputs:
        """Run the head of a stage (counted from the end) on its levels of that stage's features."""
        head = self.at(stage)
        read = {name: features[name] for name in self.levels[stage]}
        if head.pointwise:  # the same numbers from a fraction of the memory
            return {key: head.source.level.enlarge(maps) for key, maps in head(read, outputs).items()}
        levels = head.source.features or {}
        result: Outputs = head({name: levels[name].enlarge(maps) for name, maps in read.items()}, outputs)
        return result

    def loss_weights(self, name: str, terms: Collection[str]) -> dict[str, float]:
        """The weights of all loss ``terms`` of head ``name``; ConfigError where a mapping of weights has others, or not all."""
        if not isinstance(self.weight, Mapping):
            return dict.fromkeys(terms, self.weight)
        for term in self.weight:
            if term not in terms:
                raise ConfigError(f"heads.{name}.weight: " + unknown("loss term", term, list(terms)))
        missing = [term for term in terms if term not in self.weight]
        if missing:
            raise ConfigError(f"heads.{name}.weight has nothing for {', '.join(missing)}; every loss term needs one")
        return dict(self.weight)
