"""What is timed and counted."""

from __future__ import annotations

import time

import pytest
import torch
from torch import Tensor, nn

from bottomup.benchmark.clock import BlockClock, parts_of
from bottomup.benchmark.speed import block_latencies, gigamacs, peak_mebibytes, sizes, stacked, throughput, training_rate
from bottomup.compose import compose_model, load_config
from bottomup.engine.settings import Settings
from bottomup.model import PoseModel
from bottomup.predictor import Predictor
from bottomup.skeletons import COCO
from bottomup.stages import Decoder
from bottomup.types import Batch, Task
from tests.scenes import make_batch

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def composed() -> tuple[PoseModel, Decoder]:
    torch.manual_seed(0)
    return compose_model(load_config("predict", ["backbone=hourglass_tiny"]), Task(COCO))


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
    assert gigamacs(model, 64, given=["heatmap", "tags"]) == 0  # nothing is left to do


def test_heads_that_are_trained_but_not_decoded_count_in_training_alone() -> None:
    """As where one training serves decoders that read different heads, one of them with boxes given."""
    trained_with_boxes = ["heads.candidates={}", "heads.proposals={first:3}", "heads.prn={hidden:[8]}", "given=[proposals]"]
    config = load_config("predict", ["method=associative_embedding", "backbone=hourglass_tiny", *trained_with_boxes])
    model, _ = compose_model(config, Task(COCO))
    assert 0 < gigamacs(model, 64) < gigamacs(model, 64, ["proposals"], "all")


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
