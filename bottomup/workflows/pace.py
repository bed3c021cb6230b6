"""How a training begins: on what it runs, and where its first step takes long, how long all of it will."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tqdm import tqdm

from bottomup.engine.trainer import Trainer
from bottomup.plan.files import shipped

_LONG = 60.0  # s; a step of the demonstrations takes a fraction of one
_SMALL = ("demo", "coco_small")  # folders of experiments that a CPU takes minutes or hours for


def beginning(trainer: Trainer) -> str:
    """On what a training runs, in a line: device, precision, and the images of a step."""
    settings, ranks = trainer.settings, trainer.ranks
    several = f" on {ranks.world} ranks" if ranks.world > 1 else ""
    left = (
        f"step {trainer.step + 1} to {settings.steps}" if trainer.step < settings.steps else f"all {settings.steps} steps are done"
    )
    return f"training on {ranks.device.type} in {settings.precision}, {settings.batch_size} images a step{several}, {left}"


class FirstStep:
    """Says, once, how long an epoch of ``images`` will take where the first step takes long, be it done or not.

    It names small experiments of the ``method``, too.
    """

    def __init__(self, trainer: Trainer, images: int, method: str | None) -> None:
        self.trainer, self.images, self.method = trainer, images, method
        self._waiting = threading.Timer(_LONG, self._tell, (_LONG, "more than "))
        self._waiting.daemon = True

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Watch the first step of the training that is inside."""
        self.trainer.on_step = self._stepped
        self._waiting.start()
        try:
            yield
        finally:
            self._waiting.cancel()

    def _stepped(self, trainer: Trainer, figures: Mapping[str, float]) -> None:
        """After the first step that is reported, nothing is watched any more."""
        self._waiting.cancel()
        trainer.on_step = None
        seconds = trainer.settings.batch_size / figures["images_per_second"]
        if seconds > _LONG:
            self._tell(seconds, "")

    def _tell(self, seconds: float, more: str) -> None:
        settings = self.trainer.settings
        epoch = seconds * self.images / settings.batch_size
        small = [name for name in shipped("experiment") if name.partition("/")[0] in _SMALL and name.endswith(f"/{self.method}")]
        advice = f"; small: {', '.join(f'experiment={name}' for name in small)}" if small else ""
        tqdm.write(
            f"the first step takes {more}{_said(seconds)}: at that rate {more}{_said(epoch)} for an epoch of {self.images} images, "
            f"{more}{_said(seconds * settings.steps)} for all {settings.steps} steps{advice}",
            file=sys.stderr,
        )


def _said(seconds: float) -> str:
    """A time in its largest unit: "90 s", "12 min", "3.5 h", "40 days"."""
    for unit, length in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.2g} {unit}" if seconds < 100 * length else f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
