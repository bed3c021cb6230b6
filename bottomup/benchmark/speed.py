"""Milliseconds, images a second, memory and size of a model and its decoder."""

from __future__ import annotations

import contextlib
import copy
import math
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from bottomup.benchmark.clock import BlockClock, parts_of
from bottomup.engine import cpu
from bottomup.engine.distributed import Ranks
from bottomup.engine.settings import Settings
from bottomup.engine.trainer import Trainer
from bottomup.memory import release_freed_memory
from bottomup.model import BACKBONE, PoseModel
from bottomup.precision import PRECISIONS
from bottomup.predictor import Predictor
from bottomup.samples.loader import collate
from bottomup.types import Batch, Prediction, Sample

DECODER, TOTAL = "decoder", "total"
_WARM_UP = 3  # runs that are not counted
_PEAK, _NOW = "VmHWM", "VmRSS"  # of /proc/self/status
_SIDE = {"cpu": 512, "cuda": 8192}  # of a matrix that keeps all of a device busy
_MATRIX_SECONDS = 0.1  # that matrices are multiplied for


def sizes(model: PoseModel, given: Collection[str] = ()) -> dict[str, int]:
    """Parameters by block of what runs for the decoder; heads ``given`` do not run, nor does what they alone need."""
    counted = {name: {p for module in modules for p in module.parameters()} for name, modules in _decoding(model, given)}
    return {name: sum(p.numel() for p in parameters) for name, parameters in counted.items()}


def _decoding(model: PoseModel, given: Collection[str]) -> Iterator[tuple[str, list[nn.Module]]]:
    """The blocks that run for the decoder with the modules that do: of a head those it predicts from, and those fed back."""
    running = model.running(model.decoded, model.keys_of(given))
    read = {model.stack(name).reads for name in running} - {None}
    read |= {BACKBONE} if read else set()
    for name, modules in parts_of(model):
        if name == BACKBONE or name.startswith("necks."):
            used = modules if name.removeprefix("necks.") in read else []
        else:
            head = name.removeprefix("heads.")
            stack = model.stack(head)
            stages = set(stack.predicting) if head in running else set()
            if head in model.fed_back and stack.reads in read:
                stages |= set(stack.stages) - {-1}
            used = [module for stage, module in zip(stack.stages, modules, strict=True) if stage in stages]
        if used:
            yield name, used


def gigamacs(model: PoseModel, side: int, given: Iterable[str] = (), stages: Literal["all", "last"] = "last") -> float:
    """Billions of multiply-adds of one image of ``side`` x ``side`` px, by torch's counter; heads ``given`` do not run.

    "last" counts what decoding needs, "all" what training does.
    """
    counter, training = _counter(), model.training
    batch = _blank(model.task.keypoints, side).to(model.get_buffer("mean").device)
    try:
        with counter, torch.no_grad():
            model.eval()(batch.images, given=model.ideal(batch, given), stages=stages)
    finally:
        model.train(training)
    return float(counter.get_total_flops() / 2e9)


def gigamacs_seen(predictor: Predictor, oracle: Sequence[str] = ()) -> float:
    """As ``gigamacs`` of one square image of the predictor's size; heads that see it at scales of their own are counted there."""
    model, views = predictor.model, predictor.views
    if not views.head_scales:
        return gigamacs(model, model.side(predictor.input_size), oracle)
    batch = _blank(model.task.keypoints, model.side(round(predictor.input_size * views.largest))).to(predictor.device)
    with _counter() as counter, torch.no_grad():
        replace(views, scales=views.scales[:1], flip=False).seen(batch, oracle)
    return float(counter.get_total_flops() / 2e9)


def _counter() -> FlopCounterMode:
    """Torch's counter, which knows products of eight bits as well: they are as many as those of float32."""
    eight_bits = {torch.ops.aten._int_mm: _plain_flop, torch.ops.aten._weight_int8pack_mm: _transposed_flop}
    return FlopCounterMode(display=False, custom_mapping=eight_bits)


def _plain_flop(rows: torch.Size, weights: torch.Size, *_: object, **__: object) -> int:
    """Of rows (N, in) and weights (in, out)."""
    return 2 * rows.numel() * weights[1]


def _transposed_flop(rows: torch.Size, weights: torch.Size, *_: object, **__: object) -> int:
    """Of rows (N, in) and weights (out, in)."""
    return 2 * rows.numel() * weights[0]


def _blank(keypoints: int, side: int) -> Batch:
    """A black image with nobody in it."""
    black = Sample.of_pixels(np.zeros((side, side, 3), np.uint8), 0, keypoints)
    return collate([replace(black, instances=np.zeros((side, side), np.int16))])


