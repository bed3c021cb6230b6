"""What is timed and counted."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bottomup.benchmark import speed
from bottomup.benchmark.clock import BlockClock, parts_of
from bottomup.benchmark.speed import (
    block_latencies,
    compile_blocks,
    gigamacs,
    gigamacs_seen,
    matrix_rate,
    matrix_share,
    peak_mebibytes,
    sizes,
    stacked,
    throughput,
    training_rate,
)
from bottomup.contracts import Decoder
from bottomup.engine.cpu import flushing_denormals
from bottomup.engine.distributed import Ranks
from bottomup.engine.objective import Losses
from bottomup.engine.settings import Settings
from bottomup.engine.trainer import Trainer
from bottomup.grouping.mask_crops import MaskCrops
from bottomup.masks import Masks
from bottomup.model import PoseModel
from bottomup.plan.composing import load_config
from bottomup.plan.model import ModelPlan
from bottomup.predictor import Predictor
from bottomup.skeletons import COCO
from bottomup.thresholds import Thresholds
from bottomup.types import Batch, Instances, Prediction, Task
from tests.scenes import make_batch

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def composed() -> tuple[PoseModel, Decoder]:
    torch.manual_seed(0)
    return ModelPlan.of(load_config("predict", ["backbone=hourglass_tiny"])).compose(Task(COCO))


def one() -> Batch:
    return make_batch([1], (64, 64))


class Slow(nn.Module):
    """Takes seconds of a clock that stands otherwise, and runs another within."""

    now = 0.0

    def __init__(self, seconds: float, inner: nn.Module | None = None) -> None:
        super().__init__()
        self.seconds, self.inner = seconds, inner

    def forward(self, x: Tensor) -> Tensor:
        Slow.now += self.seconds
        return x if self.inner is None else self.inner(x)


def test_a_block_does_not_count_what_runs_within_it(composed: tuple[PoseModel, Decoder], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "perf_counter", lambda: Slow.now)
    inner = Slow(0.5)
    outer = Slow(0.25, inner)
    clock = BlockClock(composed[0], CPU)
    clock._blocks = {"inner": [inner], "outer": [outer]}
    with clock, clock.block("around"):
        outer(torch.zeros(1))
        Slow.now += 0.125
    assert clock.own_ms() == {"around": 125.0, "outer": 250.0, "inner": 500.0}
    assert clock.own_ms() == {} and not outer._forward_hooks  # nothing is left behind


def test_every_block_and_the_decoder_have_times_that_add_up(composed: tuple[PoseModel, Decoder]) -> None:
    model, decoder = composed
    times = block_latencies(Predictor(model, decoder, input_size=64), [one()] * 3)
    assert times.keys() == {"backbone", "heads.heatmap", "heads.tags", "decoder", "total"}
    assert all(0 < own["p50_ms"] <= own["p90_ms"] for own in times.values())


def test_sizes_are_those_of_the_whole_model(composed: tuple[PoseModel, Decoder]) -> None:
    model = composed[0]
    assert sum(sizes(model).values()) == sum(p.numel() for p in model.parameters())
    assert list(sizes(model)) == [name for name, _ in parts_of(model)]
    assert gigamacs(model, 128) == pytest.approx(4 * gigamacs(model, 64), rel=0.01)
    assert gigamacs(model, 64, given=["heatmap", "tags"]) == 0 and sizes(model, ["heatmap", "tags"]) == {}  # nothing is left to do


TRAINED_WITH_BOXES = ("heads.candidates={}", "heads.proposals={first:3}", "heads.prn={hidden:[8]}", "given=[proposals]")


@pytest.mark.parametrize(
    ("options", "given"),
    [
        (["backbone=hourglass_small"], []),  # of two stages, with what the first predicts fed back
        (["backbone=hourglass_small"], ["tags"]),
        (["backbone=hourglass_tiny", *TRAINED_WITH_BOXES], []),
        (["backbone=hourglass_tiny", *TRAINED_WITH_BOXES, "decoder=prn"], ["heatmap", "proposals"]),
        (["method=multiposenet", "backbone=mobilenetv2_fpn", "heads.prn.hidden=[8]"], ["proposals"]),
        (["method=higherhrnet", "backbone.network=hrnet_w18_small", "backbone.width=4"], []),  # the mean of both stages
        (["method=higherhrnet", "backbone.network=hrnet_w18_small", "backbone.width=4"], ["heatmap"]),
    ],
)
def test_the_parameters_that_count_are_those_that_run(options: list[str], given: list[str]) -> None:
    model, _ = ModelPlan.of(load_config("predict", options)).compose(Task(COCO))
    ran: set[Tensor] = set()
    for module in model.modules():
        module.register_forward_pre_hook(lambda module, *_: ran.update(module.parameters(recurse=False)))
    gigamacs(model, model.side(64), given)
    assert sum(sizes(model, given).values()) == sum(p.numel() for p in ran)


def test_heads_that_are_trained_but_not_decoded_count_in_training_alone() -> None:
    """As where one training serves decoders that read different heads, one of them with boxes given."""
    config = load_config("predict", ["method=associative_embedding", "backbone=hourglass_tiny", *TRAINED_WITH_BOXES])
    model, _ = ModelPlan.of(config).compose(Task(COCO))
    assert 0 < gigamacs(model, 64) < gigamacs(model, 64, ["proposals"], "all")
    assert sizes(model).keys() == {"backbone", "heads.heatmap", "heads.tags"}


@pytest.mark.parametrize("instructions", [True, False])
def test_products_of_eight_bits_are_multiply_adds_as_others_are(instructions: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: instructions)
    small = ["experiment=demo/multiposenet", "heads.prn={relation: prn, hidden: [8]}"]
    plans = [ModelPlan.of(load_config("train", [*small, f"heads.prn.weights={kind}"])) for kind in ("fp32", "int8")]
    models = [plan.compose(Task(COCO))[0] for plan in plans]
    assert gigamacs(models[0], 64) == gigamacs(models[1], 64)


def test_images_are_stacked_with_all_that_belongs_to_them(composed: tuple[PoseModel, Decoder]) -> None:
    model, decoder = composed
    many = stacked(one(), 3)
    assert len(many) == 3 and many.images is not None and many.images.shape[0] == 3 and many.size == (64, 64)
    assert throughput(Predictor(model, decoder, input_size=64), one(), (1, 3), runs=1).keys() == {"1", "3"}


def test_training_is_timed_and_leaves_the_model_alone(composed: tuple[PoseModel, Decoder]) -> None:
    model = composed[0]
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert training_rate(model, Settings(steps=2, batch_size=1), one(), (), CPU) > 0
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_training_is_timed_as_it_is_trained(composed: tuple[PoseModel, Decoder]) -> None:
    """On a CPU `bottomup train` takes numbers too small to matter for zeros."""
    with flushing_denormals() as can:
        if not can:
            pytest.skip("this processor does not flush denormal numbers")
    seen: list[float] = []
    watch = composed[0].register_forward_pre_hook(lambda *_: seen.append(float(torch.full((1,), 1e-38) / 10)))
    training_rate(composed[0], Settings(steps=1, batch_size=1), one(), (), CPU)
    watch.remove()
    assert seen and not any(seen) and float(torch.full((1,), 1e-38) / 10) > 0


def test_a_step_is_timed_to_the_devices_end_where_it_is_reported(
    composed: tuple[PoseModel, Decoder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device whose work waits, a second of it a step, which the host hands out in a 64th."""
    queued, waits, rates = [0.0], [], []

    def synchronise(_: torch.device) -> None:
        waits.append(trainer.step)
        Slow.now += queued.pop()
        queued.append(0.0)

    def backward(*_: object, **__: object) -> Losses:
        queued[0] += 1 - 1 / 64
        Slow.now += 1 / 64
        return Losses(torch.zeros(2), {}, {}, {})

    settings = Settings(steps=6, batch_size=2, log_every=3, tensorboard=False)
    report = lambda _, figures: rates.append(figures["images_per_second"])  # noqa: E731
    trainer = Trainer(copy.deepcopy(composed[0]), lambda _: repeat(one()), settings, tmp_path, on_step=report)
    trainer.ranks = Ranks(device=torch.device("cuda"))
    monkeypatch.setattr(time, "perf_counter", lambda: Slow.now)
    monkeypatch.setattr(torch.cuda, "synchronize", synchronise)
    monkeypatch.setattr(trainer, "_backward", backward)
    log: Any = SimpleNamespace(advance=lambda *_: None, scalars=lambda *_: None)
    for _ in range(6):
        trainer._advance(repeat(one()), log)
    assert rates == [2.0, 2.0, 2.0]  # of steps 1, 3 and 6, each of two images
    assert waits == [0, 1, 2, 3, 5, 6]  # before and after those alone


