"""What ends a run early: a signal, or a loss or weights that are not finite."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bottomup.engine.objective import Losses
from bottomup.errors import TrainingError
from bottomup.ops.finite import not_finite
from bottomup.paths import write_json
from bottomup.types import Batch

_REMEMBERED = 1000  # losses of a GPU, a few hundred bytes each
_SAME = 1.0  # s; torchrun hands the terminal's Ctrl-C on to processes that have heard it already
_REMEDY = "Lower engine.optimiser.lr, clip gradients (engine.clip=1) or train in fp32"
_TOLD = b"\nending after this step, with a checkpoint; Ctrl-C once more ends at once\n"


class Interruption:
    """Turns Ctrl-C and SIGTERM into a question that the loop asks after each step; another Ctrl-C is KeyboardInterrupt at once."""

    def __init__(self) -> None:
        self.asked = False
        self._since = 0.0  # when it was asked first, in s

    @contextlib.contextmanager
    def caught(self) -> Iterator[None]:
        """Catch the signals inside this context; only the main thread may."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._ask) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _ask(self, number: int, _: Any) -> None:
        if not self.asked:
            self.asked, self._since = True, time.monotonic()
            os.write(2, _TOLD)  # print may not interrupt another print
        elif number == signal.SIGINT and time.monotonic() - self._since > _SAME:
            raise KeyboardInterrupt


class LossWatch:
    """Stops a run whose loss is not finite, with the images and terms saved.

    On the host it looks at each loss one step late. A GPU would have to be waited for, so that there losses are remembered until
    ``check`` is called, where it is waited for anyway, and the first that is not finite is told then.
    """

    def __init__(self, folder: Path, rank: int) -> None:
        self.path = folder / f"non_finite_rank{rank}.json"
        self._seen: list[tuple[Tensor, tuple[int, ...], dict[str, Tensor], int]] = []

    def __call__(self, losses: Losses, batch: Batch, step: int) -> None:
        """Check the losses before this one, where that takes no wait or there are many, and remember this one."""
        if losses.total.device.type == "cpu" or len(self._seen) >= _REMEMBERED:
            self.check()
        self._seen.append((losses.total.detach(), batch.image_ids, losses.terms, step))

    def check(self) -> None:
        """Raise TrainingError where a remembered loss is not finite; forget them."""
        seen, self._seen = self._seen, []
        if not seen:
            return
        finite = torch.stack([total.isfinite().all() for total, *_ in seen]).tolist()  # one transfer
        if all(finite):
            return
        total, image_ids, terms, step = seen[finite.index(False)]
        images = [
            {"image_id": image_id, "total": str(total[row].item())} | {name: str(term[row].item()) for name, term in terms.items()}
            for row, image_id in enumerate(image_ids)
        ]
        write_json(self.path, {"step": step, "images": images})
        bad = [image_id for row, image_id in enumerate(image_ids) if not total[row].isfinite()]
        raise TrainingError(f"the loss of images {bad} is not finite at step {step}; their terms are in {self.path}. {_REMEDY}")


def check_weights(models: Iterable[nn.Module], step: int, folder: Path) -> None:
    """Raise TrainingError where weights are not finite after a step of the run in ``folder``."""
    for model in models:
        if bad := not_finite(model.state_dict()):
            raise TrainingError(
                f"after step {step} weights are not finite ({bad}); the checkpoints in {folder} stay as they were. {_REMEDY}"
            )
