"""What a run tells: one JSON line an entry, TensorBoard, a progress bar or, where no terminal is, lines."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from bottomup.paths import write_text, writing


class Log:
    """Writes ``log.jsonl`` and TensorBoard events to a folder; entries past ``step`` of an interrupted run are dropped."""

    def __init__(self, folder: Path, step: int, steps: int, tensorboard: bool = True) -> None:
        self.steps = steps
        self.path, self.events = folder / "log.jsonl", folder / "tensorboard"
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        _truncate(self.path, step)
        self.writer: Any = None
        if tensorboard:
            from torch.utils.tensorboard import SummaryWriter  # imported late: it takes a second

            with writing(self.events):
                self.writer = SummaryWriter(str(self.events), purge_step=step + 1)
        self.bar = tqdm(total=steps, initial=step, unit="step", dynamic_ncols=True, disable=None, file=sys.stderr)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """One line of figures; not-a-number is left out."""
        known = {name: value for name, value in values.items() if np.isfinite(value)}
        with writing(self.path), self.path.open("a") as file:
            file.write(json.dumps({"step": step, **known}) + "\n")
        if self.writer is not None:
            with writing(self.events):
                for name, value in known.items():
                    self.writer.add_scalar(name, value, step)

    def pictures(self, step: int, pictures: Mapping[str, NDArray[np.uint8]]) -> None:
        """RGB pictures (H, W, 3) for TensorBoard."""
        if self.writer is not None:
            with writing(self.events):
                for name, picture in pictures.items():
                    self.writer.add_image(name, picture, step, dataformats="HWC")

    def advance(self, step: int, images_per_second: float, loss: float | None) -> None:
        """Move the bar by one step; where there is no terminal to draw it on, a step whose loss is told is a line."""
        text = f"{images_per_second:.1f} images/s" + ("" if loss is None else f", loss {loss:.4g}")
        if not self.bar.disable:
            self.bar.set_postfix_str(text, refresh=False)
            self.bar.update()
        elif loss is not None:
            self.say(f"step {step} of {self.steps}: {text}")

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        tqdm.write(text, file=sys.stderr)

    def close(self) -> None:
        """Flush and close."""
        self.bar.close()
        if self.writer is not None:
            with writing(self.events):
                self.writer.close()


def _truncate(path: Path, step: int) -> None:
    if path.exists():
        lines = [line for line in path.read_text().splitlines() if _step_of(line) <= step]
        write_text(path, "".join(line + "\n" for line in lines))


def _step_of(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):  # a line cut short by a crash
        return float("inf")