@torch.inference_mode()
def block_latencies(predictor: Predictor, batches: Sequence[Batch], oracle: Sequence[str] = ()) -> dict[str, dict[str, float]]:
    """Median and 90th percentile in ms of each block, the decoder and all of it, over batches of one image each.

    The first ones, and one of every size, are run before to warm up. "total" is from the image on the device to instances on
    the host, their masks drawn, which is the decoder's work.
    """
    times: defaultdict[str, list[float]] = defaultdict(list)
    with BlockClock(predictor.model, predictor.device) as clock:
        for batch in [*batches[:_WARM_UP], *{batch.size: batch for batch in batches}.values()]:
            predict(predictor, batch, oracle)
        clock.own_ms()
        for batch in (batch.to(predictor.device) for batch in batches):
            _wait(predictor.device)
            began = time.perf_counter()
            seen = predictor.seen(batch, oracle)
            with clock.block(DECODER):
                draw_masks(predictor.decode(batch, seen))
            _wait(predictor.device)
            times[TOTAL].append(1e3 * (time.perf_counter() - began))
            for name, own in clock.own_ms().items():
                times[name].append(own)
    return {name: {"p50_ms": statistics.median(own), "p90_ms": float(np.percentile(own, 90))} for name, own in times.items()}


def throughput(
    predictor: Predictor, batch: Batch, batch_sizes: Iterable[int], runs: int, oracle: Sequence[str] = ()
) -> dict[str, float]:
    """Images a second by batch size, network and decoder together; ``batch`` is of one image, which fills the larger ones."""
    many = {size: stacked(batch, size) for size in batch_sizes}
    times = {size: milliseconds(partial(predict, predictor, own, oracle), runs) for size, own in many.items()}
    return {str(size): 1e3 * size / statistics.median(own) for size, own in times.items()}


def predict(predictor: Predictor, batch: Batch, oracle: Sequence[str] = ()) -> list[Prediction]:
    """The predictions of a batch, with every pixel of their masks found."""
    return draw_masks(predictor.predict_batch(batch, oracle))


def draw_masks(predictions: list[Prediction]) -> list[Prediction]:
    """Find the pixels of all masks, which is done on demand and is a part of decoding; the predictions as they were."""
    for prediction in predictions:
        if prediction.instances.masks is not None:
            for _ in prediction.instances.masks.windows(prediction.size):
                pass
    return predictions


def compile_blocks(model: PoseModel, **options: Any) -> None:
    """Have backbone, necks and heads run compiled from now on; ``options`` are torch.compile's.

    Each block by itself, and not its hooks, so that a ``BlockClock`` still sees it. Multiply-adds are to be counted before:
    torch's counter does not see into compiled code.
    """
    for module in {module for _, modules in parts_of(model) for module in modules}:
        module.forward = torch.compile(module.forward, **options)


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
    """Images a second of the engine's own steps, set up as `bottomup train` does, the median after the first ones.

    The model stays as it is.
    """
    rates: list[float] = []
    quiet = replace(settings, steps=_WARM_UP + settings.steps, log_every=1, validate_every=0, checkpoint_every=0, tensorboard=False)
    tuned = cpu.tuned() if device.type == "cpu" else contextlib.nullcontext()
    with tuned, tempfile.TemporaryDirectory() as folder:
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


def matrix_share(gigamacs: float, images_per_second: float, device: torch.device, precision: str) -> float:
    """The share of the device's matrix rate that training uses whose forward takes ``gigamacs`` an image.

    Backward takes twice the forward's multiply-adds, each of which is two operations.
    """
    return 3 * 2e9 * gigamacs * images_per_second / matrix_rate(device, PRECISIONS[precision])


def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Floating-point operations a second of the product of two square matrices: of the fastest within a tenth of a second."""
    left, right = (torch.rand(_SIDE[device.type], _SIDE[device.type], device=device).to(dtype) for _ in range(2))

    def multiply() -> None:
        torch.mm(left, right)
        _wait(device)

    fastest, until = math.inf, time.perf_counter() + _MATRIX_SECONDS
    while fastest == math.inf or time.perf_counter() < until:
        fastest = min(fastest, *milliseconds(multiply, runs=2, warm_up=0))
    return 2e3 * float(len(left)) ** 3 / fastest


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


def milliseconds(
    call: Callable[[], object], runs: int, warm_up: int = _WARM_UP, clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    """The times of some runs, after those that warm up; of calls whose result lies on the host, so nothing needs waiting for."""
    times = []
    for _ in range(warm_up + runs):
        began = clock()
        call()
        times.append(1e3 * (clock() - began))
    return times[warm_up:]


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
