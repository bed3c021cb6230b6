"""One head on all the stages that it is supervised on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Literal

import torch
from torch import nn

from bottomup.contracts import Head
from bottomup.errors import ConfigError, unknown
from bottomup.types import Batch, Features, Frame, Outputs


class HeadStack(nn.Module):
    """One head on each stage that it is supervised on, the last of which is ``last_stage``, counted from the end: -1 is the last.

    ``reads`` is the name of a neck, "backbone", or None for a head without features, which exists on the last stage only.
    ``levels`` says, for each stage, which levels it reads. ``weight`` multiplies each loss term, ``reduction`` ("mean" or
    "sum") joins the stages' losses. Its ``prediction`` is what its last stage gives, or the "mean": all its stages' outputs merged,
    as views of one image, onto the last one's grids.
    """

    def __init__(
        self,
        heads: list[Head],
        levels: list[tuple[str, ...]],
        reads: str | None,
        weight: float | Mapping[str, float] = 1.0,
        reduction: Literal["mean", "sum"] = "mean",
        last_stage: int = -1,
        prediction: Literal["last", "mean"] = "last",
    ) -> None:
        super().__init__()
        self.heads = nn.ModuleList(heads)
        self.levels, self.reads, self.weight, self.reduction = levels, reads, weight, reduction
        self.stages = range(last_stage + 1 - len(heads), last_stage + 1)
        self.predicting = self.stages if prediction == "mean" else self.stages[-1:]  # the stages that its prediction is made of

    def __len__(self) -> int:
        return len(self.heads)

    @property
    def last(self) -> Head:
        """The head of its last stage, on whose grids its prediction lies."""
        return self.at(self.stages[-1])

    def at(self, stage: int) -> Head:
        """The head of a stage counted from the end: -1 is the last."""
        head = self.heads[self.stages.index(stage)]
        assert isinstance(head, Head)
        return head

    def run(self, stage: int, features: Features, outputs: Outputs) -> Outputs:
        """Run the head of a stage (counted from the end) on its levels of that stage's features."""
        head = self.at(stage)
        read = {name: features[name] for name in self.levels[self.stages.index(stage)]}
        if head.pointwise:  # the same numbers from a fraction of the memory
            return {key: head.source.level.enlarge(maps) for key, maps in head(read, outputs).items()}
        levels = head.source.features or {}
        result: Outputs = head({name: levels[name].enlarge(maps) for name, maps in read.items()}, outputs)
        return result

    def joined(self, outputs: Sequence[Outputs], size: tuple[int, int]) -> Outputs:
        """Its prediction for an input of ``size`` (H, W), of its outputs on each of the stages that it is made of."""
        if len(outputs) == 1:
            return outputs[0]
        maps = next(iter(outputs[0].values()))
        low, (h, w) = maps.new_zeros(maps.shape[0]), size
        content = torch.stack((low, low, low + w, low + h), dim=1)
        frames = [Frame(self.at(stage).grids, size, content) for stage in self.predicting]
        return self.last.merge(list(outputs), frames, frames[-1])

    def ideal(self, batch: Batch) -> Outputs:
        """What it would predict if it were flawless on every stage."""
        return self.joined([self.at(stage).ideal(batch) for stage in self.predicting], batch.size)

    def teaching(self, batch: Batch) -> Outputs:
        """What takes the place of its prediction in training (teacher forcing)."""
        return self.joined([self.at(stage).teaching(batch) for stage in self.predicting], batch.size)

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
