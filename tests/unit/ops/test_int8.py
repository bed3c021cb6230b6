"""Linear layers of eight bits."""

from __future__ import annotations

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


def test_weights_that_change_are_rounded_anew(layer: Int8Linear) -> None:
    rows = torch.ones(1, 64)
    before = layer(rows)
    with torch.no_grad():
        layer.weight.mul_(2.0)
    torch.testing.assert_close(layer(rows) - layer.bias, 2 * (before - layer.bias))
    layer.load_state_dict({"weight": torch.zeros(24, 64), "bias": torch.zeros(24)})
    assert not layer(rows).any()


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
