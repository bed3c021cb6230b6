"""Linear layers of eight bits."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import nn

from bottomup.ops.int8 import Int8Linear, rounded


@pytest.fixture
def layer() -> Int8Linear:
    torch.manual_seed(0)
    return Int8Linear(64, 24).eval()


def test_what_is_rounded_is_half_a_scale_off_at_most() -> None:
    rows = torch.randn(5, 33, generator=torch.Generator().manual_seed(0)) * torch.tensor([[1e-6], [1.0], [40.0], [1e6], [0.0]])
    values, scales = rounded(rows)
    assert values.dtype == torch.int8 and values.abs().max() == 127 and not values[4].any()
    assert ((values * scales - rows).abs() <= scales * 0.5001).all()


@pytest.mark.parametrize("instructions", [True, False])
@pytest.mark.parametrize("shape", [(1, 64), (3, 64), (2, 5, 64), (0, 64)])
@torch.inference_mode()
def test_predictions_are_those_of_float32_but_for_the_rounding(
    layer: Int8Linear, shape: tuple[int, ...], instructions: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: instructions)
    rows = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    wanted = nn.functional.linear(rows, layer.weight, layer.bias)
    found = layer(rows)
    assert found.shape == wanted.shape and found.dtype == torch.float32
    torch.testing.assert_close(found, wanted, atol=0.03, rtol=0)
    assert not rows.numel() or not torch.equal(found, wanted)
    assert rows.ndim > 2 or torch.equal(layer(rows.t().contiguous().t()), found)


@torch.no_grad()
def test_weights_that_change_are_rounded_anew(layer: Int8Linear) -> None:
    rows = torch.ones(1, 64)
    before = layer(rows)
    layer.weight.mul_(2.0)
    torch.testing.assert_close(layer(rows) - layer.bias, 2 * (before - layer.bias))
    layer.load_state_dict({"weight": torch.zeros(24, 64), "bias": torch.zeros(24)})
    assert not layer(rows).any()


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("optimiser", [torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD])
def test_weights_that_a_fused_optimiser_moved_are_rounded_anew(
    layer: Int8Linear, optimiser: type[torch.optim.Adam], training: bool
) -> None:
    """Which torch does not count: a training was judged by the weights of its first validation."""
    steps, rows = optimiser(layer.parameters(), lr=0.5, fused=True), torch.ones(1, 64)
    with torch.no_grad():
        layer(rows)
    layer.train(training)(rows).sum().backward()
    steps.step()
    with torch.no_grad():
        wanted = nn.functional.linear(rows, layer.weight, layer.bias)
        torch.testing.assert_close(layer.eval()(rows), wanted, atol=0.2, rtol=0)


@torch.no_grad()
def test_weights_that_are_parts_of_one_tensor_are_told_apart(layer: Int8Linear) -> None:
    both = torch.tensor([1.0, 2.0]).repeat_interleave(24)[:, None].expand(48, 64).contiguous()
    for value, part in enumerate(both.split(24), 1):
        layer.weight = nn.Parameter(part)
        torch.testing.assert_close(layer(torch.ones(1, 64)) - layer.bias, torch.full((1, 24), 64.0 * value))


def _replaced(layer: Int8Linear, value: float) -> None:
    del layer.weight
    layer.weight = nn.Parameter(torch.full((24, 64), value))


def _repointed(layer: Int8Linear, value: float) -> None:
    layer.weight.data = torch.zeros(0)
    layer.weight.data = torch.full((24, 64), value)


@pytest.mark.parametrize("change", [_replaced, _repointed])
@torch.no_grad()
def test_weights_at_the_address_of_those_that_were_freed_are_rounded_anew(
    layer: Int8Linear, change: Callable[[Int8Linear, float], None]
) -> None:
    addresses = []
    for value in range(1, 9):
        change(layer, float(value))
        addresses.append(layer.weight.data_ptr())
        torch.testing.assert_close(layer(torch.ones(1, 64)) - layer.bias, torch.full((1, 24), 64.0 * value))
    assert len(set(addresses)) < len(addresses)


@torch.no_grad()
def test_copies_and_pickles_have_the_weights_alone(layer: Int8Linear) -> None:
    new, rows = len(pickle.dumps(layer)), torch.ones(1, 64)
    found = layer(rows)
    pickled = pickle.dumps(layer)
    assert len(pickled) == new
    for copied in (pickle.loads(pickled), copy.deepcopy(layer)):
        assert torch.equal(copied(rows), found)


@pytest.mark.parametrize("instructions", [True, False])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
@torch.no_grad()
def test_what_is_not_finite_stays_so(layer: Int8Linear, bad: float, instructions: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: instructions)
    rows = torch.ones(2, 64)
    rows[0, 3] = bad
    assert layer(rows).isfinite().all(1).tolist() == [False, True]
    layer.weight[5, 7] = bad
    assert layer(torch.ones(1, 64)).isfinite().nonzero()[:, 1].tolist() == [*range(5), *range(6, 24)]


@pytest.mark.parametrize("instructions", [True, False])
def test_a_frozen_layer_passes_the_gradient_of_float32_on(
    layer: Int8Linear, instructions: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: instructions)
    rows = torch.randn(3, 64, requires_grad=True)
    (gradient,) = torch.autograd.grad(layer.requires_grad_(False)(rows).sum(), rows)
    torch.testing.assert_close(gradient, layer.weight.sum(0).expand(3, -1))
    (gradient,) = torch.autograd.grad(layer.requires_grad_(True)(rows.detach()).sum(), layer.weight)
    torch.testing.assert_close(gradient, rows.detach().sum(0).expand(24, -1))


@pytest.mark.parametrize("instructions", [True, False])
@pytest.mark.parametrize("inputs", [1, 8, 33, 100])
@torch.inference_mode()
def test_inputs_that_the_kernels_would_read_beyond_meet_weights_of_float32(
    inputs: int, instructions: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They end the process by a segmentation fault, or are right by chance."""
    monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: instructions)
    layer, rows = Int8Linear(inputs, 24).eval(), torch.randn(3, inputs)
    assert torch.equal(layer(rows), nn.functional.linear(rows, layer.weight, layer.bias))


@pytest.mark.parametrize("rows", [1, 100])
@torch.no_grad()
def test_weights_of_another_format_are_read_as_they_are(layer: Int8Linear, rows: int) -> None:
    values = torch.randn(rows, 64).bfloat16()
    assert torch.equal(layer.bfloat16()(values), nn.functional.linear(values, layer.weight, layer.bias))


@torch.inference_mode()
def test_many_rows_are_of_float32_where_products_of_eight_bits_are_slow(layer: Int8Linear, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: False)
    rows = torch.randn(100, 64)
    assert torch.equal(layer(rows), nn.functional.linear(rows, layer.weight, layer.bias))


@torch.inference_mode()
def test_a_layer_made_in_inference_mode_predicts_from_the_weights_that_it_has() -> None:
    layer, rows = Int8Linear(64, 24).eval(), torch.ones(1, 64)
    before = layer(rows)
    layer.weight.mul_(2.0)
    torch.testing.assert_close(layer(rows) - layer.bias, 2 * (before - layer.bias))


def test_training_and_graphs_are_of_float32(layer: Int8Linear) -> None:
    rows = torch.randn(3, 64)
    wanted = nn.functional.linear(rows, layer.weight, layer.bias)
    with torch.no_grad():
        program = torch.export.export(layer, (rows,), strict=False)
    torch.testing.assert_close(program.module()(rows), wanted)
    found = layer.train()(rows)
    assert torch.equal(found, wanted)
    found.sum().backward()
    assert layer.weight.grad is not None
