"""How long each part of a model takes, by hooks that watch it run."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from types import TracebackType
from typing import Any, Self

import torch
from torch import nn

from bottomup.model import PoseModel


class BlockClock:
    """The milliseconds that "backbone", "necks.x", "heads.y" and whatever ``block`` names take while the clock is entered.

    Each block's own time, without that of blocks within it: a head whose prediction is fed back runs inside its backbone. On
    CUDA the device's events are read, and nothing waits before ``own_ms``.
    """

    def __init__(self, model: PoseModel, device: torch.device) -> None:
        self.device = device
        self._marks: list[tuple[str | None, Any]] = []  # a block's start, or the end of the latest one
        self._blocks = dict(parts_of(model))
        self._hooks: list[Any] = []

    def __enter__(self) -> Self:
        mark = torch.compiler.disable(self._mark)  # a compiled backbone is left to read the clock around a head that is fed back
        for name, modules in self._blocks.items():
            for module in modules:
                self._hooks += [
                    module.register_forward_pre_hook(lambda *_, name=name: mark(name)),
                    module.register_forward_hook(lambda *_: mark(None)),
                ]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        while self._hooks:
            self._hooks.pop().remove()

    @contextmanager
    def block(self, name: str) -> Iterator[None]:
        """Time what happens inside under a name of its own."""
        self._mark(name)
        try:
            yield
        finally:
            self._mark(None)

    def own_ms(self) -> dict[str, float]:
        """Milliseconds by block since the last call."""
        marks, self._marks = self._marks, []
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        times: defaultdict[str, float] = defaultdict(float)
        running: list[str] = []
        for (name, start), (_, end) in pairwise(marks):
            if name is None:
                running.pop()
            else:
                running.append(name)
            if running:
                times[running[-1]] += self._elapsed(start, end)
        return dict(times)

    def _mark(self, name: str | None) -> None:
        stamp: Any = time.perf_counter()
        if self.device.type == "cuda":
            stamp = torch.cuda.Event(enable_timing=True)
            stamp.record()
        self._marks.append((name, stamp))

    def _elapsed(self, start: Any, end: Any) -> float:
        return float(start.elapsed_time(end) if self.device.type == "cuda" else 1e3 * (end - start))


def parts_of(model: PoseModel) -> Iterator[tuple[str, list[nn.Module]]]:
    """The blocks of a model by name, each the modules that run for it."""
    if model.backbone is not None:
        yield "backbone", [model.backbone]
    for name, neck in model.necks.items():
        yield f"necks.{name}", [neck]
    for name, stack in model.stacks():
        yield f"heads.{name}", list(stack.heads)