def test_the_share_of_the_matrix_rate_is_that_of_three_forwards(monkeypatch: pytest.MonkeyPatch) -> None:
    assert matrix_rate(CPU, torch.float32) > 1e8
    monkeypatch.setattr(speed, "matrix_rate", lambda *_: 24e9)  # operations a second
    assert matrix_share(2.0, 1.0, CPU, "fp32") == pytest.approx(0.5)  # 2e9 multiply-adds, three times, two operations each


class Drawn:
    """A decoder that finds one person in each image, whose mask takes ``seconds`` to draw."""

    seconds = 0.02
    posed = True
    recommended = Thresholds()

    def __call__(self, outputs: dict[str, Tensor], _: object) -> list[Prediction]:
        person = Instances(torch.zeros(1, 17, 2), torch.ones(1, 17), torch.ones(1), torch.zeros(1, 4), torch.zeros(1), _SlowMasks())
        return [Prediction(person, (64, 64)) for _ in next(iter(outputs.values()))]

    def suppress(self, joined: Instances) -> Instances:
        """Nobody explains another."""
        return joined


class _SlowMasks(Masks):
    def __init__(self) -> None:
        super().__init__(MaskCrops((), np.eye(2, 3)))

    def transform(self, _: object) -> Masks:
        return self

    def windows(self, _: object) -> Iterator[Any]:
        time.sleep(Drawn.seconds)
        yield from ()


