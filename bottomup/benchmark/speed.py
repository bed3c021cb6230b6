"""Milliseconds, images a second, memory and size of a model and its decoder."""

from __future__ import annotations

import copy
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from bottomup.benchmark.clock import BlockClock, parts_of
from bottomup.data.loader import collate
from bottomup.engine.cpu import release_freed_memory
from bottomup.engine.distributed import Ranks
from bottomup.engine.settings import Settings
from bottomup.engine.trainer import Trainer
from bottomup.model import PoseModel
from bottomup.predictor import Predictor, sample_of
from bottomup.types import Batch

DECODER, TOTAL = "decoder", "total"
_WARM_UP = 3  # runs that are not counted
_PEAK, _NOW = "VmHWM", "VmRSS"  # of /proc/self/status


def sizes(model: PoseModel) -> dict[str, int]:
    """Parameters by block."""
    return {name: sum(p.numel() for module in modules for p in module.parameters()) for name, modules in parts_of(model)}


def gigamacs(model: PoseModel, side: int, given: Iterable[str] = (), stages: Literal["all", "last"] = "last") -> float:
    """Billions of multiply-adds of one image of ``side`` x ``side`` px, by torch's counter; heads ``given`` do not run.

    "last" counts what decoding needs, "all" what training does.
    """
    counter, training = FlopCounterMode(display=False), model.training
    batch = _blank(model.task.keypoints, side).to(model.get_buffer("mean").device)
    with counter, torch.no_grad():
        model.eval()(batch.images, given=model.ideal(batch, given), stages=stages)
    model.train(training)
    return float(counter.get_total_flops() / 2e9)


def _blank(keypoints: int, side: int) -> Batch:
    """A black image with nobody in it."""
    black = sample_of(np.zeros((side, side, 3), np.uint8), 0, keypoints)
    return collate([replace(black, instances=np.zeros((side, side), np.int16))])


@torch.inference_mode()
def block_latencies(predictor: Predictor, batches: Sequence[Batch], oracle: Sequence[str] = ()) -> dict[str, dict[str, float]]:
    """Median and 90th percentile in ms of each block, the decoder and all of it, over batches of one image each.

    The first ones are run before to warm up. "total" is from the image on the device to instances on the host.
    """
    times: defaultdict[str, list[float]] = defaultdict(list)
    for batch in batches[:_WARM_UP]:
        predictor.predict_batch(batch, oracle)
    with BlockClock(predictor.model, predictor.device) as clock:
        for batch in (batch.to(predictor.device) for batch in batches):
            _wait(predictor.device)
            began = time.perf_counter()
            outputs, frame = predictor.outputs(batch, oracle)
            with clock.block(DECODER):
                predictor.decoder(outputs, frame)
            _wait(predictor.device)
            times[TOTAL].append(1e3 * (time.perf_counter() - began))
            for name, own in clock.own_ms().items():
                times[name].append(own)
    return {name: {"p50_ms": statistics.median(own), "p90_ms": float(np.percentile(own, 90))} for name, own in times.items()}


def throughput(predictor: Predictor, batch: Batch, sizes: Iterable[int], runs: int, oracle: Sequence[str] = ()) -> dict[str, float]:
    """Images a second by batch size, network and decoder together; ``batch`` is of one image, which fills the larger ones."""
    many = {size: stacked(batch, size) for size in sizes}
    times = {size: milliseconds(partial(predictor.predict_batch, own, oracle), runs) for size, own in many.items()}
    return {str(size): 1e3 * size / statistics.median(own) for size, own in times.items()}


def stacked(batch: Batch, count: int) -> Batch:
    """A batch of one image ``count`` times."""
    many: dict[str, Any] = {name: _repeated(value, count) for name, value in vars(batch).items()}
    return replace(batch, **many)


def _repeated(value: Any, count: int) -> Any:
    if isinstance(value, Tensor):
        return value.expand(count, *value.shape[1:]).clone()
    if isinstance(value, dict):
        return {name: _repeated(entry, count) for name, entry in value.items()}
    return value * count if isinstance(value, tuple) and len(value) == 1 else value


def training_rate(model: PoseModel, settings: Settings, batch: Batch, given: tuple[str, ...], device: torch.device) -> float:
    """Images a second of the engine's own steps, the median after the first ones; the model stays as it is."""
    rates: list[float] = []
    quiet = replace(settings, steps=_WARM_UP + settings.steps, log_every=1, validate_every=0, checkpoint_every=0, tensorboard=False)
    with tempfile.TemporaryDirectory() as folder:
        Trainer(
            copy.deepcopy(model),
            lambda _: repeat(batch),
            quiet,
            Path(folder),
            given=given,
            ranks=Ranks(device=device),
            on_step=lambda _, figures: rates.append(figures["images_per_second"]),
        ).fit()
    return statistics.median(rates[_WARM_UP:])


def peak_mebibytes(call: Callable[[], object], device: torch.device) -> float | None:
    """The memory that a call takes on top of what was held before; on the host as Linux counts it, elsewhere None."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        call()
        return (torch.cuda.max_memory_allocated(device) - before) / 2**20
    try:
        release_freed_memory()  # which a call would take again unseen
        Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
        before = _kibibytes(_NOW)
        call()
        return max(0, _kibibytes(_PEAK) - before) / 2**10
    except (OSError, StopIteration):
        return None


def _kibibytes(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{field}:")).split()[1])


def milliseconds(call: Callable[[], object], runs: int, warm_up: int = _WARM_UP) -> list[float]:
    """The times of some runs, after those that warm up; of calls whose result lies on the host, so nothing needs waiting for."""
    times = []
    for _ in range(warm_up + runs):
        began = time.perf_counter()
        call()
        times.append(1e3 * (time.perf_counter() - began))
    return times[warm_up:]


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