def test_masks_are_drawn_while_the_decoder_is_timed(composed: tuple[PoseModel, Decoder]) -> None:
    drawing: Any = Drawn()
    predictor = Predictor(composed[0], drawing, input_size=64)
    times = block_latencies(predictor, [one()] * 2)
    assert min(times["decoder"]["p50_ms"], times["total"]["p50_ms"]) >= 1e3 * Drawn.seconds
    assert throughput(predictor, one(), (3,), runs=1)["3"] <= 1 / Drawn.seconds


def test_compiled_blocks_give_the_same_and_are_timed_one_by_one(composed: tuple[PoseModel, Decoder]) -> None:
    model, decoder = copy.deepcopy(composed[0]), composed[1]
    predictor = Predictor(model, decoder, input_size=64)
    before, _ = predictor.seen(one())[0]
    traced: list[object] = []
    compile_blocks(model, backend=lambda graph, _: traced.append(graph) or graph)
    after, _ = predictor.seen(one())[0]
    for key, maps in before.items():
        torch.testing.assert_close(after[key], maps)
    assert len(traced) >= 3  # the backbone and two heads
    assert block_latencies(predictor, [one()]).keys() == {"backbone", "heads.heatmap", "heads.tags", "decoder", "total"}


@pytest.mark.gpu
def test_a_compiled_network_in_bf16_finds_on_a_gpu_what_it_does_in_fp32(composed: tuple[PoseModel, Decoder]) -> None:
    compiled, decoder = copy.deepcopy(composed[0]), composed[1]
    predictors = [
        Predictor(model, decoder, input_size=64, precision=precision, device="cuda")  # type: ignore[arg-type]
        for model, precision in ((copy.deepcopy(composed[0]), "fp32"), (compiled, "bf16"))
    ]
    compile_blocks(compiled)
    exact, near = (predictor.seen(one().to("cuda"))[0][0]["heatmap"] for predictor in predictors)
    torch.testing.assert_close(near, exact, rtol=0.05, atol=0.05 * float(exact.abs().max()))
    assert block_latencies(predictors[1], [one()] * 2)["backbone"]["p50_ms"] > 0


def test_memory_is_what_a_call_takes() -> None:
    held: list[Tensor] = []
    taken = peak_mebibytes(lambda: held.append(torch.ones(64, 1024, 1024)), CPU)
    if taken is None:
        pytest.skip("this system does not tell its peak memory")
    assert 200 <= taken <= 400


def test_memory_that_was_freed_before_counts_again() -> None:
    def call() -> Tensor:
        return torch.ones(6, 1024, 1024).sum()

    for _ in range(3):  # glibc keeps blocks of a size that it has seen freed
        call()
    taken = peak_mebibytes(call, CPU)
    if taken is None:
        pytest.skip("this system does not tell its peak memory")
    assert taken >= 20


def test_heads_that_see_a_size_of_their_own_cost_what_they_do_there() -> None:
    options = ["method=multiposenet", "backbone.network=test_resnet", "necks.people.channels=8", "heads.prn.hidden=[8]"]
    model, decoder = ModelPlan.of(load_config("predict", options)).compose(Task(COCO))
    same = gigamacs_seen(Predictor(model, decoder, input_size=128))
    assert same == gigamacs(model, 128)
    own = gigamacs_seen(Predictor(model, decoder, input_size=128, head_scales={"retinanet": [2.0]}, flip=True))
    backbone = gigamacs(model, 128, given=["retinanet", "heatmap", "segmentation"])
    assert own > same and own < 4 * same and backbone < same
